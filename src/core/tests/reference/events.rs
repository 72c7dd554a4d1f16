//! What each event says about the stored part of the state, and what follows from it for the queue.
//!
//! Deliberately absent: what is granted or asked back (`follow.rs`), and what a push is worth (`pushes.rs`).

use super::super::super::{
    AttemptId, Effects, EnvironmentState, Event, ExecutorName, LastResult, Life, Message, Mode, Name, Observed,
    Operation, OutcomeKind, Reason, RefusalKind, RepairAction, RepairSchedule, Replace, RequestId, RequestKind,
    RequestRecord, ResourceId, Scope, Timestamp,
};
use super::follow::Seen;
use super::inputs::{looks, taken};
use super::model::{Executor, Model, Res, Run, Stray, satisfies};
use std::collections::{BTreeMap, BTreeSet};

impl Model {
    /// Everything but pushes, whose ids and versions have to be taken from the records.
    pub(super) fn take(&mut self, event: &Event, effects: &Effects, state: &EnvironmentState) -> Result<(), String> {
        match event {
            Event::Request(request) if request.digest.is_some() && self.refuses => {
                self.met.insert("refused as stale");
                let stale = |message: &Message| matches!(message, Message::Refused(all) if all.iter().any(|one| one.kind == RefusalKind::StalePlan));
                if !effects.messages.iter().any(stale) {
                    return Err("what was shown is not what would be released, and it is not refused".into());
                }
            }
            Event::Request(request) => {
                self.last_request.0 += 1;
                self.release_for(request, state)?;
                self.request(self.last_request, request.kind, &request.scope, None);
            }
            Event::SettingsChanged(settings) => self.settings = settings.clone(),
            Event::TargetChanged(target) => {
                self.rate_changes(target);
                self.targets.insert(target.name.clone(), target.clone());
            }
            Event::TargetRemoved(name) => {
                drop((self.targets.remove(name), self.buckets.remove(name)));
            }
            Event::ExecutorConnected { executor, pool, credits, .. } => {
                let known = Executor { pool: pool.clone(), connected: true, credits: *credits };
                self.executors.insert(executor.clone(), known);
                self.pools.one_came(pool);
            }
            Event::ExecutorDisconnected(executor) => {
                self.executors.entry(executor.clone()).and_modify(|known| known.connected = false);
            }
            Event::ExecutorLost(executor) => self.lose(executor),
            Event::Begun(executor, attempts) | Event::RevokeRefused(executor, attempts) => {
                self.answered(executor, attempts);
            }
            Event::Finished(executor, outcome) => self.finish(executor, outcome),
            Event::Stop => self.stopping = true,
            Event::PoolChanged(_) | Event::PoolRemoved(_) | Event::PoolUnavailable(..) => self.take_pool(event),
            _ => {}
        }
        Ok(())
    }

    /// "Good: repair interval. Bad: its own retry backoff."
    pub(super) fn ring(&mut self, event: Option<&Event>) {
        let now = self.now;
        // New settings plan verifications anew before any of them is due (`rearm`).
        let planned =
            matches!(event, Some(Event::SettingsChanged(settings)) if settings.repair != self.settings.repair);
        for id in self.ids() {
            let undefined = self.undefined(&self.all[&id]);
            let res = self.all.get_mut(id).unwrap();
            let rings = res.due.is_some_and(|due| due <= now);
            if rings && res.cancelled && res.run.is_some() {
                // Its executor has not answered yet: what it has is wanted again.
                self.wanted_again(id);
                continue;
            }
            let idle = res.queued.is_none() && res.run.is_none() && !(res.live() && undefined);
            if idle && res.due.is_some_and(|due| due <= now) {
                let failed = res.last_result == LastResult::Failed || !res.live();
                let reason = self.all[&id].comes_again();
                if failed || !planned {
                    self.all.get_mut(id).unwrap().queue(reason);
                }
            }
        }
    }

    fn wanted_again(&mut self, id: ResourceId) {
        let reason = self.all[&id].comes_again();
        let res = self.all.get_mut(id).unwrap();
        (res.cancelled, res.due) = (false, None);
        let hash = res.current;
        // Who only looks leaves what it finds.
        match res.run.as_mut().filter(|run| run.hash == hash && !run.stranger && !looks(run.reason)) {
            Some(run) => run.priority = run.priority.min(reason),
            None => res.queue(reason),
        }
    }

