//! The owner's process: it takes the environment, drives the real heart, commits, and lets messages out. It dies and freezes at every point between.

use super::agenda::Happening;
use super::clock::Clock;
use super::mutant::Mutant;
use super::standing::Standing;
use super::store::ENVIRONMENT;
use super::stream::{FromOwner, SILENCE_MS, StreamId};
use super::users::Caller;
use super::violation::Checker;
use super::world::World;
use crate::core::{AttemptId, EnvironmentState, Event, ExecutorName, Message, Name, RequestKind, Scope, Timestamp};
use crate::history::{Fence, HistoryError, Owner};
use crate::scheduler::batch::{Closed, Verdict};
use crate::scheduler::heart::Heart;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) type OwnerId = u32;

/// How long a process owns what it owns without renewing.
pub(super) const LEASE_MS: u64 = 15_000;
const RENEW_MS: u64 = 5_000;
/// What it may take beyond that lease until another process owns it.
const TAKEOVER_MS: u64 = 2_000;
/// How long a loop without timers sleeps, as in `scheduler/run.rs`.
const IDLE_MS: u64 = 3_600_000;
/// First and longest pause between two tries of a commit, as in `scheduler/writer.rs`.
const PAUSE_MS: (u64, u64) = (50, 5_000);
/// How long a step takes: what it leaves to the next one may be met by something else first.
const STEP_MS: u64 = 5;

pub(super) struct Process {
    pub(super) fence: Fence,
    pub(super) heart: Heart<Caller>,
    pub(super) members: BTreeMap<ExecutorName, Member>,
    pub(super) clock: Clock,
    pub(super) frozen: bool,
    /// What happens to it while it is frozen.
    pub(super) asleep: Vec<Happening>,
    /// Messages of the batch that gathers which have been looked at.
    pub(super) looked_at: usize,
    pub(super) started_at: u64,
    /// What users have ordered, as far as it was heard here or is in history.
    pub(super) standing: Standing,
    writing: Option<Closed<Caller>>,
    pause_ms: u64,
    wakes_at: Option<u64>,
}

/// One executor, as its owner knows it.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) stream: Option<StreamId>,
    /// When it was last heard.
    pub(super) since: u64,
}

/// Where an owner may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    BeforeCommit,
    AfterCommit,
    BetweenSends,
    AfterSends,
    InRecovery,
}

impl Process {
    /// A true time by its clock.
    pub(super) fn wall(&self, at: u64) -> Timestamp {
        self.clock.wall(at)
    }
}

fn name_of(id: OwnerId) -> Name {
    format!("owner-{id}").into()
}

impl World {
    /// The owner that can be reached.
    pub(super) fn newest_owner(&self) -> Option<OwnerId> {
        self.owners.iter().rev().find(|(_, process)| !process.frozen).map(|(&id, _)| id)
    }

    /// Somebody owns the environment who is awake; one that was taken over does not.
    fn is_owned(&self) -> bool {
        self.owners.values().any(|process| !process.frozen && process.fence.epoch == self.store.newest)
    }

    pub(super) fn start_soon(&mut self, at_most_ms: u64) {
        let at = self.now + self.random.between(50, at_most_ms);
        self.agenda.plan(at, Happening::Start);
    }

    /// What a process says of itself when it takes the environment, and when it renews its lease.
    fn describe_owner(&self, id: OwnerId) -> Owner {
        let lease_ms = if self.is(Mutant::LongLeases) { 2 * LEASE_MS } else { LEASE_MS };
        Owner { id: name_of(id), description: name_of(id), lease_ms }
    }

