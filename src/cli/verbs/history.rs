//! `homeostat history [NAME]`: the versions of the environment, or the attempts of a resource.

use crate::cli::arguments::HistoryOptions;
use crate::cli::document::{AttemptDocument, AttemptResult, ListDocument, VersionDocument};
use crate::cli::embedded::Reading;
use crate::cli::output::{Output, Table, time};
use crate::cli::{CliError, Exit};
use crate::core::Timestamp;
use crate::history::VersionSummary;
use console::Style;

/// Prints versions or attempts, newest first.
pub(crate) async fn run(options: HistoryOptions, output: Output) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| {
        if options.attempts || options.name.is_some() {
            attempts(&options, reading, output).await?;
        } else {
            versions(&options, reading, output).await?;
        }
        Ok(Exit::Done)
    })
    .await
}

async fn versions(options: &HistoryOptions, reading: &Reading, output: Output) -> Result<(), CliError> {
    let versions = reading.store.versions(&reading.environment, None, options.limit).await?;
    let document = list(reading, versions.iter().map(VersionDocument::from).collect());
    output.print(&document, || versions_table(&versions, reading.now, output.is_wide()).render())
}

async fn attempts(options: &HistoryOptions, reading: &Reading, output: Output) -> Result<(), CliError> {
    let attempts = reading.store.attempts(&reading.environment, options.name.as_deref(), None, options.limit).await?;
    if let (Some(name), true) = (&options.name, attempts.is_empty()) {
        reading.find(name)?;
        output.note(&format!("{name} was never attempted; `homeostat why {name}` says why"));
    }
    let document = list(reading, attempts.iter().map(AttemptDocument::from).collect());
    output.print(&document, || attempts_table(&document.items, reading.now, output.is_wide()).render())
}

fn list<T>(reading: &Reading, items: Vec<T>) -> ListDocument<T> {
    ListDocument {
        environment: reading.environment.clone(),
        version: reading.state.version(),
        counts: None,
        suspensions: Vec::new(),
        items,
    }
}

fn versions_table(versions: &[VersionSummary], now: Timestamp, wide: bool) -> Table {
    let mut table = Table::new(&["VERSION", "ACCEPTED", "AUTHOR", "SOURCE", "CHANGED", "REMOVED", "MESSAGE"]);
    for version in versions {
        table.row(vec![
            version.number.to_string(),
            if wide { time::iso(version.at) } else { time::relative(version.at, now) },
            version.author.to_string(),
            version.source.to_string(),
            version.upserts.to_string(),
            version.removals.to_string(),
            version.message.to_string(),
        ]);
    }
    table
}

/// The table of attempts; with `wide` also who ran them, exact times and the difference.
pub(super) fn attempts_table(attempts: &[AttemptDocument], now: Timestamp, wide: bool) -> Table {
    let mut headings = vec!["ATTEMPT", "NAME", "VERSION", "REASON", "OPERATION", "WHEN", "TOOK", "RESULT", "ERROR"];
    if wide {
        headings.extend(["EXECUTOR", "DIFFERENCE"]);
    }
    let mut table = Table::new(&headings);
    for attempt in attempts {
        let mut cells = vec![
            attempt.attempt.to_string(),
            attempt.name.to_string(),
            attempt.version.map_or_else(String::new, |version| version.to_string()),
            reason(attempt),
            attempt.operation.map_or_else(String::new, |operation| format!("{operation:?}")),
            attempt.at.map_or_else(String::new, |at| if wide { time::iso(at) } else { time::relative(at, now) }),
            attempt.took_ms.map_or_else(String::new, time::took),
            result_style(attempt.result).apply_to(attempt.result).to_string(),
            attempt.error.as_deref().unwrap_or_default().to_owned(),
        ];
        if wide {
            cells.extend([
                attempt.executor.as_deref().unwrap_or_default().to_owned(),
                attempt.diff.as_deref().unwrap_or_default().to_owned(),
            ]);
        }
        table.row(cells);
    }
    table
}

/// `Change`, or `Change, reload for nginx-conf`.
fn reason(attempt: &AttemptDocument) -> String {
    let reason = attempt.reason.map_or_else(String::new, |reason| format!("{reason:?}"));
    match &attempt.reload {
        Some(because) => format!("{reason}, reload for {because}"),
        None => reason,
    }
}

pub(super) fn result_style(result: AttemptResult) -> Style {
    match result {
        AttemptResult::Failed | AttemptResult::Lost => Style::new().red(),
        AttemptResult::Skipped | AttemptResult::Differs => Style::new().yellow(),
        changed if changed.is_change() => Style::new().green(),
        _ => Style::new(),
    }
}