    pub(super) fn run_of(&mut self, executor: &ExecutorName, attempt: AttemptId) -> Option<&mut Res> {
        let holds = |run: &Run| run.attempt == attempt && run.executor == *executor;
        self.all.values_mut().find(|res| res.run.as_ref().is_some_and(holds))
    }

    /// It has begun: said by itself, or in answer to a revocation.
    fn answered(&mut self, executor: &ExecutorName, attempts: &[AttemptId]) {
        for attempt in attempts {
            if let Some(res) = self.run_of(executor, *attempt) {
                let run = res.run.as_mut().unwrap();
                (run.begun, run.revoking) = (true, false);
                res.delete_began |= run.operation == Operation::Delete;
            }
        }
    }

    fn lose(&mut self, executor: &ExecutorName) {
        self.executors.remove(executor);
        self.strays.retain(|_, stray| stray.executor != *executor);
        for id in self.ids() {
            let run = self.all[&id].run.clone().filter(|run| run.executor == *executor);
            if let Some(run) = run {
                let began = run.begun;
                self.ended(id, &run, began, &OutcomeKind::Lost);
            }
        }
    }

    /// It leaves the tables: deleted, or an orphan.
    pub(super) fn leave(&mut self, id: ResourceId) {
        let Some(res) = self.all.remove(id) else { return };
        self.answer(id);
        self.loosen(&res.intent.name);
        self.gone.push(Res { run: None, ..res.clone() });
        let thing = Some(res.thing());
        if let Some(run) = res.run {
            let stray = Stray { executor: run.executor, target: res.intent.target.clone(), thing };
            self.strays.insert(run.attempt, stray);
        }
        self.waits_no_more_for(id);
    }

    pub(super) fn waits_no_more_for(&mut self, id: ResourceId) {
        for other in self.ids() {
            if self.all[&other].after == Some(id) {
                let after = self.next_before(&self.all[&other]);
                self.all.get_mut(other).unwrap().after = after;
            }
        }
    }

    /// What waited for something that has gone waits for what else its name was, or is the same thing: `core` says for which of them first.
    fn next_before(&self, res: &Res) -> Option<ResourceId> {
        let same = |other: &&Res| other.thing() == res.thing() || other.intent.name == res.intent.name;
        let create_first = res.intent.policy.replace == Replace::CreateFirst;
        let must = |id: &ResourceId| !create_first || self.all[id].thing() == res.thing();
        let tombstones = self.all.values().filter(|other| !other.live() && other.id != res.id).filter(same);
        let first: Vec<ResourceId> = tombstones.map(|other| other.id).collect();
        let chosen = self.waits_in_core.get(&res.id).copied().filter(|chosen| first.contains(chosen));
        // In which order tombstones go that waited for each other, is open.
        chosen.or(first.iter().rfind(|id| must(id)).copied().filter(|_| res.live()))
    }

    /// Whether a tombstone requires what comes under a name that was nobody's, is open.
    fn loosen_missing(&mut self, id: ResourceId) {
        let missing = |name: &&Name| self.named(name).is_none();
        let names: Vec<Name> = self.all[&id].intent.requires.iter().filter(missing).cloned().collect();
        self.all.get_mut(id).unwrap().loose.extend(names);
    }

    /// One that bears this name bears it no more.
    pub(super) fn loosen(&mut self, name: &Name) {
        self.all.values_mut().for_each(|res| {
            res.loose.insert(name.clone());
        });
    }

    /// "A resource that is removed leaves a *tombstone*." `moves`: what it is goes on under another name.
    pub(super) fn bury(&mut self, id: ResourceId, approved: bool, moves: bool) {
        self.answer(id);
        let res = &self.all[&id];
        // What an executor has still needs its one outcome: until then even an orphan stays.
        let orphan = res.leaves_an_orphan() && res.run.is_none();
        let same = |before: &ResourceId| self.all.get(*before).is_some_and(|before| before.thing() == res.thing());
        let after = res.after.filter(same);
        let res = self.all.get_mut(id).unwrap();
        if orphan && !moves {
            self.leave(id);
        } else {
            res.life = Life::Tombstone;
            // "holds only what it must": its own deletion needs nothing of what its name was before.
            res.after = after;
            // What it was wanted to be is not known: it never became that. Without facts, its last intent says it.
            let known = !res.unknown || taken(&res.intent).is_empty();
            res.succeeded = res.succeeded.filter(|_| known);
            res.approved |= approved;
            res.pending = None;
            res.queued = None;
            res.due = None;
            res.failures = 0;
            self.loosen_missing(id);
        }
    }

