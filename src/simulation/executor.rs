//! The model executor: what it holds until it is acknowledged, a queue and lanes per target, a lease. The rules are those of `executor/worker`, on
//! a virtual clock; the work is done on model targets.

use super::agenda::Happening;
use super::clock::Clock;
use super::mutant::Mutant;
use super::stream::{FromExecutor, FromOwner, StreamId};
use super::targets::{Read, Targets, key_of};
use super::violation::Checker;
use super::world::World;
use crate::core::{
    AttemptId, Change, Epoch, ExecutorName, Facts, Finding, Grant, InputSource, Intent, KnownFact, Life, Name,
    Operation, OutcomeKind, TargetName, limits,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

/// How long an executor that does not hear its owner may work.
pub(super) const LEASE_MS: u64 = limits::LEASE_MS as u64;

#[derive(Debug)]
pub(super) struct Executor {
    /// Only its rate matters: of all else it tells ages.
    clock: Clock,
    pub(super) stream: Option<StreamId>,
    pub(super) welcomed: bool,
    pub(super) highest_epoch: Epoch,
    pub(super) held: BTreeMap<AttemptId, Held>,
    queues: BTreeMap<TargetName, VecDeque<AttemptId>>,
    /// Its lease runs: it does not hear its owner.
    pub(super) silent: bool,
    /// When it sent what the owner last answered.
    pub(super) answered_at: u64,
    pub(super) frozen: bool,
    /// What happens to it while it is frozen.
    pub(super) asleep: Vec<Happening>,
    /// It does not reach its owner before.
    pub(super) cut_until: u64,
    /// Nor any target.
    pub(super) alone_until: u64,
}

#[derive(Debug)]
pub(super) struct Held {
    grant: Arc<Grant>,
    state: HeldState,
}

#[derive(Debug)]
enum HeldState {
    Waiting,
    Running(Run),
    Answered(Report),
    GivenBack,
}

#[derive(Debug)]
struct Run {
    began_at: u64,
    /// What was there when it looked, once it has.
    read: Option<Read>,
    /// What was found and done, once it was.
    finding: Option<Finding>,
    cancelled: bool,
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Read,
    Effect,
    Report,
    /// It was cancelled, and what worked on it has ended.
    Cancelled,
}

/// What executors say of attempts: facts, which may be heard twice and late.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Begun(Vec<AttemptId>),
    Finished(Report),
    RevokeRefused(AttemptId),
}

/// An answer to a grant.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) attempt: AttemptId,
    pub(super) began_at: Option<u64>,
    pub(super) finished_at: u64,
    pub(super) kind: OutcomeKind,
}

impl Executor {
    pub(super) fn new(now: u64, rate: u64) -> Self {
        Self {
            clock: Clock::new(now, rate, 0),
            stream: None,
            welcomed: false,
            highest_epoch: Epoch(0),
            held: BTreeMap::new(),
            queues: BTreeMap::new(),
            silent: false,
            answered_at: now,
            frozen: false,
            asleep: Vec::new(),
            cut_until: 0,
            alone_until: 0,
        }
    }

    /// How long its lease truly lasts.
    fn lease_ms(&self) -> u64 {
        self.clock.lasts(LEASE_MS)
    }

    fn lease_is_over(&self, now: u64) -> bool {
        self.silent && now >= self.answered_at + self.lease_ms()
    }

    fn running_on(&self, target: &TargetName) -> u32 {
        let running = |held: &&Held| matches!(held.state, HeldState::Running(_)) && held.grant.intent.target == *target;
        self.held.values().filter(running).count() as u32
    }

    fn runs_elsewhere(&self, target: &TargetName) -> bool {
        let running = |held: &Held| matches!(held.state, HeldState::Running(_)) && held.grant.intent.target != *target;
        self.held.values().any(running)
    }

    fn attempts(&self, which: impl Fn(&HeldState) -> bool) -> Vec<AttemptId> {
        self.held.iter().filter(|(_, held)| which(&held.state)).map(|(&attempt, _)| attempt).collect()
    }

    fn run_mut(&mut self, attempt: AttemptId) -> Option<(&Arc<Grant>, &mut Run)> {
        let Held { grant, state: HeldState::Running(run) } = self.held.get_mut(&attempt)? else { return None };
        Some((grant, run))
    }
}

