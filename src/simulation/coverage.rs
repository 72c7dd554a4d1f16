//! The table state × event × fault: what was met how often, and what a run of so many seeds must meet.
//!
//! What the simulated world does not do is not attacked, so an empty cell fails: every one that can be met, where enough seeds are played to meet the
//! rarest; of a share of them each two of the three words, which lose nothing that the world does, but do not say when; of a few, as the longer worlds of
//! a soak are, each word by itself. `scripts/seeds` says which it was.

use super::impossible::why_impossible;
use super::words::{Fault, Kind, State};
use std::collections::{BTreeMap, BTreeSet};

/// So many seeds must meet every cell that can be met. Fewer may leave rare ones empty.
const MANY_SEEDS: u64 = 5_000;
/// So many seeds must meet each two words that can be met. The rarest of them is met a few times by so many.
const SHARE_OF_SEEDS: u64 = 500;
/// So many seeds must meet each word. Fewer need not even have every kind of world.
const FEW_SEEDS: u64 = 50;

/// All cells with these words; where one is missing, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CellsOf {
    pub(crate) kind: Option<Kind>,
    pub(crate) fault: Option<Fault>,
    pub(crate) state: Option<State>,
}

/// Every cell that is not declared impossible.
pub(crate) fn possible_cells() -> Vec<(Kind, Fault, State)> {
    let rows = Kind::ALL.iter().flat_map(|&kind| Fault::ALL.iter().map(move |&fault| (kind, fault)));
    let all = rows.flat_map(|(kind, fault)| State::ALL.iter().map(move |&state| (kind, fault, state)));
    all.filter(|&(kind, fault, state)| why_impossible(state, kind, fault).is_none()).collect()
}

/// What a run of so many seeds must have met.
pub(crate) fn must_be_met(seeds: u64) -> Vec<CellsOf> {
    let cells = possible_cells().into_iter();
    let cells = cells.map(|(kind, fault, state)| CellsOf { kind: Some(kind), fault: Some(fault), state: Some(state) });
    if seeds >= MANY_SEEDS {
        return cells.collect();
    }
    if seeds < FEW_SEEDS {
        return Vec::new();
    }
    if seeds < SHARE_OF_SEEDS {
        let none = CellsOf { kind: None, fault: None, state: None };
        let words = cells.flat_map(|cell| {
            let CellsOf { kind, fault, state } = cell;
            [CellsOf { kind, ..none }, CellsOf { fault, ..none }, CellsOf { state, ..none }]
        });
        return words.collect::<BTreeSet<_>>().into_iter().collect();
    }
    let mut pairs: BTreeMap<CellsOf, usize> = BTreeMap::new();
    for cell in cells {
        for pair in [CellsOf { kind: None, ..cell }, CellsOf { fault: None, ..cell }, CellsOf { state: None, ..cell }] {
            *pairs.entry(pair).or_default() += 1;
        }
    }
    // Two words that only a third one allows are one cell, which may be a rare one.
    pairs.into_iter().filter(|&(_, cells)| cells > 1).map(|(pair, _)| pair).collect()
}

impl CellsOf {
    /// How often any of them was met.
    pub(crate) fn count(self, coverage: &Coverage) -> u64 {
        let is = |&(state, kind, fault): &(State, Kind, Fault)| {
            let Self { kind: of_kind, fault: of_fault, state: of_state } = self;
            of_kind.is_none_or(|of| of == kind)
                && of_fault.is_none_or(|of| of == fault)
                && of_state.is_none_or(|of| of == state)
        };
        coverage.cells.iter().filter(|(cell, _)| is(cell)).map(|(_, count)| count).sum()
    }
}

/// How often each cell was met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    cells: BTreeMap<(State, Kind, Fault), u64>,
}

impl Coverage {
    /// Something happened to a resource in this state while this fault was at work.
    pub(super) fn met(&mut self, state: State, kind: Kind, fault: Fault) {
        *self.cells.entry((state, kind, fault)).or_default() += 1;
    }

    /// Adds what another run met.
    pub(crate) fn add(&mut self, other: &Self) {
        for (&cell, count) in &other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
    }

    /// How often a cell was met.
    pub(crate) fn count(&self, state: State, kind: Kind, fault: Fault) -> u64 {
        self.cells.get(&(state, kind, fault)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_seeds_must_meet_each_word_a_share_of_them_each_two_and_all_of_them_every_cell() {
        assert_eq!(must_be_met(49), []);
        assert_eq!(must_be_met(499).len(), Kind::ALL.len() + Fault::ALL.len() + State::ALL.len());
        assert_eq!(must_be_met(5_000).len(), possible_cells().len());
        let pairs = must_be_met(500);
        assert!(pairs.len() > 400, "{} pairs", pairs.len());

        let mut coverage = Coverage::default();
        coverage.met(State::Good, Kind::Due, Fault::Clock);
        let met = pairs.iter().filter(|pair| pair.count(&coverage) == 1);
        assert_eq!(met.count(), 3);
    }
}