    /// Group C: deploy takes what is not compliant, repair everything; neither what is undefined, nor what already runs for the same intent.
    /// One that was asked `at` an earlier time leaves out what was verified since, and what has failed since and waits for its retry.
    fn request(&mut self, id: RequestId, kind: RequestKind, scope: &Scope, at: Option<Timestamp>) {
        let request = id;
        if !matches!(kind, RequestKind::Deploy | RequestKind::Repair | RequestKind::Report | RequestKind::FactRefresh) {
            return self.order(id, kind, scope);
        }
        self.requests.entry(request).or_default();
        let newest = self.last_attempt.max(self.last_skip);
        self.ordered_after.entry(request).or_insert(newest);
        for id in self.ids() {
            let res = &self.all[&id];
            let named = scope.names.as_ref().is_some_and(|names| names.contains(&res.intent.name));
            let inside = (scope.names.is_none() || named)
                && scope.target.as_ref().is_none_or(|target| *target == res.intent.target);
            let looks = matches!(kind, RequestKind::Report | RequestKind::FactRefresh);
            let enough = looks || !res.reports();
            let enough = enough && !res.owes();
            let runs = enough && res.run.as_ref().is_some_and(|run| run.hash == res.current && !run.stranger);
            // P2: a user's deploy tries a delete that failed again, for nobody's request.
            let means = self.named(&res.intent.name).is_some_and(|of| scope.names.is_none() || of.id == res.id);
            let waits = !res.live() && res.failures > 0 && res.queued.is_none() && res.run.is_none();
            if kind == RequestKind::Deploy && inside && waits && means && at.is_none() {
                self.all.get_mut(id).unwrap().queue(Reason::UserDeploy);
                continue;
            }
            if !res.live() || !inside || self.undefined(res) {
                continue;
            }
            // "A receiver with a debt is attempted even if its intent is unchanged."
            let owed = res.debt.is_some() && !res.skipped;
            let since = at.is_some_and(|at| res.verified.is_some_and(|verified| verified >= at));
            let wanted = (kind == RequestKind::Repair && !since)
                || (looks && !since && self.can_be_looked_at(id))
                || kind == RequestKind::Deploy && (needs(res, true) || owed || (named && res.skipped));
            // "What was cancelled is left alone until a deploy or its time comes", and not this deploy: it was asked for before.
            let longest = self.settings.retry.max_delay_ms;
            // By a clock that was set back since, it was asked for before too: its time has not come yet.
            let later = |at: Timestamp| res.due.is_some_and(|due| at > self.now || due >= at.after_ms(longest));
            let cancelled = at.is_some_and(later)
                && (res.run.is_none() && res.queued.is_none())
                && (res.skipped || res.debt.is_some() || self.needs_deploy(res))
                && !(res.last_result == LastResult::Failed || res.observed.differs());
            // "not good ones by their retry time" (L1): what was asked for has been tried, whoever owned the environment then.
            let tried = at.is_some() && res.last > self.ordered_after[&request];
            let waits = res.last_result == LastResult::Failed && res.due.is_some();
            let wanted = wanted && !cancelled && !(tried && waits);
            let reason = match kind {
                RequestKind::Repair => Reason::UserRepair,
                RequestKind::Report => Reason::Report,
                RequestKind::FactRefresh => Reason::FactRefresh,
                _ => Reason::UserDeploy,
            };
            if looks {
                self.looks.insert(request, reason);
            }
            if wanted && kind == RequestKind::FactRefresh {
                self.met.insert("facts are asked for");
            }
            if wanted {
                self.requests.entry(request).or_default().insert(id);
            }
            let res = self.all.get_mut(id).unwrap();
            match &mut res.run {
                // "Raising the priority of a running attempt raises what it triggers later" (H6).
                // What is queued behind it as urgently brings it all the same.
                Some(run) if runs && wanted && res.queued.is_none_or(|queued| reason < queued) => {
                    run.priority = run.priority.min(reason);
                }
                _ if wanted && !runs => res.queue(reason),
                _ => {}
            }
        }
    }

