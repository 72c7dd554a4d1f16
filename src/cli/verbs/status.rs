//! `homeostat status`: the resources and their states.

use super::{suspend, why};
use crate::cli::arguments::StatusOptions;
use crate::cli::document::{ListDocument, ResourceDocument, State, SuspensionDocument};
use crate::cli::embedded::Reading;
use crate::cli::output::{Output, Table, counted as number_of, either, state_style, time};
use crate::cli::{CliError, Exit};
use crate::core::{Counts, Hold, ResourceView, Timestamp, VersionNumber, limits};

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
        let notes = suspended.chain(interrupted(&views)).chain(closed(reading, &views)).chain(unborn(reading));
        [format!("{table}\n{}", headline(&document))].into_iter().chain(notes).collect::<Vec<_>>().join("\n  ")
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

/// What a process had in hand that has ended.
fn interrupted(views: &[ResourceView]) -> Option<String> {
    let count = views.iter().filter(|view| State::of(view) == State::Interrupted).count();
    let attempts = number_of(count, "attempt");
    (count > 0).then(|| {
        let was = either(count, "was", "were");
        format!(
            "{attempts} {was} interrupted, and nobody works on this now: `homeostat deploy` settles that and goes on"
        )
    })
}

/// The first of what waits for a window of its target, and until when. Looks at so many that are not good.
fn closed(reading: &Reading, views: &[ResourceView]) -> Option<String> {
    let waiting = views.iter().filter(|view| !view.good).take(limits::LISTED_NAMES);
    waiting.into_iter().find_map(|view| {
        let holds = reading.state.why(view.row.resource);
        let hold = holds.iter().find(|hold| matches!(hold, Hold::OutsideWindow { .. }))?;
        Some(format!("{} waits: {}", view.row.intent.name, why::told(hold, reading.now)))
    })
}

/// Nothing was accepted yet, and somebody is about to.
fn unborn(reading: &Reading) -> Option<String> {
    let unborn = reading.at_work && reading.state.version() == VersionNumber(0);
    unborn.then(|| "it is being set up by another process: ask again when its first version is accepted".to_owned())
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
