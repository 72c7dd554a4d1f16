//! Holds: what keeps queued work from being granted. One ordered list of small checks feeds the ready queues (`queue.rs`), dispatch and `why`.
//!
//! Deliberately absent: what is not queued. That something is undefined, good, or waits for its timer is no hold of the queue (`inspect.rs`).

use super::revisit::Whom;
use super::state::{EnvironmentState, Resource, TargetIndex, TargetState};
use super::{Hold, Mode, Name, Target, WindowKind, limits};

/// One reason, and how to tell it.
pub(super) struct Rule {
    pub(super) applies: Applies,
    tell: fn(&EnvironmentState, &Resource, &mut Vec<Hold>),
}

/// What a hold is about decides what it stops, and whom.
#[derive(Clone, Copy)]
pub(super) enum Applies {
    /// Nothing of the resource may start: its grants are taken back, and a verification of a good resource that it holds, holds nobody.
    Itself(fn(&EnvironmentState, &Resource) -> bool),
    /// It must wait for other resources.
    Neighbours(fn(&EnvironmentState, &Resource) -> bool),
    /// Its target has no room at present, for dry runs neither; what waits for room stands in the ready queue.
    Room(fn(&EnvironmentState, &TargetState, &Target) -> bool),
}
use Applies::{Itself, Neighbours, Room};

/// In the order in which they are asked and told.
pub(super) const HOLDS: [Rule; 19] = [
    Rule { applies: Room(|state, _, _| state.stopping), tell: |_, _, out| out.push(Hold::Stopping) },
    Rule { applies: Itself(EnvironmentState::is_no_report), tell: |_, _, out| out.push(Hold::ReportOnly) },
    Rule { applies: Itself(|_, resource| resource.is_protected()), tell: |_, _, out| out.push(Hold::Protected) },
    Rule {
        applies: Itself(EnvironmentState::awaits_approval),
        tell: |state, _, out| out.push(Hold::RemovalApproval { removals: state.removals_held() }),
    },
    Rule { applies: Itself(|state, _| state.settings.suspend), tell: |_, _, out| out.push(Hold::EnvironmentSuspended) },
    Rule {
        applies: Itself(|state, _| state.suspensions.environment.is_some()),
        tell: |state, _, out| out.extend(state.suspensions.environment.clone().map(Hold::Suspended)),
    },
    Rule {
        applies: Itself(|state, resource| state.place_of(resource).is_some_and(|(_, target)| target.suspend)),
        tell: |_, resource, out| out.push(Hold::TargetSuspended { target: resource.row.intent.target.clone() }),
    },
    Rule {
        applies: Itself(|state, resource| state.suspension_of_target(resource).is_some()),
        tell: |state, resource, out| out.extend(state.suspension_of_target(resource).cloned().map(Hold::Suspended)),
    },
    Rule {
        applies: Itself(|state, resource| state.place_of(resource).is_none()),
        tell: |_, resource, out| out.push(Hold::TargetMissing { target: resource.row.intent.target.clone() }),
    },
    Rule { applies: Itself(EnvironmentState::outside_window), tell: EnvironmentState::tell_window },
    Rule { applies: Neighbours(EnvironmentState::waits_for_another), tell: EnvironmentState::tell_tombstone },
    Rule {
        applies: Neighbours(EnvironmentState::is_worked_on_by_forgotten),
        tell: |_, _, out| out.push(Hold::ForgottenRuns),
    },
    Rule { applies: Neighbours(EnvironmentState::is_kept), tell: EnvironmentState::tell_kept },
    Rule {
        applies: Neighbours(|_, resource| resource.is_live() && resource.busy_requirements > 0),
        tell: EnvironmentState::tell_requirements,
    },
    Rule {
        applies: Neighbours(|_, resource| resource.yielding_dependents > 0),
        tell: |_, _, out| out.push(Hold::DependentsYielding),
    },
    Rule { applies: Room(EnvironmentState::without_executor), tell: EnvironmentState::tell_executor },
    Rule { applies: Room(EnvironmentState::too_many_in_flight), tell: EnvironmentState::tell_in_flight },
    Rule { applies: Room(EnvironmentState::beyond_rate), tell: EnvironmentState::tell_rate },
    Rule { applies: Room(EnvironmentState::beyond_concurrency), tell: |_, _, _| {} },
];

