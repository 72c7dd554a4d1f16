//! Everything that `why` says is true, and nothing that must be said is left out: for every resource, after every step, the whole list.
//!
//! Deliberately absent: which of several comes first (`compare.rs`), and texts.

use super::super::super::{Hold, LastResult, Name, Timestamp, WindowKind};
use super::model::{Model, Res};

impl Model {
    /// What is wrong with the list.
    pub(super) fn untrue(&self, res: &Res, due: Option<Timestamp>, why: &[Hold]) -> Option<String> {
        let lie = why.iter().find(|hold| !self.is_true(res, due, hold)).map(|hold| format!("{hold:?} is not true"));
        lie.or_else(|| self.left_out(res, due, why))
    }

    /// Accepted under this name, and not released.
    fn is_new(&self, name: &Name) -> bool {
        self.unreleased.values().any(|word| word.intent.name == *name)
    }

    fn is_true(&self, res: &Res, due: Option<Timestamp>, hold: &Hold) -> bool {
        let idle = res.queued.is_none() && res.run.is_none();
        let required =
            |name: &str| res.intent.requires.iter().any(|other| &**other == name).then(|| self.named(name)).flatten();
        match hold {
            Hold::Good { next_repair } => {
                idle && res.live() && res.good() && !self.undefined(res) && *next_repair == due
            }
            Hold::Running(told) => {
                res.run.as_ref().is_some_and(|run| (told.attempt, told.begun) == (run.attempt, run.begun))
            }
            Hold::Stopping => self.stopping && res.queued.is_some(),
            Hold::EnvironmentSuspended => self.settings.suspend,
            Hold::Suspended(by) => {
                let mine = by.target.as_ref().is_none_or(|target| *target == res.intent.target);
                mine && self.suspended.get(&by.target) == Some(&by.request)
            }
            Hold::TargetSuspended { target } => {
                *target == res.intent.target && self.targets.get(target).is_some_and(|target| target.suspend)
            }
            Hold::TargetMissing { target } => *target == res.intent.target && !self.targets.contains_key(target),
            Hold::OutsideWindow { target, window, opens_at } => {
                let kind = if res.is_change() { WindowKind::Deploy } else { WindowKind::Repair };
                *target == res.intent.target && *window == kind && self.closed(res) && *opens_at == self.opens_at(res)
            }
            Hold::Protected => !res.live() && res.protected(),
            Hold::RemovalApproval { removals } => self.awaits_approval(res) && *removals == self.unapproved(),
            Hold::RequirementMissing { name } => {
                res.intent.requires.contains(name) && self.named(name).is_none() && !self.is_new(name)
            }
            Hold::RequirementUnreleased { name } => {
                res.intent.requires.contains(name) && self.named(name).is_none() && self.is_new(name)
            }
            Hold::RequirementUndefined { name } => required(name).is_some_and(|other| {
                if other.live() { self.undefined(other) } else { other.delete_began || other.deleting() }
            }),
            Hold::RequirementBusy { name } => {
                required(name).is_some_and(|other| self.busy(other) || other.queued.is_some() || other.run.is_some())
            }
            Hold::RequirementNotGood { name, error } => required(name)
                .is_some_and(|other| !other.good() && (error.is_none() || other.last_result == LastResult::Failed)),
            Hold::FactUnknown { name, fact, .. } => self.unknown(res).contains(&(name.clone(), fact.clone())),
            Hold::TombstoneFirst { name } => {
                res.after.and_then(|id| self.all.get(id)).is_some_and(|first| first.intent.name == *name)
            }
            Hold::SuccessorFirst { name } => {
                self.successor(res).is_some_and(|successor| successor.intent.name == *name)
            }
            Hold::RequiredBy { .. } => !res.live() && !self.dependents(res.id, false).is_empty(),
            Hold::ForgottenRuns => self.forgotten_runs(res),
            Hold::DependentsYielding => self.yielding(res, false),
            Hold::ExecutorUnavailable { pool, message } => {
                let target = self.targets.get(&res.intent.target);
                target.is_some_and(|target| target.pool == *pool && self.nobody_there(target))
                    && self.says_why(pool, message.as_ref())
            }
            Hold::Concurrency { target, .. } => *target == res.intent.target && res.queued.is_some(),
            Hold::InFlight { most } => self.settings.max_in_flight == Some(*most) && self.too_many(),
            Hold::Rate { target, until } => {
                *target == res.intent.target && !self.has_share(target) && until.is_none_or(|until| until > self.now)
            }
            Hold::RetryAt { at, .. } => idle && res.last_result == LastResult::Failed && *at == due,
            Hold::Cancelled { until } => idle && Some(*until) == due,
            Hold::Drifted => res.live() && res.observed.differs(),
            _ => false,
        }
    }