    /// A new process takes over, unless one is at work.
    pub(super) fn start_owner(&mut self) {
        if self.is_owned() {
            return;
        }
        let id = self.last_owner + 1;
        let owner = self.describe_owner(id);
        let taken = self.store.take(&owner, &self.ended_owners, self.now);
        match taken.and_then(|fence| Ok((self.store.load(&fence)?, fence))) {
            Ok((snapshot, fence)) => {
                self.last_owner = id;
                self.vacant_since = None;
                self.faults.takes_over();
                self.note(&format!(
                    "owner-{id} takes over in epoch {}, from version {}",
                    fence.epoch, snapshot.version
                ));
                let clock = Clock::new(self.now, self.faults.rate(&mut self.random), self.faults.skew_ms);
                let now = clock.wall(self.now);
                let snapshot = self.as_read(snapshot);
                let (mut state, effects) = EnvironmentState::restore(ENVIRONMENT.into(), fence.epoch, snapshot, now);
                // A world is small: with an ordinary share nothing would ever be left to the next step.
                if self.random.chance(40) {
                    state.set_share(self.random.between(1, 12) as usize);
                }
                let unheard = state.unheard_executors();
                let heart = Heart::new(state, effects);
                let mut standing = self.store.journal.standing.clone();
                standing.read_clock(now);
                self.owners.insert(
                    id,
                    Process {
                        fence,
                        heart,
                        members: BTreeMap::new(),
                        clock,
                        frozen: false,
                        asleep: Vec::new(),
                        looked_at: 0,
                        started_at: self.now,
                        standing,
                        writing: None,
                        pause_ms: PAUSE_MS.0,
                        wakes_at: None,
                    },
                );
                self.has_started(id, unheard);
            }
            Err(HistoryError::Held { .. } | HistoryError::Unavailable { .. }) => {
                self.check_takeover();
                self.agenda.plan(self.now + 500, Happening::Start);
            }
            Err(error) => self.broke(Checker::LoopLives, format!("a new owner cannot start: {error}")),
        }
    }

    /// R12: whoever waits has the environment two seconds after the lease of who had it, however that one ended; where history can be reached.
    fn check_takeover(&mut self) {
        let Some(vacant_since) = self.vacant_since else { return };
        let free_at = self.store.away_until.max(vacant_since + LEASE_MS);
        if self.now > free_at + TAKEOVER_MS {
            let detail = format!("nobody owns the environment since {vacant_since} ms, and it is not to be had");
            self.broke(Checker::TakenOverInTime, detail);
        }
    }

    /// Nobody owns the environment from now on.
    fn is_vacant(&mut self) {
        if !self.is_owned() {
            self.vacant_since.get_or_insert(self.now);
        }
    }

    fn has_started(&mut self, id: OwnerId, unheard: Vec<ExecutorName>) {
        if self.crashes(id, Point::InRecovery) {
            return;
        }
        let Some(clock) = self.owners.get(&id).map(|process| process.clock) else { return };
        let (now, loss) = (self.now, clock.lasts(self.loss_ms()));
        for executor in unheard {
            if !self.executors.contains_key(&executor) && self.random.chance(60) {
                let at = now + self.random.between(100, 5_000);
                self.agenda.plan(at, Happening::Ended(executor.clone()));
            }
            self.agenda.plan(now + loss, Happening::LossDue(id, executor.clone(), now));
            if let Some(process) = self.owners.get_mut(&id) {
                process.members.insert(executor, Member { stream: None, since: now });
            }
        }
        self.agenda.plan(now + clock.lasts(RENEW_MS), Happening::Renew(id));
        self.tell_new_owner(id);
        self.after_step(id);
    }

    /// Takes an event in.
    pub(super) fn step(&mut self, id: OwnerId, event: Event) {
        self.cover(id, &event);
        let now = self.now;
        let Some(process) = self.owners.get_mut(&id) else { return };
        self.events += 1;
        let text = super::words::describe(&event);
        process.standing.read_clock(process.wall(now));
        process.standing.hear(&event, process.heart.state().version());
        let event = super::mutant::as_heard(self.mutant, event);
        process.heart.take(vec![event], process.wall(now));
        self.note(&format!("owner-{id} hears {text}"));
        self.after_step(id);
    }

    /// Takes a call in, which is answered after its commit.
    pub(super) fn call(&mut self, id: OwnerId, event: Event, caller: Caller) {
        self.cover(id, &event);
        self.note_removals(id, &event);
        let now = self.now;
        let Some(process) = self.owners.get_mut(&id) else { return };
        self.events += 1;
        let text = super::words::describe(&event);
        process.standing.read_clock(process.wall(now));
        process.standing.hear(&event, process.heart.state().version());
        let event = super::mutant::as_heard(self.mutant, event);
        process.heart.call(event, caller, process.wall(now));
        self.note(&format!("owner-{id} is called: {text}"));
        self.after_step(id);
    }

