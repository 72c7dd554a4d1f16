//! What users have said of when work may start: kept beside the scheduler, from what its owner heard and, at a takeover, from what was committed. Every
//! grant is judged by it. Deliberately absent: what the scheduler itself believes of its orders.

use super::violation::{Checker, Violation};
use super::windows::{exceeds, is_open};
use crate::core::{
    Event, Grant, Intent, Mode, Name, OnChange, Operation, Record, RequestKind, ResourceRow, Scope, Settings, Target,
    TargetName, Timestamp, VersionNumber, limits,
};
use std::collections::{BTreeMap, BTreeSet};

/// Starts on a target that are remembered for its rate.
const STARTS: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// A user has suspended the environment.
    pub(super) suspended: bool,
    pub(super) suspended_targets: BTreeSet<TargetName>,
    settings: Settings,
    targets: BTreeMap<TargetName, Target>,
    /// What was released: everything that this covers, up to this version.
    released: Vec<(VersionNumber, Scope)>,
    cancelled: Vec<Scope>,
    /// What its owner's clock said last, and the furthest it has said since it was set back.
    clock: Option<(Timestamp, Timestamp)>,
    /// Starts on targets with a rate, since it was set or this owner took over.
    starts: BTreeMap<TargetName, Vec<Timestamp>>,
}

/// Whether something of this name and on this target is meant.
pub(super) fn covers(scope: &Scope, intent: &Intent) -> bool {
    scope.target.as_ref().is_none_or(|target| *target == intent.target)
        && scope.names.as_ref().is_none_or(|names| names.contains(&intent.name))
}

impl Standing {
    /// An owner hears it while this is the newest version.
    pub(super) fn hear(&mut self, event: &Event, version: VersionNumber) {
        match event {
            Event::Request(request) => self.order(request.kind, &request.scope, version),
            Event::SettingsChanged(settings) => self.configure(settings, version),
            Event::TargetChanged(target) => self.change_target(target),
            Event::TargetRemoved(name) => drop(self.targets.remove(name)),
            _ => {}
        }
    }

    /// It is in history.
    pub(super) fn recorded(&mut self, record: &Record, version: VersionNumber) {
        match record {
            Record::Request(order) => self.order(order.kind, &order.scope, version),
            Record::Settings(settings) => self.configure(settings, version),
            Record::Target(target) => self.change_target(target),
            Record::TargetRemoved(name) => drop(self.targets.remove(name)),
            _ => {}
        }
    }

    fn order(&mut self, kind: RequestKind, scope: &Scope, version: VersionNumber) {
        match (kind, &scope.target) {
            (RequestKind::Suspend, None) => self.suspended = true,
            (RequestKind::Resume, None) => self.suspended = false,
            (RequestKind::Suspend, Some(target)) => drop(self.suspended_targets.insert(target.clone())),
            (RequestKind::Resume, Some(target)) => drop(self.suspended_targets.remove(target)),
            (RequestKind::Deploy, _) => self.released.push((version, scope.clone())),
            (RequestKind::Cancel, _) => self.cancelled.push(scope.clone()),
            _ => {}
        }
    }

    fn configure(&mut self, settings: &Settings, version: VersionNumber) {
        // What was accepted until then came into force at once.
        if self.settings.on_change == OnChange::Automatic {
            self.released.push((version, Scope::default()));
        }
        self.settings = settings.clone();
    }

    fn change_target(&mut self, target: &Target) {
        let before = self.targets.insert(target.name.clone(), target.clone());
        if before.is_none_or(|before| before.rate_limit != target.rate_limit) {
            self.starts.remove(&target.name);
        }
    }

    /// Its owner acts at a time by its clock. One that was set back by less than a step only delays things by as much (`core/limits.rs`).
    pub(super) fn read_clock(&mut self, now: Timestamp) {
        let steps_back = |last: Timestamp| last.ms_since(now) >= limits::CLOCK_STEP_MS;
        let furthest = self.clock.filter(|(last, _)| !steps_back(*last)).map_or(now, |(_, furthest)| furthest.max(now));
        self.clock = Some((now, furthest));
    }

    /// A new owner does not know what the one before it has started; nor does one whose clock was set.
    pub(super) fn forget_starts(&mut self) {
        self.starts.clear();
    }

