//! A step's share: how many resources one step looks at. What is left waits for the next one, which is due at once, so that no event waits long
//! behind what another one stirred up, however much that is.
//!
//! Until everything has been thought over nothing is granted: what is granted depends on all that is queued before it.
//!
//! Deliberately absent: a bound for what must stand or fall as one, because one commit carries it: accepting a push, or the names of a dry run, and
//! what the attempt of a single resource leaves on those that receive its notification or take its facts. So is one for the neighbours from which a
//! single resource borrows its priority (`priority.rs`): it reads one number of each.

use super::limits;
use super::state::EnvironmentState;

/// Counted in resources looked at, not in time: the same events make the same steps on every machine.
#[derive(Debug)]
pub(super) struct Share {
    per_step: usize,
    left: usize,
}

impl Share {
    /// Everything in one step.
    pub(super) const WHOLE: Self = Self { per_step: usize::MAX, left: usize::MAX };

    /// The next step begins.
    pub(super) const fn renew(&mut self) {
        self.left = self.per_step;
    }

    /// Takes one resource from what is left; false where nothing is.
    pub(super) const fn spend(&mut self) -> bool {
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }

    /// Takes half of what is left, and gives something in any case: for what nothing else waits for, and which must come to its end nevertheless.
    pub(super) fn take_part(&mut self) -> usize {
        let half = self.left / 2;
        self.left -= half;
        half.max(self.small()).max(1)
    }

    /// More dependents than these are told in shares.
    pub(super) const fn small(&self) -> usize {
        self.per_step / limits::SMALL_SHARE
    }
}

impl Default for Share {
    fn default() -> Self {
        Self { per_step: limits::RESOURCES_PER_STEP, left: limits::RESOURCES_PER_STEP }
    }
}

impl EnvironmentState {
    /// Makes each step look at so many resources: tests and the simulator play what happens between two shares in small worlds.
    #[cfg(any(test, feature = "full"))]
    pub(crate) fn set_share(&mut self, per_step: usize) {
        self.share = Share { per_step: per_step.max(1), left: 0 };
    }

    /// Something is to be thought over before anything is granted.
    pub(super) fn is_unsettled(&self) -> bool {
        self.moves() || self.lends() || !self.intakes.is_empty() || !self.revisit.is_over()
    }

    /// This step has left something for the next one.
    pub fn is_unfinished(&self) -> bool {
        self.is_unsettled() || self.takes_in_dry_runs() || !self.dispatchable.is_empty()
    }
}
