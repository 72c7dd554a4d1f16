//! `homeostat history`: the versions of the environment; of resources that are named or selected, their attempts, also where a name is gone long ago.

use crate::cli::arguments::HistoryOptions;
use crate::cli::document::{AttemptDocument, AttemptResult, ListDocument, VersionDocument};
use crate::cli::embedded::Reading;
use crate::cli::output::{Output, Table, counted, time};
use crate::cli::{CliError, Exit};
use crate::core::{Name, Timestamp};
use crate::history::VersionSummary;
use console::Style;

/// Prints versions or attempts, newest first.
pub(crate) async fn run(options: HistoryOptions, output: Output) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| {
        let names = reading.select_attempts(&options.select, output).await?;
        if options.attempts || names.is_some() {
            attempts(&options, names.as_deref(), reading, output).await?;
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

async fn attempts(
    options: &HistoryOptions,
    names: Option<&[Name]>,
    reading: &Reading,
    output: Output,
) -> Result<(), CliError> {
    let attempts = reading.store.attempts(&reading.environment, names, None, options.limit).await?;
    note_never(names, attempts.is_empty(), output);
    let document = list(reading, reading.documents(&attempts));
    // Some may have ended since the state was read.
    output.print(&document, || attempts_table(&document.items, time::now(), output.is_wide()).render())
}

/// Says it where nothing that is meant was ever attempted.
pub(super) fn note_never(names: Option<&[Name]>, never: bool, output: Output) {
    if let (Some([name, others @ ..]), true) = (names, never) {
        let others = if others.is_empty() { String::new() } else { format!(" and {}", counted(others.len(), "other")) };
        output.note(&format!("never attempted: {name}{others}; `homeostat why {name}` says why"));
    }
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
