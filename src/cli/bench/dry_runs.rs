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

/// How many, and of how many runs the median counts: shorter ones differ more from each other.
const SIZES: [(usize, usize); 2] = [(10_000, 5), (100_000, 3)];

pub(super) async fn times(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let mut medians = Vec::new();
    for (size, runs) in SIZES {
        let mut seconds = Vec::new();
        for number in 1..=runs {
            output.note(&format!("  {size} resources, {number} of {runs}"));
            seconds.push(dry_run(state, output, &format!("dry-{size}-{number}"), size).await?.as_secs_f64());
        }
        medians.push(median(seconds));
    }
    let (Some(&ten), Some(&hundred)) = (medians.first(), medians.last()) else { return Ok(Vec::new()) };
    Ok(vec![
        Figure::new("dry_run_10k_s", ten).at_most(1.0),
        Figure::new("dry_run_100k_s", hundred).at_most(ten * LINEAR).beside("ten thousand", ten),
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
