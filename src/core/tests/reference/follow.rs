//! What the documents leave to `core`: which ready work is granted to whom, and when exactly it is asked back. Checked against the rules, then taken over.
//!
//! Deliberately absent: any preference. Within the bounds every choice is as good as every other.

use super::super::super::{
    AttemptId, Effects, Event, ExecutorName, Grant, Message, Name, Operation, OutcomeKind, Reason, Record, ResourceId,
    VersionRecord, limits,
};
use super::model::{DRY_RUNS, Model, Res, Run, Stray, thing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What `core` chose where more than one choice is right.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What has been skipped.
    pub skipped: BTreeSet<ResourceId>,
    /// What stands in the queue after the step.
    pub queued: BTreeSet<ResourceId>,
    /// Why something is queued or was granted.
    pub reasons: BTreeMap<ResourceId, Reason>,
}

pub(super) fn skips(effects: &Effects) -> impl Iterator<Item = ResourceId> {
    effects.records.iter().filter_map(|record| match record {
        Record::Outcome { resource, outcome } if matches!(outcome.kind, OutcomeKind::Skipped { .. }) => Some(*resource),
        _ => None,
    })
}

pub(super) fn version_in(effects: &Effects) -> Option<&VersionRecord> {
    effects.records.iter().find_map(|record| match record {
        Record::Version(version) => Some(version),
        _ => None,
    })
}

impl Model {
    /// Every attempt in an executor's hands, of resources that are in the tables or not, dry runs included.
    pub(super) fn open(&self) -> BTreeSet<AttemptId> {
        let runs = self.all.values().filter_map(|res| res.run.as_ref()).map(|run| run.attempt);
        runs.chain(self.strays.keys().copied()).collect()
    }

    /// An executor said hello: what was asked of it before may not have arrived; what it does not hold is asked for, or the records say how it was closed.
    pub(super) fn reconcile(&mut self, event: &Event, effects: &Effects) {
        let Event::ExecutorConnected { executor, holds, .. } = event else { return };
        for res in self.all.values_mut() {
            if let Some(run) = res.run.as_mut().filter(|run| run.executor == *executor) {
                (run.asked, run.unknown) = (false, !holds.contains(&run.attempt));
            }
        }
        for record in &effects.records {
            let Record::Outcome { outcome, .. } = record else { continue };
            let missing = |run: &Run| run.attempt == outcome.attempt && run.executor == *executor && run.unknown;
            let run = self.all.values().find_map(|res| res.run.clone().filter(&missing).map(|run| (res.id, run)));
            if let Some((id, run)) = run {
                self.ended(id, &run, run.begun, &outcome.kind);
            }
            self.strays.retain(|attempt, stray| *attempt != outcome.attempt || stray.executor != *executor);
        }
    }

    /// "every grant ends in exactly one of: a result, Revoked, Lost": what is no more open has its one row, and nothing else has.
    pub(super) fn check_outcomes(&self, before: &BTreeSet<AttemptId>, effects: &Effects) -> Result<(), String> {
        let after = self.open();
        let mut closed: Vec<AttemptId> = Vec::new();
        for record in &effects.records {
            match record {
                Record::Outcome { outcome, .. } if !matches!(outcome.kind, OutcomeKind::Skipped { .. }) => {
                    closed.push(outcome.attempt);
                }
                _ => {}
            }
        }
        let distinct: BTreeSet<AttemptId> = closed.iter().copied().collect();
        if distinct.len() != closed.len() {
            return Err(format!("an attempt is closed twice: {closed:?}"));
        }
        // Dry runs have rows of their own.
        let expected: BTreeSet<AttemptId> =
            before.difference(&after).filter(|attempt| !self.dry.contains(attempt)).copied().collect();
        if distinct != expected {
            return Err(format!("closed {distinct:?}, expected {expected:?}"));
        }
        Ok(())
    }

