//! `homeostat simulate --sweep`: deaths at every point of small worlds, compared with the same worlds without faults.

use crate::cli::arguments::SimulateOptions;
use crate::cli::output::{Output, Table, tell};
use crate::cli::{CliError, Exit};
use crate::simulation::{Deaths, SECOND_DEATHS, Swept, sweep};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct SweepDocument {
    worlds: u64,
    /// Runs with deaths that were compared with the one without.
    runs: u64,
    deaths: u64,
    events: u64,
    /// Times at which a world was at rest and compared.
    rests: usize,
    /// Where something could die, in the runs without faults.
    points: BTreeMap<&'static str, u64>,
    failures: Vec<Difference>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    seed: u64,
    at: Vec<usize>,
    deaths: Vec<&'static str>,
    promise: String,
    checker: &'static str,
    what: String,
    #[serde(skip)]
    text: String,
}

/// Sweeps the worlds of these seeds. Ends with [`Exit::NotCompliant`] where a run did not end as the one without faults.
pub(super) fn run(seeds: &RangeInclusive<u64>, options: &SimulateOptions, output: Output) -> Result<Exit, CliError> {
    let deaths = match options.at.as_slice() {
        [] => Deaths::All { second: SECOND_DEATHS },
        at => Deaths::At(at.iter().copied().filter(|&point| point > 0).collect()),
    };
    let mut document = SweepDocument::default();
    super::cores::each(
        seeds,
        " --sweep",
        |seed| sweep(seed, &deaths, options.mutant),
        |_, swept| {
            if options.trace {
                tell(swept.trace.join("\n"));
            }
            let known = document.failures.len();
            document.add(swept);
            for failure in document.failures.iter().skip(known) {
                output.note(&failure.text);
            }
        },
    );
    output.print(&document, || document.text())?;
    Ok(if document.failures.is_empty() { Exit::Done } else { Exit::NotCompliant })
}

impl SweepDocument {
    fn add(&mut self, swept: Swept) {
        self.worlds += 1;
        self.runs += swept.runs;
        self.deaths += swept.deaths;
        self.events += swept.events;
        self.rests += swept.rests;
        for (point, count) in swept.points {
            *self.points.entry(point).or_default() += count;
        }
        self.failures.extend(swept.failures.into_iter().map(|failure| Difference {
            seed: swept.seed,
            text: failure.text(swept.seed),
            promise: format!("{:?}", failure.violation.checker.promise()),
            checker: failure.violation.checker.name(),
            what: failure.violation.detail,
            at: failure.at,
            deaths: failure.deaths,
        }));
    }

    fn text(&self) -> String {
        let mut table = Table::new(&["WORLDS", "RUNS", "DEATHS", "EVENTS", "COMPARED", "FAILED"]);
        let failed = self.failures.len() as u64;
        let counts = [self.worlds, self.runs, self.deaths, self.events, self.rests as u64, failed];
        table.row(counts.iter().map(ToString::to_string).collect());
        let mut text = table.render();
        for (point, count) in &self.points {
            let _ = writeln!(text, "{count} points, {point}");
        }
        for failure in &self.failures {
            let _ = write!(text, "\n{}", failure.text);
        }
        text
    }
}