    /// It has been dealt with, for whoever asked.
    pub(super) fn answer(&mut self, id: ResourceId) {
        self.requests.values_mut().for_each(|covered| {
            covered.remove(&id);
        });
    }

    /// "A fact refresh runs once for the resource asked" (J2), and waits for no neighbour: whatever else was to bring it.
    fn answer_skipped(&mut self, id: ResourceId) {
        let covers = |request: &RequestId| self.requests.get(request).is_some_and(|covered| covered.contains(&id));
        let open: BTreeMap<RequestId, Reason> =
            self.looks.iter().filter(|(request, _)| covers(request)).map(|(request, look)| (*request, *look)).collect();
        let open = if self.can_be_looked_at(id) { open } else { BTreeMap::new() };
        self.answer(id);
        for request in open.keys() {
            self.requests.entry(*request).or_default().insert(id);
        }
        if let Some(look) = open.values().min() {
            self.all.get_mut(id).unwrap().queue(*look);
        }
    }

    /// A request that covers nothing any more is done.
    pub(super) fn close_requests(&mut self) -> BTreeSet<RequestId> {
        let done: BTreeSet<RequestId> =
            self.requests.iter().filter(|(_, covered)| covered.is_empty()).map(|(id, _)| *id).collect();
        self.requests.retain(|id, _| !done.contains(id));
        done.union(&std::mem::take(&mut self.done)).copied().collect()
    }

    /// "changing a setting re-arms from the last attempt", which may be due at once: `core` chooses the moment within the interval.
    pub(super) fn rearm(&mut self, event: Option<&Event>, seen: &Seen) {
        // So may the end of a look that found nothing out: what was due before it is due again.
        let ended =
            matches!(event, Some(Event::Finished(..) | Event::ExecutorLost(_) | Event::ExecutorConnected { .. }));
        let changed = matches!(event, Some(Event::SettingsChanged(_))) || self.clock_stepped;
        if !(ended || changed) || self.settings.repair.schedule == RepairSchedule::Off {
            return;
        }
        let overdue = |res: &Res| self.verification_bounds(res.verified).is_some_and(|(from, _)| from <= self.now);
        // One that is due at once may be skipped at once.
        let due = seen.reasons.iter().filter(|(_, reason)| **reason == Reason::Repair).map(|(id, _)| id);
        let due: Vec<ResourceId> =
            due.chain(&seen.skipped).copied().filter(|id| changed || self.all.get(*id).is_some_and(overdue)).collect();
        for id in due {
            let verified = self.all.get(id).is_some_and(|res| {
                res.live()
                    && res.last_result == LastResult::Succeeded
                    && res.queued.is_none()
                    && res.run.is_none()
                    && !self.undefined(res)
            });
            if verified {
                self.all.get_mut(id).unwrap().queue(Reason::Repair);
            }
        }
    }

    /// "`HasUpdate`, Failed, or a difference whose policy is to correct; never blocked, never an observed-only difference."
    pub(super) fn needs_deploy(&self, res: &Res) -> bool {
        // What a report has found is left until the next verification, or until a user asks for more.
        needs(res, self.settings.repair.action == RepairAction::Correct && res.observed != Observed::Reported)
    }

    /// What follows for the queue, until nothing moves any more.
    pub(super) fn settle(&mut self, seen: &Seen) {
        self.skips.clear();
        for _ in 0..1_000 {
            let state =
                |model: &Self| -> Vec<_> { model.all.values().map(|res| (res.id, res.queued, res.skipped)).collect() };
            let before = state(self);
            self.ids().into_iter().for_each(|id| self.think_over(id, seen));
            if before != state(self) {
                continue;
            }
            // Only when nothing more joins the queue is it known for whom nothing is left to wait.
            self.skip(seen);
            if before == state(self) {
                return;
            }
        }
        panic!("the reference does not settle");
    }