impl World {
    pub(super) fn arrives_at_executor(&mut self, id: StreamId, message: FromOwner) {
        let Some(stream) = self.streams.get(&id).filter(|stream| stream.open_at_executor) else { return };
        let executor = stream.executor.clone();
        let Some(state) = self.executors.get_mut(&executor).filter(|state| state.stream == Some(id)) else { return };
        match message {
            FromOwner::Welcome { epoch, .. } if epoch < state.highest_epoch => self.cut(id),
            FromOwner::Welcome { epoch, hello_sent_at } => {
                let owner = self.owners.get(&stream.owner).filter(|owner| !owner.frozen);
                // A welcome from the past, from somebody who does not listen any more, prolongs the lease from when it was asked for.
                state.silent = !stream.open_at_owner || owner.is_none();
                state.highest_epoch = epoch;
                state.welcomed = true;
                state.answered_at = state.answered_at.max(hello_sent_at);
                self.await_lease_end(&executor);
                self.say_again(&executor);
            }
            FromOwner::Grant(grant) => self.granted(&executor, grant),
            FromOwner::Revoke(attempt) => self.revoked(&executor, attempt),
            FromOwner::Acknowledge(attempt) => {
                let answered = |held: &Held| !matches!(held.state, HeldState::Waiting | HeldState::Running(_));
                if state.held.get(&attempt).is_some_and(answered) {
                    state.held.remove(&attempt);
                }
            }
        }
    }

    /// A new stream: everything that is held is said again.
    fn say_again(&mut self, executor: &ExecutorName) {
        let Some(state) = self.executors.get(executor) else { return };
        let mut said = Vec::new();
        for (&attempt, held) in &state.held {
            match &held.state {
                HeldState::Waiting => {}
                HeldState::Running(_) => said.push(Said::Begun(vec![attempt])),
                HeldState::Answered(report) => said.push(Said::Finished(report.clone())),
                HeldState::GivenBack => said.push(Said::Finished(revoked(attempt, self.now))),
            }
        }
        for said in said {
            self.say(executor, said);
        }
    }

    /// Says something, if anybody listens; what is held is said again to whoever listens next.
    fn say(&mut self, executor: &ExecutorName, said: Said) {
        if let Said::Finished(report) = &said {
            self.store.journal.said(report.attempt, &report.kind);
        }
        if self.faults.repeats(&mut self.random) {
            let later = if self.random.chance(50) { 200 } else { 60_000 };
            let at = self.now + self.random.between(1, later);
            self.agenda.plan(at, Happening::Copy(executor.clone(), said.clone()));
        }
        let listens = self.executors.get(executor).filter(|state| state.welcomed).and_then(|state| state.stream);
        if let Some(id) = listens {
            self.send_to_owner(id, FromExecutor::Said(said));
        }
    }

    fn granted(&mut self, executor: &ExecutorName, grant: Arc<Grant>) {
        self.check_grant_is_recorded(&grant);
        let Some(state) = self.executors.get_mut(executor) else { return };
        let attempt = grant.attempt;
        if state.held.contains_key(&attempt) {
            return;
        }
        let unanswered = |held: &&Held| matches!(held.state, HeldState::Waiting | HeldState::Running(_));
        let refusal = if grant.epoch < state.highest_epoch {
            Some("refused: granted in an epoch that is over")
        } else if state.held.values().filter(unanswered).count() >= self.users.credits as usize {
            Some("refused: more grants than it takes")
        } else {
            None
        };
        let target = grant.intent.target.clone();
        state.held.insert(attempt, Held { grant, state: HeldState::Waiting });
        if let Some(message) = refusal {
            self.answer(executor, attempt, OutcomeKind::Failed { message: message.into(), finding: None });
            return;
        }
        if let Some(state) = self.executors.get_mut(executor) {
            state.queues.entry(target.clone()).or_default().push_back(attempt);
        }
        self.fill_lanes(executor, &target);
    }

    /// The owner wants a grant back.
    fn revoked(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        let Some(state) = self.executors.get_mut(executor) else { return };
        match state.held.get_mut(&attempt) {
            Some(held) if matches!(held.state, HeldState::Waiting) => {
                if self.mutant != Some(Mutant::WorkOnRevoked) {
                    held.state = HeldState::GivenBack;
                }
                self.say(executor, Said::Finished(revoked(attempt, self.now)));
            }
            Some(Held { state: HeldState::Running(_) | HeldState::Answered(_), .. }) => {
                self.say(executor, Said::RevokeRefused(attempt));
            }
            // Not known here: it will certainly not begin.
            _ => self.say(executor, Said::Finished(revoked(attempt, self.now))),
        }
    }

