//! Streams between owners and executors: ordered, with delay, and cut at any time. What is lost is the tail of a broken stream, never one message
//! alone: that is what a stream can do.
//!
//! Heartbeats are not sent one by one. While both ends stand, both have heard each other within [`HEARTBEAT_MS`]; how long ago exactly is drawn when
//! a stream breaks or an end freezes.

use super::agenda::Happening;
use super::executor::{Report, Said};
use super::mutant::Mutant;
use super::owner::OwnerId;
use super::world::World;
use crate::core::{AttemptId, Epoch, Event, ExecutorName, Grant, SessionNumber, limits};
use std::sync::Arc;

pub(super) type StreamId = u64;

/// The longest silence of an end that is well.
pub(super) const HEARTBEAT_MS: u64 = limits::HEARTBEAT_MS as u64 / 2;
/// An end that says nothing for so long is given up.
pub(super) const SILENCE_MS: u64 = limits::HEARTBEAT_MS as u64 * 3;
/// What an owner waits before it believes an executor lost.
pub(super) const LOSS_MS: u64 = (limits::LEASE_MS + limits::LEASE_MARGIN_MS) as u64;
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) executor: ExecutorName,
    pub(super) owner: OwnerId,
    pub(super) open_at_owner: bool,
    pub(super) open_at_executor: bool,
    /// When the owner last heard the executor, where that is known: the executor is frozen.
    pub(super) heard_at: Option<u64>,
    /// Nothing arrives before what was sent earlier.
    last_to_owner: u64,
    last_to_executor: u64,
}

/// What an executor sends.
#[derive(Clone, Debug)]
pub(super) enum FromExecutor {
    Hello { sent_at: u64, highest_epoch: Epoch, holds: Vec<AttemptId> },
    Said(Said),
}

/// What an owner sends.
#[derive(Clone, Debug)]
pub(super) enum FromOwner {
    Welcome { epoch: Epoch, hello_sent_at: u64 },
    Grant(Arc<Grant>),
    Revoke(AttemptId),
    Acknowledge(AttemptId),
}

impl World {
    /// An executor dials whoever owns the environment.
    pub(super) fn dial(&mut self, executor: &ExecutorName) {
        let again = self.now + self.random.between(200, 3_000);
        let owner = self.newest_owner();
        let Some(state) = self.executors.get_mut(executor) else { return };
        if state.stream.is_some() {
            return;
        }
        let Some(owner) = owner.filter(|_| state.cut_until <= self.now) else {
            self.agenda.plan(again.max(state.cut_until), Happening::Dial(executor.clone()));
            return;
        };
        self.last_stream += 1;
        let id = self.last_stream;
        let stream = Stream {
            executor: executor.clone(),
            owner,
            open_at_owner: true,
            open_at_executor: true,
            heard_at: None,
            last_to_owner: self.now,
            last_to_executor: self.now,
        };
        self.streams.insert(id, stream);
        state.stream = Some(id);
        state.welcomed = false;
        let holds = state.held.keys().copied().collect();
        let hello = FromExecutor::Hello { sent_at: self.now, highest_epoch: state.highest_epoch, holds };
        self.send_to_owner(id, hello);
    }

    pub(super) fn send_to_owner(&mut self, id: StreamId, message: FromExecutor) {
        let delay = self.random.between(1, 40);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.last_to_owner = stream.last_to_owner.max(self.now + delay);
        self.agenda.plan(stream.last_to_owner, Happening::ToOwner(id, message));
    }

    /// Sends to an executor, if a stream of this owner leads to it.
    pub(super) fn send_to_executor(&mut self, owner: OwnerId, executor: &ExecutorName, message: FromOwner) {
        let id = self.owners.get(&owner).and_then(|process| process.members.get(executor)?.stream);
        let delay = self.random.between(1, 40);
        let Some((id, stream)) = id.and_then(|id| Some((id, self.streams.get_mut(&id)?))) else { return };
        stream.last_to_executor = stream.last_to_executor.max(self.now + delay);
        self.agenda.plan(stream.last_to_executor, Happening::ToExecutor(id, message));
    }

    /// Cuts a stream. Both ends notice in their own time; what has not arrived by then is lost.
    pub(super) fn cut(&mut self, id: StreamId) {
        let (owner, executor) = (self.random.between(0, 60), self.random.between(0, 60));
        self.silence(id);
        self.agenda.plan(self.now + owner, Happening::BrokenAtOwner(id));
        self.agenda.plan(self.now + executor, Happening::BrokenAtExecutor(id));
    }

    /// From now on an executor's lease runs: the owner last answered something that was sent a while ago.
    pub(super) fn silence(&mut self, id: StreamId) {
        let ago = self.random.between(0, HEARTBEAT_MS);
        let Some(stream) = self.streams.get(&id) else { return };
        let executor = stream.executor.clone();
        let Some(state) = self.executors.get_mut(&executor).filter(|state| state.stream == Some(id)) else { return };
        // A stream that was not welcomed has answered nothing.
        if state.welcomed && !state.silent {
            state.silent = true;
            state.answered_at = state.answered_at.max(self.now.saturating_sub(ago));
            self.await_lease_end(&executor);
        }
    }

