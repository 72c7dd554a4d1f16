//! The simulator: the real core, the real heart of the scheduler and the real history in memory, in a model world of owners that die, executors,
//! streams, targets, users and clocks. One seed decides everything, and repeats it exactly.
//!
//! A run begins with a first deploy of twenty resources and more, lets users and faults act until so many events were taken in ([`Size`]), then heals, and ends
//! with a day of rest. Promises are judged by the model world: by what was done on targets and what was committed, not by what the scheduler says of
//! itself. What the scheduler says is judged too (`watch.rs`).
//!
//! Deliberately absent: tokio, PostgreSQL, gRPC and real processes, which are attacked elsewhere; Kubernetes.

mod agenda;
mod clock;
mod coverage;
mod ending;
mod executor;
mod faults;
mod impossible;
mod intents;
mod journal;
mod mutant;
mod orders;
mod owner;
mod random;
mod secrets;
mod stale;
mod standing;
mod store;
mod stream;
mod sweep;
mod targets;
#[cfg(test)]
mod tests;
mod trace;
mod trial;
mod users;
mod violation;
mod watch;
mod windows;
mod words;
mod world;

pub(crate) use coverage::{CellsOf, Coverage, must_be_met, possible_cells};
pub(crate) use impossible::why_impossible;
pub(crate) use mutant::Mutant;
pub(crate) use sweep::{Deaths, SECOND_DEATHS, Swept, sweep};
pub(crate) use violation::Violation;
pub(crate) use words::{Fault, Kind, State};

use std::collections::BTreeMap;
use world::World;

/// How much happens in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Names that users declare, at least; up to twice as many.
    pub(crate) names: usize,
    /// Targets, at least; up to four more.
    pub(crate) targets: usize,
    /// Events before it heals, at least; the edits of a long storm are not among them.
    pub(crate) events: u64,
    /// Virtual time after which it heals although it had fewer: a scheduler that does nothing any more is found by what follows.
    pub(crate) most_ms: u64,
}

impl Size {
    /// What every seed has.
    pub(crate) const SHORT: Self = Self { names: 20, targets: 2, events: 500, most_ms: 2 * 3_600_000 };
    /// `--long`: four times the events, on three times the resources and targets.
    pub(crate) const LONG: Self = Self { names: 60, targets: 6, events: 2_000, most_ms: 8 * 3_600_000 };
}

/// What came of a seed.
pub(crate) struct Played {
    pub(crate) seed: u64,
    /// Events that a core took in.
    pub(crate) events: u64,
    /// Resources that there ever were.
    pub(crate) resources: usize,
    /// Owners that there were, one after the other.
    pub(crate) owners: u64,
    pub(crate) executors: u64,
    /// Grants in history.
    pub(crate) attempts: usize,
    /// Enforcements and deletions carried out on targets.
    pub(crate) effects: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) coverage: Coverage,
    /// Equal for equal runs.
    pub(crate) hash: String,
    /// What happened; the end of it, unless all of it was asked for.
    pub(crate) trace: Vec<String>,
    /// The first promise that was broken, and at which event.
    pub(crate) violation: Option<(u64, Violation)>,
}

/// Plays one seed, with a deliberate bug where one is named. `whole_trace`: every line is kept, not only the last ones.
pub(crate) fn play(seed: u64, size: Size, mutant: Option<Mutant>, whole_trace: bool) -> Played {
    let mut world = World::new(seed, size, mutant, whole_trace);
    world.begin();
    while world.violation.is_none() && world.events < size.events + world.users.stormed && world.now < size.most_ms {
        world.run_until(world.now + 1_000);
    }
    if world.violation.is_none() {
        world.end();
    }
    world.must_have_been_large(size);
    let (events, journal) = (world.events, &world.store.journal);
    let (resources, attempts) = (journal.resources(), journal.grants.len());
    let (owners, executors) = (u64::from(world.last_owner), u64::from(world.last_executor));
    let (faults, coverage) = (world.faults.counts().clone(), world.coverage.clone());
    let (effects, violation) = (world.effects, world.violation.clone());
    let trace = world.into_trace();
    Played {
        seed,
        events,
        resources,
        owners,
        executors,
        attempts,
        effects,
        faults,
        coverage,
        hash: trace.hash(),
        trace: trace.into_lines(),
        violation,
    }
}
