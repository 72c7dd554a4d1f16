//! `homeostat simulate`: plays seeds, and says what they broke and how to repeat it.

mod cores;
mod sweep;

use super::arguments::SimulateOptions;
use super::output::{Output, Table, tell};
use super::{CliError, Exit};
use crate::simulation::{
    self, CellsOf, Coverage, Deaths, Fault, Kind, Mutant, Played, SECOND_DEATHS, Size, State, Violation, must_be_met,
    play, why_impossible,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// In how many seeds a deliberate bug must be noticed, when nothing else is said.
const MUTANT_SEEDS: u64 = 100;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct SimulationDocument {
    seeds: u64,
    events: u64,
    resources: u64,
    attempts: u64,
    effects: u64,
    owners: u64,
    executors: u64,
    faults: BTreeMap<&'static str, u64>,
    failures: Vec<Failure>,
    /// Of a single seed: equal for equal runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    /// How often each event found a resource in each state, under each fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    table: Vec<Cell>,
    /// Cells that must be met by so many seeds, and were not: from 5,000 seeds on every one that can be, from 500 seeds on each two of event, fault and
    /// state, the third being `any`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    empty_cells: Vec<Cell>,
    /// Cells that were met although they are declared impossible: the declaration is wrong, or what was played.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    impossible_cells: Vec<Cell>,
    #[serde(skip)]
    coverage: Coverage,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cell {
    event: &'static str,
    fault: &'static str,
    state: &'static str,
    count: u64,
    /// Why it can never be met.
    #[serde(skip_serializing_if = "Option::is_none")]
    impossible: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    seed: u64,
    event: u64,
    promise: String,
    checker: &'static str,
    what: String,
    repeat: String,
}

/// Plays what was asked for. Ends with [`Exit::NotCompliant`] where a promise was broken.
pub(crate) fn run(options: &SimulateOptions, output: Output) -> Result<Exit, CliError> {
    let size = if options.long { Size::LONG } else { Size::SHORT };
    if options.mutants {
        return run_mutants(&options.seeds.clone().unwrap_or(1..=MUTANT_SEEDS), size, output);
    }
    let seeds = match (options.seed, &options.seeds) {
        (Some(seed), _) => seed..=seed,
        (None, Some(seeds)) => seeds.clone(),
        (None, None) => return Err(CliError::Usage("say which seeds: --seed N or --seeds A..B".to_owned())),
    };
    if options.sweep {
        return sweep::run(&seeds, options, output);
    }
    let mut document = SimulationDocument::default();
    let play = |seed| play(seed, size, options.mutant, options.trace);
    cores::each(&seeds, &options.flags(), play, |seed, played| {
        if options.trace || played.violation.is_some() {
            tell(played.trace.join("\n"));
        }
        document.add(played, options);
        if let Some(failure) = document.failures.last().filter(|failure| failure.seed == seed) {
            output.note(&failure.text());
        }
    });
    if options.table {
        document.table = cells(&document.coverage);
    }
    if options.mutant.is_none() {
        document.empty_cells = empty_cells(&document.coverage, document.seeds);
        document.impossible_cells = cells(&document.coverage);
        document.impossible_cells.retain(|cell| cell.count > 0 && cell.impossible.is_some());
    }
    output.print(&document, || document.text())?;
    Ok(if document.is_clean() { Exit::Done } else { Exit::NotCompliant })
}

impl SimulateOptions {
    /// With which one of the seeds is repeated.
    fn flags(&self) -> String {
        let mut flags = self.mutant.map_or_else(String::new, |mutant| format!(" --mutant {}", mutant.name()));
        flags.push_str(if self.long { " --long" } else { "" });
        flags
    }
}

impl SimulationDocument {
    fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.empty_cells.is_empty() && self.impossible_cells.is_empty()
    }

    fn add(&mut self, played: Played, options: &SimulateOptions) {
        self.seeds += 1;
        self.events += played.events;
        self.resources += played.resources as u64;
        self.attempts += played.attempts as u64;
        self.effects += played.effects;
        self.owners += played.owners;
        self.executors += played.executors;
        for (fault, count) in &played.faults {
            *self.faults.entry(Fault::word(*fault)).or_default() += count;
        }
        self.coverage.add(&played.coverage);
        self.trace = options.seed.map(|_| played.hash);
        let more = options.flags();
        self.failures.extend(played.violation.map(|(event, violation)| Failure {
            seed: played.seed,
            event,
            promise: format!("{:?}", violation.checker.promise()),
            checker: violation.checker.name(),
            what: violation.detail,
            repeat: format!("homeostat simulate --seed {}{more}", played.seed),
        }));
    }

    /// Cells that were met, of those that can be.
    fn coverage_counts(&self) -> (usize, usize) {
        let possible = simulation::possible_cells();
        let met = possible.iter().filter(|&&(kind, fault, state)| self.coverage.count(state, kind, fault) > 0);
        (met.count(), possible.len())
    }

    /// One line per event and fault, one column per state; `-` where it can never be.
    fn coverage_text(&self) -> String {
        let mut headings = vec!["EVENT", "FAULT"];
        headings.extend(State::ALL.iter().map(|state| state.word()));
        let mut table = Table::new(&headings);
        for line in self.table.chunk_by(|a, b| (a.event, a.fault) == (b.event, b.fault)) {
            let names = line.first().map_or([""; 2], |cell| [cell.event, cell.fault]).map(str::to_owned);
            table.row(names.into_iter().chain(line.iter().map(Cell::text)).collect());
        }
        table.render()
    }

    fn text(&self) -> String {
        let mut table =
            Table::new(&["SEEDS", "EVENTS", "RESOURCES", "ATTEMPTS", "EFFECTS", "OWNERS", "EXECUTORS", "FAILED"]);
        let failed = self.failures.len() as u64;
        let counts =
            [self.seeds, self.events, self.resources, self.attempts, self.effects, self.owners, self.executors, failed];
        table.row(counts.iter().map(ToString::to_string).collect());
        let faults: Vec<String> = self.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        let mut text = format!("{}faults: {}\n", table.render(), faults.join(", "));
        if let Some(trace) = &self.trace {
            let _ = writeln!(text, "trace: {trace}");
        }
        if !self.table.is_empty() {
            let _ = write!(text, "\n{}", self.coverage_text());
        }
        let (met, all) = self.coverage_counts();
        let _ = writeln!(text, "cells met: {met} of {all} that can be");
        for cell in &self.empty_cells {
            let Cell { event, fault, state, .. } = cell;
            let _ = writeln!(text, "EMPTY: event {event}, state {state}, fault {fault} were never met together");
        }
        for Cell { event, fault, state, impossible, .. } in &self.impossible_cells {
            let why = impossible.unwrap_or_default();
            let _ = writeln!(text, "MET: event {event}, state {state}, fault {fault}, though {why}");
        }
        for failure in &self.failures {
            let _ = write!(text, "\n{}", failure.text());
        }
        text
    }
}

fn empty_cells(coverage: &Coverage, seeds: u64) -> Vec<Cell> {
    let cells = must_be_met(seeds);
    let empty = cells.into_iter().filter(|cell| cell.count(coverage) == 0);
    let word = |word: Option<&'static str>| word.unwrap_or("any");
    let cell = |cell: CellsOf| Cell {
        event: word(cell.kind.map(Kind::word)),
        fault: word(cell.fault.map(Fault::word)),
        state: word(cell.state.map(State::word)),
        count: 0,
        impossible: None,
    };
    empty.map(cell).collect()
}

/// Every cell of the table, also the empty ones.
fn cells(coverage: &Coverage) -> Vec<Cell> {
    let rows = Kind::ALL.iter().flat_map(|&kind| Fault::ALL.iter().map(move |&fault| (kind, fault)));
    let all = rows.flat_map(|(kind, fault)| State::ALL.iter().map(move |&state| (kind, fault, state)));
    let cell = |(kind, fault, state): (Kind, Fault, State)| Cell {
        event: kind.word(),
        fault: fault.word(),
        state: state.word(),
        count: coverage.count(state, kind, fault),
        impossible: why_impossible(state, kind, fault),
    };
    all.map(cell).collect()
}

impl Cell {
    fn text(&self) -> String {
        match self.impossible {
            Some(_) if self.count == 0 => "-".to_owned(),
            _ => self.count.to_string(),
        }
    }
}

impl Failure {
    fn text(&self) -> String {
        format!(
            "seed {}, event {}: {} is broken ({})\n  {}\n  repeat it with: {}\n",
            self.seed, self.event, self.promise, self.checker, self.what, self.repeat
        )
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MutantLine {
    mutant: &'static str,
    says: &'static str,
    promise: String,
    checker: &'static str,
    /// The first seed in which that checker noticed.
    seed: Option<u64>,
    event: Option<u64>,
    /// A sweep noticed: the event is the point at which something died first.
    swept: bool,
    /// Checkers that noticed first in seeds before that one.
    others: BTreeMap<&'static str, u64>,
}

/// Plays every deliberate bug until its checker notices it; one that it does not notice fails.
fn run_mutants(seeds: &RangeInclusive<u64>, size: Size, output: Output) -> Result<Exit, CliError> {
    let lines: Vec<MutantLine> = Mutant::ALL.iter().map(|&mutant| play_mutant(mutant, size, seeds)).collect();
    output.print(&lines, || {
        let mut table = Table::new(&["MUTANT", "PROMISE", "CHECKER", "NOTICED", "OTHERS BEFORE", "WHAT IS WRONG"]);
        for line in &lines {
            let noticed = match (line.seed, line.event) {
                (Some(seed), Some(event)) if line.swept => format!("seed {seed}, death at {event}"),
                (Some(seed), Some(event)) => format!("seed {seed}, event {event}"),
                _ => "NOT NOTICED".to_owned(),
            };
            let others: Vec<String> = line.others.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let cells = [line.mutant, &line.promise, line.checker, &noticed, &others.join(", "), line.says];
            table.row(cells.map(str::to_owned).into());
        }
        table.render()
    })?;
    Ok(if lines.iter().all(|line| line.seed.is_some()) { Exit::Done } else { Exit::NotCompliant })
}

/// What a deliberate bug breaks first in a seed, and at which event; in a sweep, at which point something died.
fn first_broken(mutant: Mutant, size: Size, seed: u64) -> Option<(u64, Violation)> {
    if !mutant.needs_a_sweep() {
        return play(seed, size, Some(mutant), false).violation;
    }
    let found = simulation::sweep(seed, &Deaths::All { second: SECOND_DEATHS }, Some(mutant)).failures;
    let first = found.into_iter().next()?;
    Some((first.at.first().copied().unwrap_or_default() as u64, first.violation))
}

fn play_mutant(mutant: Mutant, size: Size, seeds: &RangeInclusive<u64>) -> MutantLine {
    let (promise, checker) = (format!("{:?}", mutant.promise()), mutant.caught_by());
    let mut others = BTreeMap::new();
    let found = seeds.clone().find_map(|seed| {
        let (event, violation) = first_broken(mutant, size, seed)?;
        if violation.checker == checker {
            return Some((seed, event));
        }
        *others.entry(violation.checker.name()).or_default() += 1;
        None
    });
    let (seed, event) = found.unzip();
    let (says, swept) = (mutant.says(), mutant.needs_a_sweep());
    MutantLine { mutant: mutant.name(), says, promise, checker: checker.name(), seed, event, swept, others }
}