    /// What a push names and needs an attempt anyway may join the changes, whatever of it the push has changed: the documents leave that to `core`.
    pub(super) fn raise(&mut self, event: Option<&Event>, seen: &Seen) {
        let upserts = if let Some(Event::Push(push)) = event { push.upserts.as_slice() } else { &[] };
        for (id, reason) in &seen.reasons {
            let released = self.released.clone();
            let pushed = |res: &&mut Res| {
                released.contains(&res.intent.name) || upserts.iter().any(|intent| intent.name == res.intent.name)
            };
            if let Some(res) = self.all.get_mut(*id).filter(|res| res.queued > Some(Reason::Change)).filter(pushed) {
                res.queue((*reason).max(Reason::Change));
            }
        }
    }

    fn think_over(&mut self, id: ResourceId, seen: &Seen) {
        let res = &self.all[&id];
        if !res.live() {
            // Deleting is queued from the start; after a failure the timer queues it.
            let waits = res.run.is_some() || res.queued.is_some() || res.due.is_some() || res.failures > 0;
            if !waits {
                self.all.get_mut(id).unwrap().queue(Reason::Change);
            }
            return;
        }
        if self.undefined(res) {
            // "Blocking drops queued and waiting work of the resource and stops its timers."
            let res = self.all.get_mut(id).unwrap();
            (res.queued, res.due, res.cancelled) = (None, None, false);
            self.answer(id);
            return;
        }
        if let Some(told) = res.told.filter(|told| res.was_undefined && seen.reasons.get(&id) == Some(told)) {
            let res = self.all.get_mut(id).unwrap();
            (res.told, res.queued, res.joined, res.anew) = (None, Some(told), true, true);
            return;
        }
        let current = !res.owes() && res.run.as_ref().is_some_and(|run| run.hash == res.current && !run.stranger);
        // Who only looks leaves what it finds.
        let enough = current && !res.run.as_ref().is_some_and(|run| looks(run.reason));
        if res.was_undefined && self.needs_deploy(res) && enough {
            let run = self.all.get_mut(id).unwrap().run.as_mut().unwrap();
            run.priority = run.priority.min(Reason::Change);
            return;
        }
        if res.was_undefined && self.needs_deploy(res) && res.queued.is_none() {
            // Becoming defined is a change of what it stands on.
            self.all.get_mut(id).unwrap().queue(Reason::Change);
            return;
        }
        // A difference that was only reported when it was found is corrected now, or by the next repair.
        // What is released with it is a change.
        let released = self.released.contains(&res.intent.name);
        let corrects = |reason: &&Reason| **reason == Reason::Repair || released && **reason == Reason::Change;
        let reason = seen.reasons.get(&id).filter(corrects).copied().filter(|_| res.observed.differs());
        if let Some(reason) = reason
            && self.needs_deploy(res)
            && res.run.is_none()
            && res.queued.is_none()
        {
            self.all.get_mut(id).unwrap().queue(reason);
            return;
        }
        // What has been told and failed is told again when it is tried again.
        if res.left_alone() && !res.skipped {
            return;
        }
        if res.owes()
            && res.last_result != LastResult::Failed
            && !res.skipped
            && res.queued.is_none()
            && res.due.is_none()
        {
            let reason = seen.reasons.get(&id).copied().unwrap_or(Reason::Change);
            self.all.get_mut(id).unwrap().queue(reason);
            return;
        }
        if res.has_update() && !res.skipped && !current && res.queued.is_none() {
            self.all.get_mut(id).unwrap().queue(Reason::Change);
            return;
        }
        if let Some(run) = &res.run {
            // "the same identity under another name moves": what was granted under the old one may be granted again.
            if run.name != res.intent.name && res.queued.is_none() && seen.queued.contains(&id) {
                self.all.get_mut(id).unwrap().queue(Reason::Change);
            }
            return;
        }
        let others = self.requirements(res);
        let unsatisfied = others.iter().any(|other| !satisfies(res, other));
        if res.queued.is_none() {
            // "When a resource recovers, dependents that were skipped because of it run again, always": when all it requires is good and idle.
            let must = others.iter().all(|other| !self.busy(other));
            let may = others.iter().all(|other| self.perhaps_idle(other)) && seen.reasons.contains_key(&id);
            if res.skipped && !unsatisfied && (must || may) {
                let res = self.all.get_mut(id).unwrap();
                // What was never attempted is a change still, whatever it waited for.
                res.queue(if res.has_update() { Reason::Change } else { Reason::Retry });
            }
        }
    }