    fn left_out(&self, res: &Res, due: Option<Timestamp>, why: &[Hold]) -> Option<String> {
        let waits = res.queued.is_some();
        let target = self.targets.get(&res.intent.target);
        let told = |kind: fn(&Hold) -> bool| why.iter().any(kind);
        let idle = !waits && res.run.is_none();
        let plain: [(bool, fn(&Hold) -> bool, &str); 13] = [
            (res.run.is_some(), |hold| matches!(hold, Hold::Running(_)), "that it runs"),
            (waits && self.stopping && target.is_some(), |hold| matches!(hold, Hold::Stopping), "that the owner stops"),
            (waits && self.settings.suspend, |hold| matches!(hold, Hold::EnvironmentSuspended), "the suspension"),
            (
                waits && self.suspended.contains_key(&None),
                |hold| matches!(hold, Hold::Suspended(by) if by.target.is_none()),
                "the order to suspend",
            ),
            (
                waits && self.suspended.contains_key(&Some(res.intent.target.clone())),
                |hold| matches!(hold, Hold::Suspended(by) if by.target.is_some()),
                "the order to suspend its target",
            ),
            (
                waits && target.is_some_and(|target| target.suspend),
                |hold| matches!(hold, Hold::TargetSuspended { .. }),
                "the suspension of its target",
            ),
            (
                waits && self.successor(res).is_some(),
                |hold| matches!(hold, Hold::SuccessorFirst { .. }),
                "what replaces it",
            ),
            (waits && self.closed(res), |hold| matches!(hold, Hold::OutsideWindow { .. }), "the window"),
            (waits && !res.live() && res.protected(), |hold| matches!(hold, Hold::Protected), "the protection"),
            (waits && self.awaits_approval(res), |hold| matches!(hold, Hold::RemovalApproval { .. }), "the approval"),
            (
                waits && target.is_some_and(|target| self.nobody_there(target)),
                |hold| matches!(hold, Hold::ExecutorUnavailable { .. }),
                "that nobody is there",
            ),
            (
                waits && self.too_many() && target.is_some(),
                |hold| matches!(hold, Hold::InFlight { .. }),
                "what is in flight",
            ),
            (
                idle && res.failures > 0 && due.is_some() && !(res.live() && res.skipped),
                |hold| matches!(hold, Hold::RetryAt { .. } | Hold::Cancelled { .. }),
                "the retry",
            ),
        ];
        let kept = !res.live() && res.run.is_none() && !res.protected() && self.kept(res, true);
        if kept && !told(|hold| matches!(hold, Hold::RequiredBy { .. })) {
            return Some(format!("it does not tell what requires it: {why:?}"));
        }
        let left =
            plain.iter().find(|(applies, kind, _)| *applies && !told(*kind)).map(|(_, _, what)| (*what).to_owned());
        left.or_else(|| self.names_left_out(res, why)).map(|what| format!("it does not tell {what}: {why:?}"))
    }

    fn names_left_out(&self, res: &Res, why: &[Hold]) -> Option<String> {
        if let Some(first) = res.after.and_then(|id| self.all.get(id)).filter(|_| res.queued.is_some()) {
            let told =
                why.iter().any(|hold| matches!(hold, Hold::TombstoneFirst { name } if *name == first.intent.name));
            if !told {
                return Some(format!("that {} comes first", first.intent.name));
            }
        }
        if !res.live() {
            return None;
        }
        let unknown = self.unknown(res);
        for name in &res.intent.requires {
            let missing = |hold: &Hold| matches!(hold, Hold::RequirementMissing { name: told } | Hold::RequirementUnreleased { name: told } if told == name);
            let undefined = |hold: &Hold| matches!(hold, Hold::RequirementUndefined { name: told } if told == name);
            let in_the_way = |hold: &Hold| matches!(hold, Hold::RequirementNotGood { name: told, .. } | Hold::RequirementBusy { name: told } if told == name);
            let left = match self.named(name) {
                None => !why.iter().any(missing),
                Some(other) if other.live() && self.undefined(other) => !why.iter().any(undefined),
                Some(other) if other.live() && unknown.iter().any(|(of, _)| of == name) => {
                    !why.iter().any(|hold| matches!(hold, Hold::FactUnknown { name: told, .. } if told == name))
                }
                Some(other) => {
                    res.skipped
                        && res.queued.is_none()
                        && res.run.is_none()
                        && !other.good()
                        && !self.undefined(res)
                        && !why.iter().any(in_the_way)
                }
            };
            if left {
                return Some(format!("of {name}"));
            }
        }
        None
    }
}