    /// "Skipped (`blocked = Dependency`), decided in `core`, recorded, never sent": once for each time.
    pub(super) fn check_skips(&mut self, effects: &Effects) -> Result<(), String> {
        let mut skipped: Vec<ResourceId> = skips(effects).collect();
        skipped.sort_unstable();
        // A skip has a number of its own, as every attempt.
        let numbers = effects.records.iter().filter_map(|record| match record {
            Record::Outcome { outcome, .. } => Some(outcome.attempt),
            _ => None,
        });
        self.last_skip = self.last_skip.max(numbers.max().unwrap_or_default());
        let same = skipped.iter().eq(self.skips.iter());
        if same { Ok(()) } else { Err(format!("{skipped:?} are skipped, expected {:?}", self.skips)) }
    }

    /// A request is done exactly when all that it covered has been dealt with.
    pub(super) fn check_requests(&mut self, effects: &Effects) -> Result<(), String> {
        let done = effects.records.iter().filter_map(|record| match record {
            Record::RequestDone(id, _) => Some(*id),
            _ => None,
        });
        let (done, expected): (BTreeSet<_>, _) = (done.collect(), self.close_requests());
        if done == expected { Ok(()) } else { Err(format!("requests {done:?} are done, expected {expected:?}")) }
    }

    /// Grants and revocations of this step.
    pub(super) fn follow(&mut self, effects: &Effects) -> Result<(), String> {
        for message in &effects.messages {
            match message {
                Message::Revoke(executor, attempt) => self.follow_revocation(executor, *attempt)?,
                Message::Grant(executor, _, grant) => {
                    self.check_place(executor, grant)?;
                    self.follow_grant(executor, grant, effects)?;
                }
                _ => {}
            }
        }
        self.check_asked()?;
        self.check_revoked()
    }

    fn follow_revocation(&mut self, executor: &ExecutorName, attempt: AttemptId) -> Result<(), String> {
        let dry = self.strays.get(&attempt).is_some_and(|stray| stray.executor == *executor);
        let mine = |run: &Run| run.attempt == attempt && run.executor == *executor;
        match self.all.values().find(|res| res.run.as_ref().is_some_and(mine)) {
            Some(res) if res.unbegun() => {
                if !self.may_revoke(res) {
                    return Err(format!("{} is asked back for nothing", res.intent.name));
                }
                let id = res.id;
                let run = self.all.get_mut(id).unwrap().run.as_mut().unwrap();
                (run.revoking, run.asked) = (true, true);
                Ok(())
            }
            None if dry => Ok(()),
            _ => Err(format!("attempt {attempt} is asked back, and is not open and unbegun at {executor}")),
        }
    }

    fn follow_grant(&mut self, executor: &ExecutorName, grant: &Arc<Grant>, effects: &Effects) -> Result<(), String> {
        let Some(id) = grant.resource else {
            let stray = Stray { executor: executor.clone(), target: grant.intent.target.clone(), thing: None };
            *self.starts.entry(grant.intent.target.clone()).or_default() += 1;
            if !self.given(&grant.facts, &grant.intent, None) {
                return Err(format!("a dry run of {} is given {:?}", grant.intent.name, grant.facts));
            }
            self.check_what_a_dry_run_hides(grant)?;
            self.dry.insert(grant.attempt);
            self.strays.insert(grant.attempt, stray);
            return Ok(());
        };
        let is_it =
            |record: &Record| matches!(record, Record::Grant(to, it) if to == executor && Arc::ptr_eq(it, grant));
        let name = &grant.intent.name;
        if !effects.records.iter().any(is_it) {
            return Err(format!("the grant of {name} is sent without a record"));
        }
        let res = self.all.get(id).cloned().ok_or(format!("{name} is granted and unknown"))?;
        let res = &res;
        self.startable(res, true).map_err(|why| format!("{name} is granted although {why}"))?;
        self.check_grant(res, grant)?;
        self.check_order(id, &grant.intent.target)?;
        let run = Run {
            attempt: grant.attempt,
            executor: executor.clone(),
            operation: grant.operation,
            reason: grant.reason,
            priority: grant.reason,
            hash: res.current,
            base: res.base,
            digest: grant.secret_digest,
            name: name.clone(),
            begun: false,
            revoking: false,
            asked: false,
            unknown: false,
            stranger: false,
        };
        let res = self.all.get_mut(id).unwrap();
        (res.run, res.queued) = (Some(run), None);
        Ok(())
    }