    /// Begins what there is room for on a target.
    fn fill_lanes(&mut self, executor: &ExecutorName, target: &TargetName) {
        loop {
            let now = self.now;
            let Some(state) = self.executors.get_mut(executor) else { return };
            let running = state.running_on(target);
            let elsewhere = self.mutant == Some(Mutant::OneLane) && state.runs_elsewhere(target);
            let Some(queue) = state.queues.get_mut(target) else { return };
            let Some(&attempt) = queue.front() else { return };
            let Some(held) = state.held.get(&attempt).filter(|held| matches!(held.state, HeldState::Waiting)) else {
                queue.pop_front();
                continue;
            };
            if running >= held.grant.concurrency || elsewhere {
                return;
            }
            queue.pop_front();
            if state.lease_is_over(now) {
                self.give_back(executor, attempt);
            } else {
                self.begin_attempt(executor, attempt);
            }
        }
    }

    fn give_back(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        if let Some(held) = self.executors.get_mut(executor).and_then(|state| state.held.get_mut(&attempt)) {
            held.state = HeldState::GivenBack;
        }
        self.say(executor, Said::Finished(revoked(attempt, self.now)));
    }

    fn begin_attempt(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        let (now, took) = (self.now, self.faults.takes_ms(250, &mut self.random));
        let Some(held) = self.executors.get_mut(executor).and_then(|state| state.held.get_mut(&attempt)) else {
            return;
        };
        held.state = HeldState::Running(Run { began_at: now, read: None, finding: None, cancelled: false });
        let grant = Arc::clone(&held.grant);
        self.note(&format!(
            "{executor} begins {:?} {} (attempt {attempt} of resource {:?})",
            grant.operation,
            grant.intent.name,
            grant.resource.map(|id| id.0)
        ));
        self.check_begin(executor, &grant);
        let found = self.targets.begin(executor, &grant);
        self.found(found);
        self.say(executor, Said::Begun(vec![attempt]));
        self.agenda.plan(now + took, Happening::Attempt(executor.clone(), attempt, Phase::Read));
    }

