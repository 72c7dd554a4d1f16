//! Dry runs: what deploying intents that may not be accepted yet would do. What needs no look at its target is decided here, a share per step; the rest
//! stands in line there, and executors look.
//!
//! Deliberately absent: a dry run that outlives its owner. It changes nothing: whoever still wants to know asks the next one.

use super::ready::{Entry, Work};
use super::state::{EnvironmentState, Open, Resource, TargetIndex};
use super::{
    AttemptId, Change, DeletionPolicy, DryRunId, DryRunItem, DryRunRequest, ExecutorName, Intent, Message, Mode, Name,
    Operation, OutcomeKind, Reason, Record, Refusal, RefusalKind, limits,
};
use std::collections::HashSet;
use std::sync::Arc;

/// One that has not ended.
#[derive(Debug)]
pub(super) struct DryRun {
    items: Vec<DryRunItem>,
    /// So many of them have no result yet.
    remaining: u32,
    /// So many of them, from the first on, have been looked at.
    looked_at: u32,
    /// What it would deploy, until all of it has been looked at: one may require another that comes later.
    names: HashSet<Name>,
}

/// What is known of one without a look at its target.
enum Prospect {
    Decided(&'static str, Name),
    /// An executor looks at it there.
    OnTarget(TargetIndex),
}

impl DryRun {
    fn next(&mut self) -> Option<(u32, DryRunItem)> {
        let item = self.looked_at;
        let next = self.items.get(item as usize)?.clone();
        self.looked_at += 1;
        Some((item, next))
    }

    fn is_looked_at(&self) -> bool {
        self.looked_at as usize == self.items.len()
    }
}

impl EnvironmentState {
    pub(super) fn dry_run(&mut self, request: DryRunRequest) {
        if self.dry_runs.len() >= limits::OPEN_REQUESTS {
            let kind = RefusalKind::TooManyRequests(limits::OPEN_REQUESTS);
            return self.out.messages.push(Message::Refused(vec![Refusal { name: "".into(), kind }]));
        }
        self.last_dry_run.0 += 1;
        let id = self.last_dry_run;
        let DryRunRequest { mut items, author, .. } = request;
        let mut names = HashSet::with_capacity(items.len());
        items.retain(|item| names.insert(item.intent.name.clone()));
        for item in items.iter().filter(|item| item.removed) {
            names.remove(&item.intent.name);
        }
        let remaining = items.len() as u32;
        self.out.records.push(Record::DryRun { id, items: remaining, author, at: self.now });
        self.out.messages.push(Message::DryRunAccepted(id));
        if items.is_empty() {
            return self.out.messages.push(Message::DryRunFinished(id));
        }
        self.dry_runs.insert(id, DryRun { items, remaining, looked_at: 0, names });
    }

    /// Not everything of a dry run has been looked at, or is known to have lost its target.
    pub(super) fn takes_in_dry_runs(&self) -> bool {
        !self.stranded.is_empty() || self.dry_runs.values().any(|run| !run.is_looked_at())
    }

    /// Goes on with the dry runs that came first. Nothing else waits for them: they have a part of the step's share, and leave some to be granted.
    pub(super) fn take_in_dry_runs(&mut self) {
        if !self.takes_in_dry_runs() {
            return;
        }
        let mut part = self.share.take_part();
        self.end_stranded(&mut part);
        let not_looked_at = self.dry_runs.iter().filter(|(_, run)| !run.is_looked_at());
        for id in not_looked_at.map(|(&id, _)| id).collect::<Vec<DryRunId>>() {
            self.take_in_dry_run(id, &mut part);
        }
    }

    /// Their target is gone, and with it what waited for a look at it, unless it has come back meanwhile.
    fn end_stranded(&mut self, part: &mut usize) {
        while *part > 0
            && let Some(&index) = self.stranded.first()
        {
            *part -= 1;
            let gone = self.target_mut(index).filter(|place| place.target.is_none());
            if let Some((id, item)) = gone.and_then(|place| place.ready.take_dry_run()) {
                self.strand(id, item);
            } else {
                self.stranded.remove(&index);
                self.dispatchable.insert(index);
            }
        }
    }

    fn take_in_dry_run(&mut self, id: DryRunId, part: &mut usize) {
        let Some(run) = self.dry_runs.get_mut(&id) else { return };
        let names = std::mem::take(&mut run.names);
        while *part > 0
            && let Some(run) = self.dry_runs.get_mut(&id).filter(|run| !run.is_looked_at())
        {
            *part -= 1;
            let Some((item, next)) = run.next() else { break };
            match self.prospect(&next, &names) {
                Prospect::Decided(result, detail) => self.dry_run_result(id, item, result, detail),
                Prospect::OnTarget(index) => self.queue_dry_run(id, item, index),
            }
        }
        if let Some(run) = self.dry_runs.get_mut(&id).filter(|run| !run.is_looked_at()) {
            run.names = names;
        }
    }