    fn after_step(&mut self, id: OwnerId) {
        self.watch(id);
        self.beat(id);
        self.arm(id);
    }

    /// Hands a batch over whenever none is under way.
    fn beat(&mut self, id: OwnerId) {
        while let Some(closed) = self.owners.get_mut(&id).and_then(|process| process.heart.hand_over()) {
            if let Some(process) = self.owners.get_mut(&id) {
                process.looked_at = 0;
            }
            if !closed.writes() {
                if let Some(process) = self.owners.get_mut(&id) {
                    process.heart.wrote();
                }
                self.leave(id, closed);
                continue;
            }
            if self.crashes(id, Point::BeforeCommit) {
                return;
            }
            let mut closed = closed;
            if self.is(Mutant::AnswerBeforeCommit) {
                for reply in std::mem::take(&mut closed.replies) {
                    self.reply(reply.to, reply.message.as_ref());
                }
            }
            if self.is(Mutant::SendBeforeCommit) {
                for message in closed.messages.clone() {
                    self.send(id, message);
                }
            }
            let batch = Arc::new(self.as_written(&closed.batch));
            let delay = self.random.between(1, 30);
            let Some(process) = self.owners.get_mut(&id) else { return };
            self.agenda.plan(self.now + delay, Happening::Commit(id, process.fence.clone(), batch));
            process.writing = Some(closed);
        }
    }

    /// A batch arrives at history.
    pub(super) fn commit(&mut self, id: OwnerId, fence: &Fence, batch: &Arc<crate::history::Batch>) {
        let (answer, found) = if self.is(Mutant::CommitLater) {
            match self.committed_later.replace((fence.clone(), Arc::clone(batch))) {
                Some((fence, earlier)) => (Ok(()), self.store.commit(&fence, &earlier, self.now).1),
                None => (Ok(()), Vec::new()),
            }
        } else {
            self.store.commit(fence, batch, self.now)
        };
        if let Some(text) = self.vault.leaked_by(batch) {
            self.broke(Checker::NoSecretLeaks, format!("a secret is in what owner-{id} commits: {text}"));
        }
        let said = match &answer {
            Ok(()) => "committed".to_owned(),
            Err(error) => error.to_string(),
        };
        self.note(&format!(
            "history, batch {} of owner-{id} ({} records, {} rows): {said}",
            batch.number,
            batch.records.len(),
            batch.rows.len()
        ));
        for violation in found {
            self.found(Some(violation));
        }
        if let Err(error @ HistoryError::Refused { .. }) = &answer {
            self.broke(Checker::HistoryRefusesNothing, format!("batch {} of owner-{id}: {error}", batch.number));
        }
        if answer.is_ok() && self.owners.contains_key(&id) && self.crashes(id, Point::AfterCommit) {
            return;
        }
        let delay = self.random.between(1, 30);
        self.agenda.plan(self.now + delay, Happening::Answer(id, answer));
    }

    /// History's answer arrives.
    pub(super) fn answered(&mut self, id: OwnerId, answer: Result<(), HistoryError>) {
        let Some(process) = self.owners.get_mut(&id) else { return };
        let gives_up = self.mutant == Some(Mutant::EndOnUnavailable);
        let verdict = match Verdict::of(answer) {
            Verdict::Again(error) if gives_up => Verdict::Ended(error.to_string()),
            verdict => verdict,
        };
        match verdict {
            Verdict::Committed => {
                process.heart.wrote();
                process.pause_ms = PAUSE_MS.0;
                let closed = process.writing.take();
                if let Some(closed) = closed {
                    self.leave(id, closed);
                }
                self.beat(id);
                self.arm(id);
            }
            Verdict::Again(_) => {
                let pause = process.pause_ms;
                process.pause_ms = (pause * 2).min(PAUSE_MS.1);
                let Some(closed) = &process.writing else { return };
                let mut batch = closed.batch.clone();
                if self.mutant == Some(Mutant::RetryBlindly) {
                    batch.number += 1;
                }
                let batch = Arc::new(self.as_written(&batch));
                let Some(process) = self.owners.get(&id) else { return };
                self.agenda.plan(self.now + pause, Happening::Commit(id, process.fence.clone(), batch));
            }
            Verdict::Ended(reason) => {
                let taken_over = process.fence.epoch < self.store.newest;
                self.note(&format!("owner-{id} ends: {reason}"));
                if !taken_over {
                    self.broke(Checker::LoopLives, format!("owner-{id} ended, and nobody took over: {reason}"));
                }
                self.kill_owner(id);
            }
        }
    }