    /// "two executors never work on one target", and credits are a bound.
    fn check_place(&mut self, executor: &str, grant: &Grant) -> Result<(), String> {
        let dry = grant.resource.is_none();
        let last = if dry { &mut self.last_dry } else { &mut self.last_attempt };
        if grant.attempt <= *last || (grant.attempt > DRY_RUNS) != dry {
            return Err(format!("attempt {} is not above {last}", grant.attempt));
        }
        *last = grant.attempt;
        if !dry && self.too_many() {
            return Err("more is in flight than may be".into());
        }
        if !self.take_share(&grant.intent.target) {
            return Err(format!("more starts on {} than its rate allows", grant.intent.target));
        }
        let target = self.targets.get(&grant.intent.target).ok_or("granted on an unknown target")?;
        let known = self.executors.get(executor).ok_or("granted to an unknown executor")?;
        if !known.connected || known.pool != target.pool {
            return Err(format!("granted to {executor}, which is not connected or not of pool {}", target.pool));
        }
        if self.held_by(executor) >= known.credits {
            return Err(format!("{executor} has no credits left"));
        }
        if let Some(other) = self.workers(&target.name).iter().find(|other| other.as_str() != executor) {
            return Err(format!("{} is given to {executor} while {other} works on it", target.name));
        }
        if grant.connection != target.connection || grant.concurrency != target.concurrency {
            return Err("a grant does not describe its target".into());
        }
        Ok(())
    }

    fn check_grant(&self, res: &Res, grant: &Grant) -> Result<(), String> {
        let operation = self.operation(res, grant.reason);
        let same = grant.intent.hash() == res.intent.hash();
        if grant.operation != operation || !same || grant.remote_identity != res.remote {
            return Err(format!(
                "{} is granted as {grant:?}, expected {operation:?} of its newest intent",
                res.intent.name
            ));
        }
        let hash = !res.live() || self.same_hash(Some(grant.hash), Some(res.current));
        let facts = !res.live() || self.given(&grant.facts, &res.intent, res.in_force.as_ref());
        let digest = res.told_digest();
        if !hash || !facts || grant.secret_digest != digest || grant.once_secret != res.once_secret {
            return Err(format!(
                "{} is granted as {grant:?}, expected {digest:?} {:?}",
                res.intent.name, res.once_secret
            ));
        }
        let told = res.debt.as_ref().map(|(because, _)| because).filter(|_| res.live());
        if grant.reload.as_ref() != told {
            return Err(format!("{} is told {:?}, expected {told:?}", res.intent.name, grant.reload));
        }
        if Some(grant.reason) != res.queued {
            return Err(format!("{} is granted for {:?}, queued for {:?}", res.intent.name, grant.reason, res.queued));
        }
        Ok(())
    }

    /// "Attributes in which secrets may be found": of the thing that it means, and of what its name is now. It verifies no secrets.
    fn check_what_a_dry_run_hides(&mut self, grant: &Grant) -> Result<(), String> {
        let mine = |res: &&Res| res.live() && res.intent.name == grant.intent.name;
        let same =
            |res: &&Res| mine(res) || res.intent.name == grant.intent.name || res.thing() == thing(&grant.intent);
        let must: BTreeSet<Name> = self.all.values().filter(mine).flat_map(Res::holds).collect();
        let may: BTreeSet<Name> = self.all.values().filter(same).flat_map(Res::holds).collect();
        let told = &grant.once_secret;
        if grant.secret_digest.is_some() || !must.is_subset(told) || !told.is_subset(&may) {
            return Err(format!("a dry run of {} hides {told:?}, expected {must:?} to {may:?}", grant.intent.name));
        }
        if !must.is_empty() {
            self.met.insert("a dry run hides what was secret");
        }
        Ok(())
    }

    fn held_by(&self, executor: &str) -> u32 {
        let runs = self.all.values().filter_map(|res| res.run.as_ref()).filter(|run| &*run.executor == executor);
        let strays = self.strays.values().filter(|stray| &*stray.executor == executor);
        (runs.count() + strays.count()) as u32
    }

