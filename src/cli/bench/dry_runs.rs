//! Dry runs, their stored result included.

use super::figure::{Figure, median};
use super::workload;
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session};
use crate::cli::output::Output;
use crate::core::DryRunItem;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TARGETS: usize = 10;
/// A hundred thousand may take so many times what ten thousand take.
const LINEAR: f64 = 12.0;

const SMALL: usize = 10_000;
const LARGE: usize = 100_000;
/// Small ones in one round: shorter, they differ more from each other.
const SMALL_PER_ROUND: usize = 3;
/// By turns, so that both sizes meet the same hours of a machine that is slower now and then. The medians count.
const ROUNDS: usize = 3;

pub(super) async fn times(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        output.note(&format!("  {SMALL} and {LARGE} resources, {round} of {ROUNDS}"));
        for number in 1..=SMALL_PER_ROUND {
            let environment = format!("dry-{SMALL}-{round}-{number}");
            small.push(dry_run(state, output, &environment, SMALL).await?.as_secs_f64());
        }
        large.push(dry_run(state, output, &format!("dry-{LARGE}-{round}"), LARGE).await?.as_secs_f64());
    }
    let (small, large) = (median(small), median(large));
    Ok(vec![
        Figure::new("dry_run_10k_s", small).at_most(1.0),
        Figure::new("dry_run_100k_s", large).at_most(small * LINEAR).beside("ten thousand", small),
    ])
}

/// What one takes in an environment of its own, where one of a single resource was before it: the executor is there.
async fn dry_run(state: &StateOptions, output: Output, environment: &str, size: usize) -> Result<Duration, CliError> {
    let declared = workload::declared(environment, size, TARGETS);
    let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
    Session::run(state, output, prepare, async |session: &mut Session, ()| {
        session.configure(&declared).await?;
        let items = |intents: &[Arc<_>]| {
            intents.iter().map(|intent| DryRunItem { intent: Arc::clone(intent), removed: false }).collect()
        };
        session.dry_run(items(declared.intents.get(..1).unwrap_or_default())).await?;
        let began = Instant::now();
        session.dry_run(items(&declared.intents)).await?;
        Ok(began.elapsed())
    })
    .await
}