    fn prospect(&self, item: &DryRunItem, names: &HashSet<Name>) -> Prospect {
        let intent = &*item.intent;
        if item.removed {
            return self.prospect_of_removal(intent);
        }
        let exists = |name: &Name| names.contains(name) || self.bearer(name).is_some() || self.accepted(name).is_some();
        if let Some(name) = intent.requires.iter().find(|name| !exists(name)) {
            return Prospect::Decided("undefined", format!("it requires {name}, which does not exist").into());
        }
        let index = self.target_index.get(&intent.target).copied();
        let Some(index) = index.filter(|&index| self.target(index).is_some_and(|place| place.target.is_some())) else {
            return Prospect::Decided("undefined", format!("target {} does not exist", intent.target).into());
        };
        if let Some(of) = self.first_unknown(intent) {
            let detail =
                format!("it takes fact {} of {}, which is known when {} is deployed", of.fact, of.name, of.name);
            return Prospect::Decided("known after apply", detail.into());
        }
        Prospect::OnTarget(index)
    }

    fn prospect_of_removal(&self, intent: &Intent) -> Prospect {
        let known = self.live.get(&intent.name).and_then(|&id| self.get(id));
        let deletes = known.is_some_and(Resource::ever_attempted)
            && intent.policy.deletion_policy == DeletionPolicy::Delete
            && intent.policy.mode == Mode::Enforce;
        match (deletes, intent.policy.protected) {
            (true, false) => Prospect::Decided("delete", "".into()),
            (true, true) => Prospect::Decided("none", "it is protected: it is never deleted on its target".into()),
            (false, _) => Prospect::Decided("none", "".into()),
        }
    }

    fn queue_dry_run(&mut self, id: DryRunId, item: u32, index: TargetIndex) {
        self.sequence += 1;
        let (turn, work) = ((Reason::DryRun, self.sequence), Work::DryRun(id, item));
        let entry = Entry { turn, since: self.sequence, work };
        if let Some(place) = self.target_mut(index) {
            place.ready.insert(entry);
        }
        self.dispatchable.insert(index);
    }

    fn strand(&mut self, id: DryRunId, item: u32) {
        self.dry_run_result(id, item, "undefined", "its target does not exist any more".into());
    }

    pub(super) fn grant_dry_run(
        &mut self,
        id: DryRunId,
        item: u32,
        attempt: AttemptId,
        executor: ExecutorName,
        index: TargetIndex,
    ) {
        let Some(entry) = self.dry_runs.get(&id).and_then(|run| run.items.get(item as usize)) else { return };
        let intent = Arc::clone(&entry.intent);
        let known = self.live.get(&intent.name).and_then(|&id| self.get(id));
        let remote_identity = known.and_then(|resource| resource.row.remote_identity.clone());
        let once_secret = self.held_by_what_is_meant(&intent);
        let Some(grant) = self.make_grant(index, intent, attempt, Reason::DryRun, Operation::DryRun) else { return };
        self.open.insert(attempt, Open::DryRun { id, item, target: index, executor: executor.clone() });
        self.send_grant(executor, Arc::new(super::Grant { once_secret, remote_identity, ..grant }));
    }

    pub(super) fn finish_dry_run(&mut self, id: DryRunId, item: u32, index: TargetIndex, kind: &OutcomeKind) {
        let exists = self.target(index).is_some_and(|place| place.target.is_some());
        match kind {
            // Nobody has looked at it: its executor gave it back, or never had it.
            OutcomeKind::Revoked if exists => self.queue_dry_run(id, item, index),
            OutcomeKind::Revoked => self.strand(id, item),
            OutcomeKind::Succeeded(finding) => {
                let result = match finding.change {
                    Change::None => "none",
                    Change::Create => "create",
                    Change::Update => "update",
                    Change::Replace => "replace",
                    Change::Delete => "delete",
                };
                self.dry_run_result(id, item, result, finding.diff.clone());
            }
            OutcomeKind::Failed { message, .. } => self.dry_run_result(id, item, "unavailable", message.clone()),
            OutcomeKind::Lost | OutcomeKind::Skipped { .. } => {
                self.dry_run_result(id, item, "unavailable", "the executor ended before it reported a result".into());
            }
        }
    }

    fn dry_run_result(&mut self, id: DryRunId, item: u32, result: &'static str, detail: Name) {
        let Some(run) = self.dry_runs.get_mut(&id) else { return };
        let Some(name) = run.items.get(item as usize).map(|item| item.intent.name.clone()) else { return };
        run.remaining = run.remaining.saturating_sub(1);
        let done = run.remaining == 0;
        self.out.records.push(Record::DryRunResult { id, name, result, detail });
        if done {
            self.dry_runs.remove(&id);
            self.out.messages.push(Message::DryRunFinished(id));
        }
    }
}