    pub(super) fn workers(&self, target: &str) -> BTreeSet<String> {
        let runs = self.all.values().filter(|res| &*res.intent.target == target).filter_map(|res| res.run.as_ref());
        let strays = self.strays.values().filter(|stray| &*stray.target == target);
        runs.map(|run| run.executor.to_string()).chain(strays.map(|stray| stray.executor.to_string())).collect()
    }

    /// Asking back is `core`'s to choose where a requirement waits for its turn (a verification perhaps), or the place changed.
    fn may_revoke(&self, res: &Res) -> bool {
        let run = res.run.as_ref().unwrap();
        let place = self.targets.get(&res.intent.target);
        let moved =
            place.is_none_or(|target| self.executors.get(&run.executor).is_none_or(|it| it.pool != target.pool));
        let waits = self.requirements(res).iter().any(|other| other.queued.is_some());
        // A delete that something waits for to come back, or work under a name that it no longer has.
        let renamed = run.name != res.intent.name;
        let awaited = self.all.values().any(|other| other.after == Some(res.id));
        // Whether what replaces it gets it out of the way first, is open.
        let replaced = res.successor.and_then(|id| self.all.get(id)).is_some_and(|other| other.queued.is_some());
        let returned = run.operation == Operation::Delete && self.requirements(res).iter().any(|other| other.live());
        renamed
            || awaited
            || self.successor(res).is_some()
            || replaced
            || returned
            || res.cancelled
            || run.revoking
            || run.stranger
            || run.unknown
            || moved
            || waits
            || self.must_revoke(res)
    }

    /// "every grant without an outcome is asked for at its executor, else closed as Lost"
    fn check_asked(&self) -> Result<(), String> {
        let forgotten =
            |run: &&Run| run.unknown && !run.asked && self.executors.get(&run.executor).is_some_and(|it| it.connected);
        let mut runs = self.all.values().filter_map(|res| res.run.as_ref());
        runs.find(forgotten)
            .map_or(Ok(()), |run| Err(format!("{} says nothing of {}, and is not asked", run.executor, run.attempt)))
    }

    fn check_revoked(&self) -> Result<(), String> {
        for res in self.all.values().filter(|res| self.must_revoke(res)) {
            let run = res.run.as_ref().unwrap();
            let reachable = self.executors.get(&run.executor).is_some_and(|executor| executor.connected);
            if reachable && !run.asked {
                return Err(format!("{} must be asked back from {}", res.intent.name, run.executor));
            }
        }
        Ok(())
    }

    /// Nothing that could start is left lying: an executor with credits, on a target that nobody else works on.
    pub(super) fn check_granted(&self) -> Result<(), String> {
        for res in self.all.values().filter(|res| self.startable(res, false).is_ok()) {
            let target = &self.targets[&res.intent.target];
            let workers = self.workers(&target.name);
            let strays = self.strays.values().filter(|stray| stray.target == target.name).count();
            let on_target =
                strays + self.all.values().filter(|it| it.run.is_some() && it.intent.target == target.name).count();
            // Grants that are counted are not sent ahead.
            let counted = target.rate_limit.is_some() || self.settings.max_in_flight.is_some();
            let ahead = if counted { 0 } else { limits::GRANTS_AHEAD };
            let room = self.has_share(&target.name) && !self.too_many();
            let free = self.executors.iter().find(|(name, executor)| {
                let alone = workers.iter().all(|other| other.as_str() == &***name);
                // Half of the credits are for what targets run at once.
                let left = executor.credits.saturating_sub(self.held_by(name));
                let ahead = ahead.min(left.saturating_sub(executor.credits / 2) / limits::LEAD_SHARE);
                let takes = left > 0 && on_target < (target.concurrency + ahead) as usize;
                executor.connected && executor.pool == target.pool && takes && alone
            });
            if let (Some((name, _)), true) = (free, room) {
                return Err(format!("{} could start on {name} and is not granted", res.intent.name));
            }
        }
        Ok(())
    }
}
