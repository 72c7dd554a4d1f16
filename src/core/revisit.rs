//! What concerns everything at once: a suspension, other settings of repairs, a clock that was set back. It is looked at a share per step, since a
//! million at once would be the longest step of all; until all of it has been looked at nothing is granted.
//!
//! Deliberately absent: what is left of it when the owner ends. The next one thinks everything over anyway, and measures timers anew that are due
//! later than any is ever armed (`restore.rs`).

use super::ResourceId;
use super::state::EnvironmentState;
use super::timers::Latest;
use std::ops::Range;

/// Everything is looked at again, up to the last number that was given when that was asked for.
#[derive(Debug, Default)]
pub(super) struct Revisit {
    left: Range<u32>,
    why: Why,
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
        self.left.is_empty()
    }
}

impl EnvironmentState {
    /// Begins anew where it has not come to an end.
    pub(super) fn revisit_all(&mut self, why: Why) {
        // Where there was nothing to look at, it was over at once.
        let before = if self.revisit.is_over() { Why::default() } else { self.revisit.why };
        let (holds, repairs) = (why.holds || before.holds, why.repairs || before.repairs);
        self.revisit.why = Why { holds, repairs, clock: why.clock || before.clock };
        self.revisit.left = 0..self.resources.len() as u32;
        if why.holds && self.is_suspended() {
            self.ask_back_open();
        }
    }

    /// Looks at as much of it as the step's share allows.
    pub(super) fn revisit(&mut self) {
        if self.revisit.is_over() {
            return;
        }
        let (why, latest) = (self.revisit.why, Latest::of(self));
        while !self.revisit.is_over() && self.share.spend() {
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
}