    /// What follows a commit, message by message.
    pub(super) fn leave(&mut self, id: OwnerId, closed: Closed<Caller>) {
        let leaving = closed.leave();
        for (_, executors) in leaving.scales {
            self.scale(executors);
        }
        let Some(process) = self.owners.get(&id) else { return };
        for message in process.heart.still_stands(leaving.to_executors) {
            if self.crashes(id, Point::BetweenSends) {
                return;
            }
            if let Message::Acknowledge(executor, attempt) = &message
                && self.store.journal.lacks_late_result(executor, *attempt)
            {
                let detail =
                    format!("{executor} reported the end of attempt {attempt}, which it had lost, and nobody knows it");
                self.broke(Checker::LateResultsAreKept, detail);
            }
            self.send(id, message);
        }
        for reply in leaving.replies {
            if self.crashes(id, Point::BetweenSends) {
                return;
            }
            self.reply(reply.to, reply.message.as_ref());
        }
        self.crashes(id, Point::AfterSends);
    }

    pub(super) fn send(&mut self, id: OwnerId, message: Message) {
        self.sent += 1;
        match message {
            Message::Grant(executor, session, grant) => {
                let stream = self.owners.get(&id).and_then(|process| process.members.get(&executor)?.stream);
                if stream == Some(session.0) {
                    self.send_to_executor(id, &executor, FromOwner::Grant(grant));
                }
            }
            Message::Revoke(executor, attempt) => self.send_to_executor(id, &executor, FromOwner::Revoke(attempt)),
            Message::Acknowledge(executor, attempt) => {
                self.send_to_executor(id, &executor, FromOwner::Acknowledge(attempt));
            }
            _ => {}
        }
    }

    /// The owner's timer, as the loop sets it: by its clock when it is set, and from then on at its rate, whatever the clock is set to.
    fn arm(&mut self, id: OwnerId) {
        let now = self.now;
        let Some(process) = self.owners.get_mut(&id) else { return };
        let wall = process.wall(now);
        let longest = if self.mutant == Some(Mutant::WakeAtRest) { 1_000 } else { IDLE_MS };
        let due = process.heart.due_in_ms(wall).filter(|_| self.mutant != Some(Mutant::LoseTimers));
        let at = now + process.clock.lasts(due.map_or(longest, |ms| ms.clamp(STEP_MS, longest)));
        if process.wakes_at != Some(at) {
            process.wakes_at = Some(at);
            self.agenda.plan(at, Happening::Wake(id));
        }
    }

    pub(super) fn wake(&mut self, id: OwnerId) {
        let now = self.now;
        let Some(process) = self.owners.get_mut(&id) else { return };
        if process.wakes_at.is_some_and(|at| at <= now) {
            process.wakes_at = None;
            self.wakes += 1;
            self.step(id, Event::Tick);
        }
    }

    pub(super) fn renew(&mut self, id: OwnerId) {
        let Some(clock) = self.owners.get(&id).map(|process| process.clock) else { return };
        let owner = self.describe_owner(id);
        // Where history is away the lease runs on; nobody else gets it meanwhile either.
        let _ = self.store.renew(&owner, self.now);
        self.agenda.plan(self.now + clock.lasts(RENEW_MS), Happening::Renew(id));
        self.disturb_the_rest(id);
    }

    fn disturb_the_rest(&mut self, id: OwnerId) {
        match self.mutant {
            Some(Mutant::WriteAtRest) => {
                let mut settings = self.users.settings.clone();
                settings.retry.base_delay_ms += self.now / RENEW_MS % 2;
                self.step(id, Event::SettingsChanged(settings));
            }
            Some(Mutant::RepairAtRest) => self.request(RequestKind::Repair, Scope::default()),
            Some(Mutant::ChatterAtRest) => {
                if let Some(executor) = self.executors.keys().next().cloned() {
                    self.send(id, Message::Acknowledge(executor, AttemptId(1)));
                }
            }
            _ => {}
        }
    }