    pub(super) fn arrives_at_owner(&mut self, id: StreamId, message: FromExecutor) {
        let Some(stream) = self.streams.get(&id).filter(|stream| stream.open_at_owner) else { return };
        let (owner, executor) = (stream.owner, stream.executor.clone());
        let Some(process) = self.owners.get_mut(&owner) else { return };
        let epoch = process.fence.epoch;
        match message {
            FromExecutor::Hello { highest_epoch, .. } if highest_epoch > epoch => {
                // The environment has another owner by now.
                self.cut(id);
            }
            FromExecutor::Hello { sent_at, holds, .. } => {
                let member = process.members.entry(executor.clone()).or_default();
                let earlier = member.stream.replace(id);
                if let Some(earlier) = earlier {
                    self.close_at_owner(earlier);
                }
                let pool = super::users::POOL.into();
                let session = SessionNumber(id);
                let credits = self.users.credits;
                let event = Event::ExecutorConnected { executor: executor.clone(), pool, session, credits, holds };
                self.send_to_executor(owner, &executor, FromOwner::Welcome { epoch, hello_sent_at: sent_at });
                self.step(owner, event);
            }
            FromExecutor::Said(Said::Finished(Report { attempt, .. }))
                if self.mutant == Some(Mutant::LoseResults) && attempt.0.is_multiple_of(10) =>
            {
                self.send_to_executor(owner, &executor, FromOwner::Acknowledge(attempt));
            }
            FromExecutor::Said(said) => {
                let event = process.event_of(&executor, said);
                self.step(owner, event);
            }
        }
    }

    pub(super) fn broken_at_owner(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id).filter(|stream| stream.open_at_owner) else { return };
        let owner = stream.owner;
        self.close_at_owner(id);
        if !self.owners.contains_key(&owner) {
            self.drop_closed(id);
        }
    }

    /// The owner's end is closed: its executor is disconnected, and believed lost if it stays away.
    fn close_at_owner(&mut self, id: StreamId) {
        let (ago, loss) = (self.random.between(0, HEARTBEAT_MS), self.loss_ms());
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.open_at_owner = false;
        let (owner, executor) = (stream.owner, stream.executor.clone());
        let since = stream.heard_at.unwrap_or(self.now.saturating_sub(ago));
        // What the executor's lease runs from was heard here.
        let since = self.executors.get(&executor).map_or(since, |state| since.max(state.answered_at));
        self.drop_closed(id);
        let Some(process) = self.owners.get_mut(&owner) else { return };
        let Some(member) = process.members.get_mut(&executor) else { return };
        let current = member.stream == Some(id);
        if current {
            member.stream = None;
            member.since = since;
            let loss = process.clock.lasts(loss);
            self.agenda.plan(since + loss, Happening::LossDue(owner, executor.clone(), since));
        }
        // A stream that another one has superseded ends first: the events of one executor are reported in order.
        self.step(owner, Event::ExecutorDisconnected(executor));
    }

    pub(super) fn broken_at_executor(&mut self, id: StreamId) {
        self.silence(id);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.open_at_executor = false;
        let executor = stream.executor.clone();
        self.drop_closed(id);
        let again = self.now + self.random.between(100, 2_000);
        let Some(state) = self.executors.get_mut(&executor).filter(|state| state.stream == Some(id)) else { return };
        state.stream = None;
        state.welcomed = false;
        self.agenda.plan(again, Happening::Dial(executor));
    }

    fn drop_closed(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(|stream| !stream.open_at_owner && !stream.open_at_executor) {
            self.streams.remove(&id);
        }
    }

    /// The streams of an owner or an executor.
    pub(super) fn streams_where(&self, which: impl Fn(&Stream) -> bool) -> Vec<StreamId> {
        self.streams.iter().filter(|(_, stream)| which(stream)).map(|(&id, _)| id).collect()
    }
}

impl super::owner::Process {
    /// What an executor said, as its owner hears it: times are told as ages.
    pub(super) fn event_of(&self, executor: &ExecutorName, said: Said) -> Event {
        let executor = executor.clone();
        match said {
            Said::Begun(attempts) => Event::Begun(executor, attempts),
            Said::RevokeRefused(attempt) => Event::RevokeRefused(executor, vec![attempt]),
            Said::Finished(Report { attempt, began_at, finished_at, kind }) => {
                let began_at = began_at.map(|at| self.wall(at));
                let finished_at = self.wall(finished_at);
                Event::Finished(executor, crate::core::Outcome { attempt, began_at, finished_at, kind, log: None })
            }
        }
    }
}