impl EnvironmentState {
    /// Nothing of it may start at present, whatever its neighbours do.
    pub(super) fn held(&self, resource: &Resource) -> bool {
        HOLDS.iter().any(|rule| matches!(rule.applies, Itself(applies) if applies(self, resource)))
    }

    /// It must wait for other resources.
    pub(super) fn waits(&self, resource: &Resource) -> bool {
        !resource.reports()
            && HOLDS.iter().any(|rule| matches!(rule.applies, Neighbours(applies) if applies(self, resource)))
    }

    /// Something may start on the target, if anything is ready.
    pub(super) fn has_room(&self, place: &TargetState) -> bool {
        let Some(target) = place.target.as_ref() else { return false };
        !HOLDS.iter().any(|rule| matches!(rule.applies, Room(applies) if applies(self, place, target)))
    }

    /// A queued verification of a good resource that is held holds nobody: neither what stops it, nor waiting for an executor or for its turn.
    pub(super) fn holds_nobody(&self, resource: &Resource) -> bool {
        let Some(queued) = resource.queued else { return true };
        let verifies = queued.reason.verifies() && !resource.owes_reload() && resource.good();
        verifies
            && (queued.awaits_turn
                || self.held(resource)
                || self.place_of(resource).is_none_or(|(_, target)| !self.connected(&target.pool)))
    }

    /// All holds of something queued, the first that applies first.
    pub(super) fn holds_of(&self, resource: &Resource) -> Vec<Hold> {
        let mut holds = Vec::new();
        for rule in &HOLDS {
            let applies = match rule.applies {
                Itself(applies) => applies(self, resource),
                Neighbours(applies) => !resource.reports() && applies(self, resource),
                Room(applies) => self.place_of(resource).is_some_and(|(place, target)| applies(self, place, target)),
            };
            if applies {
                (rule.tell)(self, resource, &mut holds);
            }
        }
        if let Some(hold) = holds.is_empty().then(|| self.ahead_of(resource)).flatten() {
            holds.push(hold);
        }
        holds
    }

    /// The target of a resource, where it exists.
    pub(super) fn place_of(&self, resource: &Resource) -> Option<(&TargetState, &Target)> {
        let place = self.target(resource.target)?;
        Some((place, place.target.as_ref()?))
    }

    fn outside_window(&self, resource: &Resource) -> bool {
        self.place_of(resource).is_some_and(|(place, _)| !place.window(resource).1.open)
    }

    fn tell_window(&self, resource: &Resource, out: &mut Vec<Hold>) {
        let Some((place, target)) = self.place_of(resource) else { return };
        let (window, opening) = place.window(resource);
        out.push(Hold::OutsideWindow { target: target.name.clone(), window, opens_at: opening.edge });
    }

    pub(super) fn tell_tombstone(&self, resource: &Resource, out: &mut Vec<Hold>) {
        let Some(other) = resource.row.after.and_then(|after| self.get(after)) else { return };
        let name = other.row.intent.name.clone();
        if !other.is_live() {
            out.push(Hold::TombstoneFirst { name });
        } else if !other.published.good {
            out.push(Hold::SuccessorFirst { name });
        }
    }

    pub(super) fn is_kept(&self, resource: &Resource) -> bool {
        !resource.is_live() && self.kept_by(resource).next().is_some()
    }

    pub(super) fn tell_kept(&self, resource: &Resource, out: &mut Vec<Hold>) {
        let mut names: Vec<Name> = self.kept_by(resource).map(|kept| kept.row.intent.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(limits::LISTED_NAMES);
        out.push(Hold::RequiredBy { names });
    }

    pub(super) fn tell_requirements(&self, resource: &Resource, out: &mut Vec<Hold>) {
        for required in self.requirements_of(resource) {
            let (name, published) = (required.row.intent.name.clone(), required.published);
            if published.busy {
                out.push(Hold::RequirementBusy { name });
            } else if !published.good && !published.undefined && resource.held_back() {
                let error =
                    required.row.error.clone().filter(|_| required.row.last_result == super::LastResult::Failed);
                out.push(Hold::RequirementNotGood { name, error });
            }
        }
    }

    pub(super) fn requirements_of<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = &'a Resource> {
        resource.requires.iter().filter_map(|&requirement| self.get(requirement))
    }

    /// While anything is granted on the target, nobody else may work on it.
    fn without_executor(&self, place: &TargetState, target: &Target) -> bool {
        match place.executor.as_ref().filter(|_| place.granted > 0) {
            Some(current) => self.executors.get(current).is_none_or(|executor| !executor.connected),
            None => !self.connected(&target.pool),
        }
    }

