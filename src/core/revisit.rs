//! What concerns everything at once, or all that is on a target: a suspension, other settings of repairs, a clock that was set back, a window that
//! opens, a pool that has its first executor. It is looked at a share per step, since a million at once would be the longest step of all; until all of
//! it has been looked at nothing is granted. However often that changes meanwhile, it is looked at once more, not once for each time.
//!
//! Deliberately absent: what is left of it when the owner ends. The next one thinks everything over anyway, and measures timers anew that are due
//! later than any is ever armed (`restore.rs`).

use super::ResourceId;
use super::state::{EnvironmentState, TargetIndex};
use super::timers::Latest;
use std::collections::BTreeMap;
use std::ops::Range;

/// Everything is looked at again, up to the last number that was given when that was asked for; and what is on some targets.
#[derive(Debug, Default)]
pub(super) struct Revisit {
    left: Range<u32>,
    why: Why,
    places: BTreeMap<TargetIndex, Place>,
}

/// A target that is looked at again.
#[derive(Debug)]
struct Place {
    whom: Whom,
    /// Those before have been looked at.
    next: ResourceId,
}

/// What may or may not start on a target from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whom {
    Queued,
    All,
}

/// What has changed for all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Why {
    /// Whether it may start.
    pub(super) holds: bool,
    /// When it is verified, and whether that corrects.
    pub(super) repairs: bool,
    /// The clock was set back.
    pub(super) clock: bool,
}

impl Revisit {
    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty() && self.places.is_empty()
    }
}

impl EnvironmentState {
    /// Begins anew where it has not come to an end.
    pub(super) fn revisit_all(&mut self, why: Why) {
        // Where there was nothing to look at, it was over at once.
        let before = if self.revisit.left.is_empty() { Why::default() } else { self.revisit.why };
        let (holds, repairs) = (why.holds || before.holds, why.repairs || before.repairs);
        self.revisit.why = Why { holds, repairs, clock: why.clock || before.clock };
        self.revisit.left = 0..self.resources.len() as u32;
        if why.holds && self.is_suspended() {
            self.ask_back_open(None);
        }
    }

    /// The same for what is on one target.
    pub(super) fn revisit_place(&mut self, index: TargetIndex, whom: Whom) {
        let before = self.revisit.places.get(&index).map_or(whom, |place| place.whom);
        self.revisit.places.insert(index, Place { whom: whom.max(before), next: ResourceId(0) });
    }

    /// Looks at as much of everything as the step's share allows.
    pub(super) fn revisit(&mut self) {
        if self.revisit.left.is_empty() {
            return;
        }
        let (why, latest) = (self.revisit.why, Latest::of(self));
        while !self.revisit.left.is_empty() && self.share.spend() {
            let Some(id) = self.revisit.left.next().map(ResourceId) else { break };
            if self.get(id).is_none() {
                continue;
            }
            if why.clock {
                self.rearm_far_timer(id, latest);
            }
            if why.repairs {
                self.rearm_verification(id);
            }
            if why.holds {
                self.out.changed.push(id);
                self.unsettled.push_back(id);
            }
        }
    }

    /// Looks at as much of what is on targets as the step's share allows.
    pub(super) fn revisit_places(&mut self) {
        while let Some((&index, &Place { whom, next })) = self.revisit.places.first_key_value()
            && self.share.spend()
        {
            let found = self.target(index).and_then(|place| match whom {
                Whom::Queued => place.queued.first_from(next),
                Whom::All => place.residents.range(next..).next().copied(),
            });
            let Some(id) = found else {
                self.revisit.places.remove(&index);
                continue;
            };
            if let Some(place) = self.revisit.places.get_mut(&index) {
                place.next = ResourceId(id.0.saturating_add(1));
            }
            self.await_no_turn(id, index);
            self.out.changed.push(id);
            self.unsettled.push_back(id);
        }
    }

    /// A target without a rate has no turns.
    fn await_no_turn(&mut self, id: ResourceId, index: TargetIndex) {
        if self.target(index).is_some_and(|place| !place.is_rated())
            && let Some(queued) = self.get_mut(id).and_then(|resource| resource.queued.as_mut())
        {
            queued.awaits_turn = false;
        }
    }
}
