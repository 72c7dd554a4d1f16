//! The ready queue of one target: what nothing holds but the room there, in the order in which it starts.
//!
//! Priorities come first, and inside one who came first. So that nothing waits for ever under an endless stream of more important work, every so
//! many starts one goes to whatever has waited longest.

use super::line::Standing;
use super::{DryRunId, Reason, ResourceId, limits};
use std::collections::BTreeMap;

/// Something that stands in a ready queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    Resource(ResourceId),
    DryRun(DryRunId, u32),
}

/// A place in the order: a priority, and a number in it.
pub(super) type Turn = (Reason, u64);

/// Where something stands in a ready queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) turn: Turn,
    /// When it was queued first, in the numbers of turns: a higher priority later changes its turn, not its age.
    pub(super) since: u64,
    pub(super) work: Work,
}

/// See the module. Turns and ages are numbers that nothing else in the queue has.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    by_turn: BTreeMap<Turn, (u64, Work)>,
    by_age: BTreeMap<u64, Turn>,
    ageing: Ageing,
}

/// How often somebody has had a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ageing(u64);

impl Ageing {
    /// Whether the next turn is that of whatever has waited longest.
    pub(super) fn is_for_the_oldest(self) -> bool {
        (self.0 + 1).is_multiple_of(limits::STARTS_PER_AGED)
    }

    pub(super) fn count(&mut self) {
        self.0 += 1;
    }
}

impl ReadyQueue {
    pub(super) fn insert(&mut self, Entry { turn, since, work }: Entry) {
        self.by_turn.insert(turn, (since, work));
        self.by_age.insert(since, turn);
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        self.by_turn.remove(&entry.turn);
        self.by_age.remove(&entry.since);
    }

    /// What starts next.
    pub(super) fn next(&self) -> Option<Entry> {
        if self.ageing.is_for_the_oldest() { self.iter_by_age().next() } else { self.first() }
    }

    /// It starts.
    pub(super) fn start(&mut self, entry: &Entry) {
        self.remove(entry);
        self.ageing.count();
    }

    /// What the target stands in line with.
    pub(super) fn standing(&self) -> Option<Standing> {
        let (&since, _) = self.by_age.first_key_value()?;
        Some(Standing { first: self.first()?, since })
    }

    /// The most important of all.
    pub(super) fn first(&self) -> Option<Entry> {
        self.iter().next()
    }

    /// How many stand before it.
    pub(super) fn ahead_of(&self, entry: &Entry) -> usize {
        self.by_turn.range(..entry.turn).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_turn.is_empty()
    }

    /// Takes out the first that has to do with a dry run.
    pub(super) fn take_dry_run(&mut self) -> Option<(DryRunId, u32)> {
        let turns = (Reason::DryRun, u64::MIN)..=(Reason::DryRun, u64::MAX);
        let (&turn, &(since, work)) = self.by_turn.range(turns).next()?;
        let Work::DryRun(id, item) = work else { return None };
        self.remove(&Entry { turn, since, work });
        Some((id, item))
    }

    /// The most important first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.by_turn.iter().map(|(&turn, &(since, work))| Entry { turn, since, work })
    }

    /// The oldest first.
    pub(super) fn iter_by_age(&self) -> impl Iterator<Item = Entry> + '_ {
        let entry = |turn| self.by_turn.get(turn).map(|&(since, work)| Entry { turn: *turn, since, work });
        self.by_age.values().filter_map(entry)
    }
}