    fn tell_executor(&self, resource: &Resource, out: &mut Vec<Hold>) {
        let Some((_, target)) = self.place_of(resource) else { return };
        let message = self.pools.get(&target.pool).and_then(|pool| pool.unavailable.clone());
        out.push(Hold::ExecutorUnavailable { pool: target.pool.clone(), message });
    }

    fn too_many_in_flight(&self, _: &TargetState, _: &Target) -> bool {
        self.settings.max_in_flight.is_some_and(|most| self.in_flight >= most)
    }

    fn tell_in_flight(&self, _: &Resource, out: &mut Vec<Hold>) {
        out.extend(self.settings.max_in_flight.map(|most| Hold::InFlight { most }));
    }

    fn beyond_rate(&self, place: &TargetState, _: &Target) -> bool {
        place.next_share_at().is_some_and(|at| at > self.now)
    }

    fn tell_rate(&self, resource: &Resource, out: &mut Vec<Hold>) {
        let Some((place, target)) = self.place_of(resource) else { return };
        out.push(Hold::Rate { target: target.name.clone(), until: place.next_share_at() });
    }

    /// Grants run ahead of what a target runs at once, except where each of them is counted.
    fn beyond_concurrency(&self, place: &TargetState, target: &Target) -> bool {
        let counted = target.rate_limit.is_some() || self.settings.max_in_flight.is_some();
        let ahead = if counted { 0 } else { limits::GRANTS_AHEAD };
        place.granted >= target.concurrency.saturating_add(ahead)
    }

    /// Nothing else is said of it: its target is busy.
    fn ahead_of(&self, resource: &Resource) -> Option<Hold> {
        let (place, target) = self.place_of(resource)?;
        let queued = resource.queued.filter(|queued| queued.ready)?;
        let ahead = place.granted + place.ready.ahead_of(&queued.entry(resource.row.resource)) as u32;
        Some(Hold::Concurrency { target: target.name.clone(), ahead })
    }

    /// Looks where the windows of a target stand; where they opened or closed, everything queued or granted there is thought over again.
    pub(super) fn look_at_windows(&mut self, index: TargetIndex) {
        let now = self.now;
        let Some(place) = self.target_mut(index) else { return };
        let before = (place.deploy.open, place.repair.open);
        let of = |windows| super::windows::Opening::of(windows, now);
        (place.deploy, place.repair) = match &place.target {
            Some(target) => (of(&target.windows.deploy), of(&target.windows.repair)),
            None => (super::windows::Opening::ALWAYS, super::windows::Opening::ALWAYS),
        };
        if before != (place.deploy.open, place.repair.open) {
            self.revisit_place(index, Whom::All);
        }
        self.arm_target(index);
    }

    /// A target wakes when one of its windows opens or closes, and when its rate lets through what waits for it.
    pub(super) fn arm_target(&mut self, index: TargetIndex) {
        let Some(place) = self.target(index) else { return };
        let share = place.next_share_at().filter(|&at| at > self.now && !place.ready.is_empty());
        let next = [place.deploy.edge, place.repair.edge, share].into_iter().flatten().min();
        self.wake_at(index, next);
    }
}

impl TargetState {
    /// Which of its windows an attempt of this resource must keep to.
    fn window(&self, resource: &Resource) -> (WindowKind, super::windows::Opening) {
        if resource.changes() { (WindowKind::Deploy, self.deploy) } else { (WindowKind::Repair, self.repair) }
    }

    pub(super) fn is_rated(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.rate_limit.is_some())
    }

    /// From when on its rate lets the next attempt through.
    fn next_share_at(&self) -> Option<super::Timestamp> {
        let rate = self.target.as_ref()?.rate_limit.as_ref()?;
        Some(rate.opens_at(self.bucket_full_at))
    }
}

impl Resource {
    /// An attempt of it would change what last succeeded, or delete it; it does not only verify.
    pub(super) fn changes(&self) -> bool {
        !self.is_live() || !self.is_current(self.row.succeeded)
    }

    /// Something it requires is not good. That stops what would change the target; observing needs no dependency.
    pub(super) fn held_back(&self) -> bool {
        self.bad_requirements > 0 && self.row.intent.policy.mode == Mode::Enforce && !self.reports()
    }
}
