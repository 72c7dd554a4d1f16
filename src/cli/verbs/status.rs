//! `homeostat status`: the resources and their states.

use super::suspend;
use crate::cli::arguments::StatusOptions;
use crate::cli::document::{ListDocument, ResourceDocument, State, SuspensionDocument};
use crate::cli::embedded::Reading;
use crate::cli::output::{Output, Table, state_style, time};
use crate::cli::{CliError, Exit};
use crate::core::{Counts, ResourceView, Timestamp};

/// Prints the resources, and fails with [`Exit::NotCompliant`] where one of them is not good.
pub(crate) async fn run(options: StatusOptions, output: Output) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| list(&options, reading, output)).await
}

fn list(options: &StatusOptions, reading: &Reading, output: Output) -> Result<Exit, CliError> {
    let views = reading.select(&options.select, output)?;
    let document = ListDocument {
        environment: reading.environment.clone(),
        version: reading.state.version(),
        counts: Some(reading.state.counts()),
        suspensions: reading.state.suspensions().map(SuspensionDocument::from).collect(),
        items: views.iter().map(ResourceDocument::from).collect(),
    };
    let text = || {
        let table = table(&views, reading.now, output.is_wide()).render();
        let suspended = reading.state.suspensions().map(|suspension| suspend::told(suspension, reading.now));
        [format!("{table}\n{}", headline(&document))].into_iter().chain(suspended).collect::<Vec<_>>().join("\n  ")
    };
    output.print(&document, text)?;
    let compliant = views.iter().all(|view| view.good);
    Ok(if compliant { Exit::Done } else { Exit::NotCompliant })
}

/// The table of resources.
fn table(views: &[ResourceView], now: Timestamp, wide: bool) -> Table {
    let mut headings = vec!["NAME", "TYPE", "TARGET", "STATE", "VERSION", "VERIFIED", "CHANGED"];
    if wide {
        headings.extend(["ATTEMPT", "FAILURES", "DUE", "REQUIRES", "ERROR"]);
    }
    let mut table = Table::new(&headings);
    let moment = |at: Option<Timestamp>| at.map_or_else(String::new, |at| time::relative(at, now));
    for view in views {
        let (row, state) = (&view.row, State::of(view));
        let mut cells = vec![
            row.intent.name.to_string(),
            row.intent.kind.to_string(),
            row.intent.target.to_string(),
            state_style(state).apply_to(state).to_string(),
            row.version.to_string(),
            moment(row.verified_at),
            moment(row.deployed_at),
        ];
        if wide {
            cells.extend([
                row.last_attempt.map_or_else(String::new, |attempt| attempt.to_string()),
                row.failures.to_string(),
                moment(row.due_at),
                row.intent.requires.join(","),
                row.error.as_deref().unwrap_or_default().to_owned(),
            ]);
        }
        table.row(cells);
    }
    table
}

/// `environment quickstart, version 3: 8 of 8 compliant`.
fn headline(document: &ListDocument<ResourceDocument>) -> String {
    let counts = document.counts.unwrap_or_default();
    format!("environment {}, version {}: {}", document.environment, document.version, counted(&counts))
}

/// `7 of 8 compliant, 1 failed`.
fn counted(counts: &Counts) -> String {
    let mut parts = vec![format!("{} of {} compliant", counts.compliant, counts.total)];
    let others = [
        (counts.updating, "updating"),
        (counts.unreleased, "unreleased"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.drifted, "drifted"),
        (counts.undefined, "undefined"),
        (counts.tombstones, "being deleted"),
    ];
    parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    parts.join(", ")
}
