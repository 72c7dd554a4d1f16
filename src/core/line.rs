//! Targets that wait for room which they share. Whoever has room again takes the one with the most important work, and every so many times the one
//! whose work has waited longest: an endless stream on other targets holds up nobody for ever either.

use super::ready::Entry;
use super::state::TargetIndex;
use std::collections::{BTreeMap, BTreeSet};

/// What of a target decides when it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    /// What comes first there.
    pub(super) first: Entry,
    /// Since when the oldest of its work waits, in the numbers of turns.
    pub(super) since: u64,
}

impl Standing {
    /// The least goes next.
    pub(super) fn rank(self, for_the_oldest: bool) -> (Option<Entry>, u64) {
        (Some(self.first).filter(|_| !for_the_oldest), self.since)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    by_turn: BTreeSet<(Standing, TargetIndex)>,
    by_age: BTreeMap<(u64, TargetIndex), Standing>,
}

impl Line {
    pub(super) fn insert(&mut self, standing: Standing, index: TargetIndex) {
        self.by_turn.insert((standing, index));
        self.by_age.insert((standing.since, index), standing);
    }

    pub(super) fn remove(&mut self, standing: Standing, index: TargetIndex) {
        self.by_turn.remove(&(standing, index));
        self.by_age.remove(&(standing.since, index));
    }

    pub(super) fn next(&self, for_the_oldest: bool) -> Option<(Standing, TargetIndex)> {
        if for_the_oldest {
            self.by_age.first_key_value().map(|(&(_, index), &standing)| (standing, index))
        } else {
            self.by_turn.first().copied()
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (Standing, TargetIndex)> + '_ {
        assert_eq!(self.by_turn.len(), self.by_age.len(), "both orders know the same targets");
        self.by_turn.iter().copied()
    }
}