    pub(super) fn was_cancelled(&self, intent: &Intent) -> bool {
        self.cancelled.iter().any(|scope| covers(scope, intent))
    }

    /// Whether a target is closed to changes, or to verifications: by the clock as it is now, and as it was before it was set back a little.
    fn closed(&self, target: &TargetName, changes: bool, now: Timestamp) -> [bool; 2] {
        [now, self.clock.map_or(now, |(_, furthest)| furthest)].map(|at| {
            self.targets.get(target).is_some_and(|target| {
                let windows = if changes { &target.windows.deploy } else { &target.windows.repair };
                !is_open(windows, at)
            })
        })
    }

    /// A target is closed, as far as that can be told.
    pub(super) fn may_be_closed(&self, target: &TargetName, changes: bool, now: Timestamp) -> bool {
        self.closed(target, changes, now).contains(&true)
    }

    fn is_closed(&self, target: &TargetName, changes: bool, now: Timestamp) -> bool {
        self.closed(target, changes, now) == [true, true]
    }

    /// Why this may not be granted now. `row` is what the scheduler keeps of the resource, `in_flight` how many executors have with it.
    pub(super) fn forbids(
        &mut self,
        grant: &Grant,
        row: Option<&ResourceRow>,
        in_flight: usize,
        now: Timestamp,
    ) -> Option<Violation> {
        let target = &grant.intent.target;
        if let Some(rate) = self.targets.get(target).and_then(|target| target.rate_limit) {
            let starts = self.starts.entry(target.clone()).or_default();
            starts.push(now);
            if starts.len() > STARTS {
                starts.remove(0);
            }
            if exceeds(&rate, starts) {
                return Some(violation(Checker::WithinRates, grant, &format!("beyond {rate:?}")));
            }
        }
        let row = row.filter(|_| grant.operation != Operation::DryRun)?;
        let changes = grant.operation == Operation::Delete || row.succeeded != Some(grant.hash);
        let looks = grant.reason.reports() || grant.intent.policy.mode == Mode::Observe;
        let place = self.targets.get(target);
        let wrong = if self.suspended || self.settings.suspend {
            (Checker::NothingSuspendedStarts, "the environment is suspended")
        } else if self.suspended_targets.contains(target) || place.is_some_and(|target| target.suspend) {
            (Checker::NothingSuspendedStarts, "its target is suspended")
        } else if place.is_none() {
            (Checker::NothingSuspendedStarts, "its target does not exist")
        } else if self.is_closed(target, changes, now) {
            (Checker::WithinWindows, "its target is outside its windows")
        } else if self.settings.max_in_flight.is_some_and(|most| in_flight > most as usize) {
            (Checker::WithinRates, "more is in flight than the environment allows")
        } else if looks && grant.operation == Operation::Enforce {
            (Checker::LooksChangeNothing, "it is only to be looked at")
        } else if grant.operation == Operation::Delete && grant.intent.policy.protected {
            (Checker::RemovalsAreApproved, "it is protected")
        } else {
            return None;
        };
        Some(violation(wrong.0, grant, wrong.1))
    }

    /// Whether what a version said of something is in force: it came so, or a user has deployed it since, or something with which it goes together.
    pub(super) fn is_released(&self, grant: &Grant, goes_with: impl Fn(&Scope) -> bool) -> bool {
        let since = |version: &VersionNumber| *version >= grant.version;
        self.settings.on_change == OnChange::Automatic
            || self.released.iter().any(|(version, scope)| since(version) && covers(scope, &grant.intent))
            || self.released.iter().any(|(version, scope)| since(version) && goes_with(scope))
    }
}

/// A grant that there must not be.
pub(super) fn violation(checker: Checker, grant: &Grant, why: &str) -> Violation {
    let (attempt, operation, name) = (grant.attempt, grant.operation, &grant.intent.name);
    let detail = format!("attempt {attempt} ({operation:?} {name} for {:?}) was granted: {why}", grant.reason);
    Violation { checker, detail }
}

/// Names that a push of its author alone takes away.
pub(super) fn removed_by<'a>(
    removals: &'a [Name],
    upserts: &'a [std::sync::Arc<Intent>],
) -> impl Iterator<Item = &'a Name> {
    removals.iter().filter(|name| !upserts.iter().any(|intent| intent.name == **name))
}