    /// An attempt goes on to its next phase; the process may be killed before each.
    pub(super) fn goes_on(&mut self, executor: &ExecutorName, attempt: AttemptId, phase: Phase) {
        let took = self.faults.takes_ms(400, &mut self.random);
        let Some((grant, run)) = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt)) else {
            return;
        };
        if run.cancelled != (phase == Phase::Cancelled) {
            return;
        }
        let (grant, overdue) = (Arc::clone(grant), self.now >= run.began_at + grant.intent.policy.deadline_ms);
        if phase != Phase::Cancelled && self.faults.kills_at(phase, &mut self.random) {
            self.kill_executor(executor);
            return;
        }
        if self.faults.parts_at(phase, grant.intent.policy.deadline_ms, &mut self.random) {
            self.part(executor);
        }
        let next =
            |world: &mut Self, at, phase| world.agenda.plan(at, Happening::Attempt(executor.clone(), attempt, phase));
        match phase {
            Phase::Read | Phase::Effect if overdue => {
                let message = "the deadline passed".into();
                self.end_attempt(executor, attempt, OutcomeKind::Failed { message, finding: None });
            }
            Phase::Read | Phase::Effect
                if self.is_alone(executor) || self.targets.hung.contains(&grant.intent.target) =>
            {
                next(self, self.now + 1_000, phase);
            }
            Phase::Read => {
                let read = self.targets.read(&grant.intent);
                if self.is(Mutant::ReportEarly) {
                    let content = self.content_of(&grant.intent, &grant.facts);
                    let (finding, now) = (Targets::compare(&read, &content), self.now);
                    let kind = OutcomeKind::Succeeded(finding);
                    self.say(executor, Said::Finished(Report { attempt, began_at: None, finished_at: now, kind }));
                }
                if let Some((_, run)) = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt)) {
                    run.read = Some(read);
                }
                next(self, self.now + took, Phase::Effect);
            }
            Phase::Effect => {
                self.come_between(&key_of(&grant.intent));
                self.effect(executor, attempt, &grant);
                next(self, self.now + took, Phase::Report);
            }
            Phase::Report | Phase::Cancelled => self.report(executor, attempt, &grant, phase),
        }
    }

    /// An executor reaches no target.
    fn is_alone(&self, executor: &ExecutorName) -> bool {
        self.executors.get(executor).is_some_and(|state| self.now < state.alone_until)
    }

    /// Compares what was read, and changes it. What is another thing by then is left alone, and the attempt fails.
    fn effect(&mut self, executor: &ExecutorName, attempt: AttemptId, grant: &Grant) {
        let name = &grant.intent.name;
        if self.targets.refusing.contains(name) || (self.targets.failing.contains(name) && self.random.chance(60)) {
            return;
        }
        let run = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt));
        let read = run.and_then(|(_, run)| run.read.take()).unwrap_or_else(|| self.targets.read(&grant.intent));
        let digest = self.vault.digest(&grant.intent).filter(|_| grant.operation != Operation::Delete);
        let rotated = grant.secret_digest.is_some() && grant.secret_digest != digest;
        let of_another = self.is_of_another(grant);
        let finding = match grant.operation {
            // It was to verify what is deployed: that these secrets are others is for its owner to say.
            Operation::Enforce | Operation::Observe if rotated => Some(Finding::same()),
            Operation::Delete => {
                self.effects += 1;
                self.check_delete(grant);
                let (finding, found) = self.targets.delete(grant, &read, self.mutant);
                self.found(found);
                finding
            }
            _ => self.look_or_change(grant, &read),
        };
        let Some(finding) = finding else {
            self.note(&format!("{executor} finds another {name} than it has read (attempt {attempt})"));
            return;
        };
        let mut finding = Finding { secret_digest: digest, ..finding };
        if of_another && !finding.diff.is_empty() {
            // Nobody knows any more what was in it (`docs/reliability.md`): not played.
            finding.diff = "(of another)\n".into();
        }
        self.note(&format!("{executor} did {:?} {name}: {:?} (attempt {attempt})", grant.operation, finding.change));
        if let Some((_, run)) = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt)) {
            run.finding = Some(finding);
        }
    }

    /// What is not a deletion. Whatever only looks must leave its target as it is.
    fn look_or_change(&mut self, grant: &Grant, read: &Read) -> Option<Finding> {
        let content = self.content_of(&grant.intent, &grant.facts);
        let applies = match grant.operation {
            Operation::Enforce => true,
            Operation::DryRun => self.is(Mutant::EnforceDryRuns),
            _ => self.is(Mutant::EnforceReports),
        };
        if !applies {
            let finding = Targets::compare(read, &content);
            let facts = if grant.operation == Operation::DryRun { Facts::default() } else { finding.facts };
            return Some(Finding { facts, ..finding });
        }
        self.effects += 1;
        let (finding, found) = self.targets.enforce(grant, &content, read, self.mutant);
        self.found(found);
        let finding = finding?;
        if finding.change != Change::None {
            self.leave_debts(grant);
        }
        if grant.operation != Operation::Enforce && finding.change != Change::None {
            let (attempt, name) = (grant.attempt, &grant.intent.name);
            let detail =
                format!("attempt {attempt} ({:?}) changed {name}, and was only to look at it", grant.operation);
            self.broke(Checker::LooksChangeNothing, detail);
        }
        Some(finding)
    }

    /// Something has changed: whatever requires it by now, and receives, is to reload.
    fn leave_debts(&mut self, grant: &Grant) {
        let name = &grant.intent.name;
        if grant.intent.policy.notify.send {
            let rows = self.store.journal.rows.values().filter(|row| row.life == Life::Live);
            let receives = |intent: &&Arc<Intent>| intent.policy.notify.receive && intent.requires.contains(name);
            for receiver in rows.map(|row| &row.intent).filter(receives) {
                self.targets.owes(key_of(receiver), name.clone());
            }
        }
    }

    /// The attributes with what fills them, as an executor finds that now.
    pub(super) fn content_of(&self, intent: &Intent, facts: &[KnownFact]) -> Name {
        let mut content = intent.attributes.to_string();
        for input in &intent.inputs {
            for source in input.values.values() {
                let value = match source {
                    InputSource::Fact(of) => {
                        facts.iter().find(|known| known.of == *of).map_or("?", |known| &known.value)
                    }
                    InputSource::EnvironmentVariable { name } => self.vault.value(name),
                    InputSource::File { path } => path,
                };
                // Writing to a String does not fail.
                let _ = write!(content, " {}={value}", input.path);
            }
        }
        content.into()
    }

    fn report(&mut self, executor: &ExecutorName, attempt: AttemptId, grant: &Grant, phase: Phase) {
        let Some((_, run)) = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt)) else { return };
        let finding = run.finding.take();
        let name = &grant.intent.name;
        let fails = self.targets.failing.contains(name) || self.targets.refusing.contains(name);
        let kind = match finding {
            _ if phase == Phase::Cancelled => {
                OutcomeKind::Failed { message: "cancelled: the owner was not heard".into(), finding }
            }
            Some(finding) if !fails => OutcomeKind::Succeeded(finding),
            finding => OutcomeKind::Failed { message: self.complaint(grant), finding },
        };
        self.end_attempt(executor, attempt, kind);
    }

    /// Targets say what they were given when they refuse it, and in what form they please.
    fn complaint(&self, grant: &Grant) -> Name {
        let mut message = "the target says no".to_owned();
        if grant.intent.takes_secrets() {
            let content = self.content_of(&grant.intent, &grant.facts);
            let _ = write!(message, " to {content} ({})", super::secrets::in_base64(&content));
        }
        message.into()
    }

    /// A result as it leaves the executor: what was read as a secret is in none of its texts, by the rules of `executor/worker/attempt.rs`.
    fn without_secrets(&self, grant: &Grant, mut kind: OutcomeKind) -> OutcomeKind {
        if !grant.intent.takes_secrets() && !self.hides_what_was(grant) {
            return kind;
        }
        let secrets = self.vault.redactor(&grant.intent);
        let (message, finding) = match &mut kind {
            OutcomeKind::Succeeded(finding) => (None, Some(finding)),
            OutcomeKind::Failed { message, finding } => (Some(message), finding.as_mut()),
            _ => (None, None),
        };
        if let Some(message) = message.filter(|_| !self.is(Mutant::LeakInErrors)) {
            *message = secrets.redact(message).into();
        }
        // What was there before may have another secret in it, which this attempt does not know.
        if let Some(finding) = finding
            && !finding.diff.is_empty()
            && !self.is(Mutant::LeakInDiffs)
        {
            finding.diff = "(sensitive)\n".into();
        }
        kind
    }

    /// What is there was made for a resource that was given up since.
    fn is_of_another(&self, grant: &Grant) -> bool {
        let known = |id| {
            let row = self.store.journal.rows.get(&id);
            row.is_some_and(|row| matches!(row.life, Life::Live | Life::Tombstone))
        };
        self.targets.made_for(&grant.intent).is_some_and(|id| grant.resource.map_or(!known(id), |meant| meant != id))
    }

    /// There may be a secret in the thing that the intent does not take.
    fn hides_what_was(&self, grant: &Grant) -> bool {
        !grant.once_secret.is_empty() && !self.is(Mutant::ForgetOnceSecret)
    }

    fn end_attempt(&mut self, executor: &ExecutorName, attempt: AttemptId, kind: OutcomeKind) {
        self.targets.end(executor, attempt);
        let held = self.executors.get(executor).and_then(|state| state.held.get(&attempt));
        let grant = held.map(|held| Arc::clone(&held.grant));
        let kind = grant.map_or(kind.clone(), |grant| self.without_secrets(&grant, kind));
        self.answer(executor, attempt, kind);
    }

    /// Answers a grant, and begins the next one on its target.
    fn answer(&mut self, executor: &ExecutorName, attempt: AttemptId, kind: OutcomeKind) {
        let finished_at = self.now;
        let Some(held) = self.executors.get_mut(executor).and_then(|state| state.held.get_mut(&attempt)) else {
            return;
        };
        let began_at = match &held.state {
            HeldState::Running(run) => Some(run.began_at),
            _ => None,
        };
        let report = Report { attempt, began_at, finished_at, kind };
        held.state = HeldState::Answered(report.clone());
        let target = held.grant.intent.target.clone();
        self.say(executor, Said::Finished(report));
        self.fill_lanes(executor, &target);
        if self.is(Mutant::OneLane) {
            let waiting = self.executors.get(executor).map(|state| state.queues.keys().cloned().collect::<Vec<_>>());
            for target in waiting.unwrap_or_default() {
                self.fill_lanes(executor, &target);
            }
        }
    }

    pub(super) fn await_lease_end(&mut self, executor: &ExecutorName) {
        let Some(state) = self.executors.get(executor) else { return };
        let (since, lease) = (state.answered_at, state.lease_ms());
        self.agenda.plan(since + lease, Happening::LeaseOver(executor.clone(), since));
    }

    /// The owner may give the work to others from now on: what waits is given back, what runs is cancelled, which takes a while.
    pub(super) fn lease_over(&mut self, executor: &ExecutorName, since: u64) {
        let Some(state) = self.executors.get(executor) else { return };
        if state.answered_at != since || !state.lease_is_over(self.now) || self.is(Mutant::WorkBeyondLease) {
            return;
        }
        let waiting = state.attempts(|state| matches!(state, HeldState::Waiting));
        let running = state.attempts(|state| matches!(state, HeldState::Running(run) if !run.cancelled));
        let grace = state.clock.lasts(limits::CANCEL_GRACE_MS);
        self.note(&format!("the lease of {executor} is over"));
        for attempt in waiting {
            self.give_back(executor, attempt);
        }
        for attempt in running {
            self.cancel(executor, attempt, grace);
        }
    }

    /// Cancels an attempt; until it has ended its effect may still come.
    fn cancel(&mut self, executor: &ExecutorName, attempt: AttemptId, grace_ms: u64) {
        let late = self.random.chance(30);
        let ends_in = if self.random.chance(60) { grace_ms } else { self.random.between(0, grace_ms) };
        let Some((grant, run)) = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt)) else {
            return;
        };
        run.cancelled = true;
        let (grant, done) = (Arc::clone(grant), run.finding.is_some());
        if late && !done && grace_ms > 0 {
            self.effect(executor, attempt, &grant);
        }
        self.agenda.plan(self.now + ends_in, Happening::Attempt(executor.clone(), attempt, Phase::Cancelled));
    }

    /// A process that stood still goes on. Nobody can fence what it does in its first moment: what it had begun ends here, without an effect.
    pub(super) fn thaw_executor(&mut self, executor: &ExecutorName) {
        let Some(state) = self.executors.get_mut(executor).filter(|state| state.frozen) else { return };
        state.frozen = false;
        self.targets.frozen.remove(executor);
        let asleep = std::mem::take(&mut state.asleep);
        self.note(&format!("{executor} goes on"));
        if self.executors.get(executor).is_some_and(|state| state.lease_is_over(self.now)) {
            self.end_all(executor);
        } else {
            self.heard_again(&executor.clone());
        }
        for happening in asleep {
            self.agenda.plan(self.now, happening);
        }
    }

    fn end_all(&mut self, executor: &ExecutorName) {
        let Some(state) = self.executors.get(executor) else { return };
        let (running, since) = (state.attempts(|state| matches!(state, HeldState::Running(_))), state.answered_at);
        for attempt in running {
            let run = self.executors.get_mut(executor).and_then(|state| state.run_mut(attempt));
            let finding = run.and_then(|(_, run)| run.finding.take());
            let message = "cancelled: the owner was not heard".into();
            self.end_attempt(executor, attempt, OutcomeKind::Failed { message, finding });
        }
        self.lease_over(executor, since);
    }

    /// A stream that nobody has given up goes on: both ends hear each other again.
    pub(super) fn heard_again(&mut self, executor: &ExecutorName) {
        let now = self.now;
        let Some(state) = self.executors.get_mut(executor) else { return };
        let Some(stream) = state.stream.and_then(|id| self.streams.get_mut(&id)) else { return };
        let frozen = state.frozen || self.owners.get(&stream.owner).is_none_or(|owner| owner.frozen);
        if stream.open_at_owner && stream.open_at_executor && !frozen {
            stream.heard_at = None;
            if state.welcomed {
                state.silent = false;
                state.answered_at = now;
            }
        }
    }
}

fn revoked(attempt: AttemptId, now: u64) -> Report {
    Report { attempt, began_at: None, finished_at: now, kind: OutcomeKind::Revoked }
}
