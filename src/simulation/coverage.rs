//! The table state × event × fault: what was met how often.

use super::words::{Fault, Kind, State};
use std::collections::BTreeMap;

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
