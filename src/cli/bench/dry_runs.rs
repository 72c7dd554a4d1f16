//! Dry runs, their stored result included.

use super::figure::Figure;
use super::workload;
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session};
use crate::cli::output::Output;
use crate::core::DryRunItem;
use std::sync::Arc;
use std::time::Instant;

const TARGETS: usize = 10;
/// A hundred thousand may take so many times what ten thousand take.
const LINEAR: f64 = 12.0;

pub(super) async fn times(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let mut seconds = Vec::new();
    for size in [10_000, 100_000] {
        let declared = workload::declared(&format!("dry-{size}"), size, TARGETS);
        let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
        let took = Session::run(state, output, prepare, async |session: &mut Session, ()| {
            session.configure(&declared).await?;
            let items = |intents: &[Arc<_>]| {
                intents.iter().map(|intent| DryRunItem { intent: Arc::clone(intent), removed: false }).collect()
            };
            session.dry_run(items(declared.intents.get(..1).unwrap_or_default())).await?;
            let began = Instant::now();
            session.dry_run(items(&declared.intents)).await?;
            Ok(began.elapsed())
        })
        .await?;
        seconds.push(took.as_secs_f64());
    }
    let (Some(&ten), Some(&hundred)) = (seconds.first(), seconds.last()) else { return Ok(Vec::new()) };
    Ok(vec![
        Figure::new("dry_run_10k_s", ten).at_most(1.0),
        Figure::new("dry_run_100k_s", hundred).at_most(ten * LINEAR).beside("ten thousand", ten),
    ])
}