    pub(super) fn loss_due(&mut self, id: OwnerId, executor: &ExecutorName, since: u64) {
        if self.is(Mutant::LoseLost) {
            return;
        }
        let Some(process) = self.owners.get_mut(&id) else { return };
        let silent = |member: &Member| member.stream.is_none() && member.since == since;
        if process.members.get(executor).is_some_and(silent) {
            process.members.remove(executor);
            self.step(id, Event::ExecutorLost(executor.clone()));
        }
    }

    /// It is certain that an executor has ended.
    pub(super) fn ended(&mut self, executor: &ExecutorName) {
        let Some(id) = self.newest_owner().filter(|_| !self.is(Mutant::LoseLost)) else { return };
        if let Some(process) = self.owners.get_mut(&id)
            && process.members.remove(executor).is_some()
        {
            self.step(id, Event::ExecutorLost(executor.clone()));
        }
    }

    /// Whether the owner dies here.
    pub(super) fn crashes(&mut self, id: OwnerId, point: Point) -> bool {
        let Some(process) = self.owners.get(&id) else { return true };
        let young = self.now - process.started_at < 1_000;
        if !self.faults.crashes(point, young, &mut self.random) {
            return false;
        }
        self.note(&format!("owner-{id} is killed, {point:?}"));
        self.faults.count(super::words::Fault::Crash);
        self.kill_owner(id);
        true
    }

    pub(super) fn kill_owner(&mut self, id: OwnerId) {
        let Some(process) = self.owners.remove(&id) else { return };
        self.is_vacant();
        // Its end is seen, or its lease must run out.
        if !process.frozen && self.random.chance(60) {
            self.ended_owners.push(name_of(id));
        }
        for stream in self.streams_where(|stream| stream.owner == id) {
            self.cut(stream);
        }
        self.unsend(id);
        self.start_soon(3_000);
    }

    pub(super) fn freeze_owner(&mut self, id: OwnerId, for_ms: u64) {
        let Some(process) = self.owners.get_mut(&id).filter(|process| !process.frozen) else { return };
        process.frozen = true;
        self.is_vacant();
        self.note(&format!("owner-{id} freezes"));
        for stream in self.streams_where(|stream| stream.owner == id) {
            self.silence(stream);
            if let Some(stream) = self.streams.get_mut(&stream) {
                stream.heard_at = Some(self.now);
            }
            if for_ms > SILENCE_MS {
                self.agenda.plan(self.now + SILENCE_MS, Happening::BrokenAtExecutor(stream));
                self.agenda.plan(self.now + SILENCE_MS, Happening::BrokenAtOwner(stream));
            }
        }
        self.agenda.plan(self.now + for_ms, Happening::ThawOwner(id));
        self.unsend(id);
        self.start_soon(3_000);
    }

    pub(super) fn thaw_owner(&mut self, id: OwnerId) {
        let now = self.now;
        let Some(process) = self.owners.get_mut(&id).filter(|process| process.frozen) else { return };
        process.frozen = false;
        for happening in std::mem::take(&mut process.asleep) {
            self.agenda.plan(now, happening);
        }
        if self.is_owned() {
            self.vacant_since = None;
        }
        self.faults.feel(super::words::Fault::Zombie);
        self.note(&format!("owner-{id} goes on"));
        let executors: Vec<ExecutorName> =
            self.streams.values().filter(|stream| stream.owner == id).map(|stream| stream.executor.clone()).collect();
        for executor in &executors {
            self.heard_again(executor);
        }
        if self.owners.get(&id).is_some_and(|process| process.fence.epoch < self.store.newest) {
            // It was taken over meanwhile; what still stands of this one goes soon.
            self.agenda.plan(now + 60_000, Happening::EndOwner(id));
        }
        self.agenda.plan(now, Happening::Wake(id));
        if self.newest_owner() == Some(id) {
            self.resend(id);
        }
    }
}