    /// First what others stand on: whose skip leaves a look to do is waited for.
    fn skip(&mut self, seen: &Seen) {
        let mut left: Vec<ResourceId> = self.ids();
        while let Some(next) =
            left.iter().position(|id| self.is_to_be_skipped(*id, seen) && !self.stands_on_one(*id, &left, seen))
        {
            let id = left.swap_remove(next);
            self.skips.insert(id);
            let res = self.all.get_mut(id).unwrap();
            (res.queued, res.skipped, res.due) = (None, true, None);
            self.answer_skipped(id);
        }
    }

    fn stands_on_one(&self, id: ResourceId, left: &[ResourceId], seen: &Seen) -> bool {
        let others = self.requirements(&self.all[&id]);
        others.iter().any(|other| left.contains(&other.id) && self.is_to_be_skipped(other.id, seen))
    }

    fn is_to_be_skipped(&self, id: ResourceId, seen: &Seen) -> bool {
        let res = &self.all[&id];
        if !res.live() || res.run.is_some() || res.queued.is_none() || res.reports() || self.undefined(res) {
            return false;
        }
        let others = self.requirements(res);
        // "A finished dependency, failed too, releases its dependents from waiting; if it is not good, they are Skipped."
        let unsatisfied = others.iter().any(|other| !satisfies(res, other));
        let must = others.iter().all(|other| !self.busy(other)) && !self.yielding(res, false);
        // A verification asks for no grants back before its turn has come; a skip needs none of them.
        let may = others.iter().all(|other| self.perhaps_idle(other)) && (res.good() || !self.yielding(res, true));
        unsatisfied && res.after.is_none() && !self.forgotten_runs(res) && (must || may && seen.skipped.contains(&id))
    }

    /// Another owner starts: "what it finds undone, it queues: restart and event are one path". Executors say hello again.
    pub(super) fn restart(&mut self, requests: &[RequestRecord]) {
        self.stopping = false;
        self.requests.clear();
        self.suspended.clear();
        self.forget_rates();
        self.starts.clear();
        self.pools = super::pools::Pools::default();
        self.executors.clear();
        self.strays.retain(|attempt, _| !self.dry.contains(attempt));
        for id in self.ids() {
            let res = self.all.get_mut(id).unwrap();
            res.queued = None;
            // Until when it is left alone is in history, where there is a time.
            res.cancelled &= res.due.is_some();
            // Whether a delete has begun, only its outcome tells.
            res.delete_began = !res.live() && res.failures > 0;
            if !res.live() {
                self.loosen_missing(id);
            }
            let res = self.all.get_mut(id).unwrap();
            if let Some(run) = &mut res.run {
                // That it was removed and added again meanwhile, history does not say.
                (run.begun, run.revoking, run.asked, run.stranger) = (false, false, false, false);
                run.priority = run.reason;
            }
            let res = &self.all[&id];
            let follows = res.run.as_ref().is_some_and(|run| run.hash != res.current || res.owes());
            let idle = res.run.is_none() && res.due.is_none() && !res.skipped;
            let needs = self.needs_deploy(res) || res.debt.is_some();
            if res.live() && !self.undefined(res) && (follows || idle && needs) {
                let reason = res.comes_again();
                self.all.get_mut(id).unwrap().queue(reason);
            } else if !res.live() && res.run.is_none() && res.due.is_none() {
                self.all.get_mut(id).unwrap().queue(Reason::Change);
            }
        }
        for request in requests {
            self.request(request.id, request.kind, &request.scope, Some(request.at));
        }
    }

    /// What the next step compares with.
    pub(super) fn remember(&mut self) {
        self.gone.clear();
        for id in self.ids() {
            let undefined = self.undefined(&self.all[&id]);
            let res = self.all.get_mut(id).unwrap();
            (res.was_undefined, res.told) = (undefined, None);
        }
    }
}

/// "everything that is not compliant", but for a difference that is left.
fn needs(res: &Res, correct: bool) -> bool {
    // It was found of this intent: of one whose attempt was lost nothing is known.
    let found = res.last_result == LastResult::Succeeded && !res.has_update() && res.succeeded == Some(res.current);
    let left = res.observed.differs() && found;
    let correct = correct && res.intent.policy.mode == Mode::Enforce;
    !res.skipped && if left { correct } else { !res.compliant() }
}
