//! What is done with a batch that history refuses because of a text in it: the record is found by bisecting, and stored stripped and marked, so that
//! one attempt's message never stops an environment.
//!
//! Only texts that nothing is decided by are touched: messages, differences, authors, what a target calls a thing (its intent still finds it). A name,
//! an intent, a setting is never changed; what is wrong with those is refused where they come in ([`check_event`]), before anything follows from
//! them. Deliberately absent: what the environment knows in memory, which keeps the whole text until the next attempt.

mod entry;
mod stripping;

pub(crate) use entry::check_event;

use super::{Batch, Fence, HistoryError, Store};
use std::ops::Range;
use stripping::Severity;

/// The same batch with what it was refused for stripped, and what that was. Refused where stripping cannot help.
pub(crate) async fn mend(
    store: &dyn Store,
    fence: &Fence,
    batch: &Batch,
) -> Result<(Batch, Vec<String>), HistoryError> {
    let mut severity = Severity::Escape;
    match store.probe(fence, &stripped_but(batch, 0..0, severity)).await {
        Err(HistoryError::Refused { .. }) => {
            severity = Severity::Drop;
            store.probe(fence, &stripped_but(batch, 0..0, severity)).await?;
        }
        answer => answer?,
    }
    let guilty = bisect(store, fence, batch, severity).await?;
    let mut mended = batch.clone();
    for (at, reason) in &guilty {
        strip(&mut mended, *at, severity, reason);
    }
    let found = guilty.iter().map(|(at, reason)| format!("{}: {reason}", what(batch, *at))).collect();
    Ok((mended, found))
}

/// The records, and the rows behind them, that are refused even when everything else is stripped, and why: about `2 · log₂` probes for each.
async fn bisect(
    store: &dyn Store,
    fence: &Fence,
    batch: &Batch,
    severity: Severity,
) -> Result<Vec<(usize, String)>, HistoryError> {
    let mut guilty = Vec::new();
    let all = 0..batch.records.len() + batch.rows.len();
    let mut suspects = vec![all];
    while let Some(kept) = suspects.pop() {
        match store.probe(fence, &stripped_but(batch, kept.clone(), severity)).await {
            Ok(()) => {}
            Err(HistoryError::Refused { reason }) if kept.len() == 1 => guilty.push((kept.start, reason)),
            Err(HistoryError::Refused { .. }) => {
                let middle = kept.start.midpoint(kept.end);
                suspects.extend([kept.start..middle, middle..kept.end]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(guilty)
}

/// The batch with everything stripped but these.
fn stripped_but(batch: &Batch, kept: Range<usize>, severity: Severity) -> Batch {
    let mut stripped = batch.clone();
    let all = 0..batch.records.len() + batch.rows.len();
    all.filter(|at| !kept.contains(at)).for_each(|at| strip(&mut stripped, at, severity, ""));
    stripped
}

fn strip(batch: &mut Batch, at: usize, severity: Severity, reason: &str) {
    let records = batch.records.len();
    if let Some(record) = batch.records.get_mut(at) {
        severity.strip_record(record, reason);
    } else if let Some(row) = batch.rows.get_mut(at - records) {
        severity.strip_row(row, reason);
    }
}

/// A record or row, for people.
fn what(batch: &Batch, at: usize) -> String {
    use crate::core::Record;
    match batch.records.get(at) {
        Some(Record::Version(version)) => format!("version {}", version.number),
        Some(Record::Outcome { outcome, .. }) => format!("the outcome of attempt {}", outcome.attempt),
        Some(Record::LateResult(outcome)) => format!("the late result of attempt {}", outcome.attempt),
        Some(Record::Request(order)) => format!("request {}", order.id),
        Some(Record::DryRun { id, .. }) => format!("dry run {id}"),
        Some(Record::DryRunResult { id, name, .. }) => format!("the result of {name:?} in dry run {id}"),
        Some(_) => format!("record {at} of batch {}", batch.number),
        None => batch
            .rows
            .get(at - batch.records.len())
            .map_or_else(String::new, |row| format!("the current row of {:?}", row.intent.name)),
    }
}
