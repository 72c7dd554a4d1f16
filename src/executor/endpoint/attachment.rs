//! One environment at the endpoint: its inbox, its executors, and who of them is lost when.

use super::outbox::Outgoing;
use super::session::{Close, Session};
use super::{ConnectedExecutor, Times, lock};
use crate::core::{Epoch, Event, ExecutorName, Message, Name};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// An attached environment.
pub(super) struct Attachment {
    pub(super) environment: Name,
    pub(super) epoch: Epoch,
    pub(super) inbox: mpsc::Sender<Vec<Event>>,
    pub(super) times: Times,
    members: Mutex<HashMap<ExecutorName, Arc<Member>>>,
    closed: watch::Sender<bool>,
}

/// One executor that is connected, or may come back.
pub(super) struct Member {
    executor: ExecutorName,
    /// Whoever reports events of this executor holds it, so that they are reported in order across its streams.
    pub(super) turn: tokio::sync::Mutex<Silence>,
    session: Mutex<Option<Arc<Session>>>,
    ended: watch::Sender<bool>,
}

/// What is known while no stream is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// When the executor was last heard, or the environment attached.
    since: Instant,
    /// It was reported lost: it is no longer a member.
    lost: bool,
}

impl Attachment {
    pub(super) fn new(environment: Name, epoch: Epoch, inbox: mpsc::Sender<Vec<Event>>, times: Times) -> Arc<Self> {
        Arc::new(Self {
            environment,
            epoch,
            inbox,
            times,
            members: Mutex::default(),
            closed: watch::Sender::new(false),
        })
    }

    /// Starts the clock of executors that hold grants and have not connected yet.
    pub(super) fn expect(self: &Arc<Self>, executors: Vec<ExecutorName>) {
        for executor in executors {
            let member = self.member(&executor);
            let attachment = Arc::clone(self);
            tokio::spawn(async move { attachment.await_loss(&member).await });
        }
    }

    /// The member of that name, made where it is new.
    pub(super) fn member(&self, executor: &ExecutorName) -> Arc<Member> {
        let mut members = lock(&self.members);
        let member = members.entry(Arc::clone(executor)).or_insert_with(|| {
            Arc::new(Member {
                executor: Arc::clone(executor),
                turn: tokio::sync::Mutex::new(Silence { since: Instant::now(), lost: false }),
                session: Mutex::default(),
                ended: watch::Sender::new(false),
            })
        });
        Arc::clone(member)
    }

    /// Reports the executor lost when it stays away too long, or has ended; returns when that is settled either way.
    pub(super) async fn await_loss(&self, member: &Member) {
        let mut ended = member.ended.subscribe();
        loop {
            let (since, connected) = {
                let silence = member.turn.lock().await;
                if silence.lost {
                    return;
                }
                (silence.since, member.is_connected())
            };
            if connected {
                return;
            }
            let due = since + self.times.lease + self.times.margin;
            tokio::select! {
                () = self.closed() => return,
                _ = ended.wait_for(|ended| *ended) => {}
                () = tokio::time::sleep_until(due) => {}
            }
            let mut silence = member.turn.lock().await;
            if silence.lost || member.is_connected() {
                return;
            }
            let has_ended = *ended.borrow();
            if has_ended || silence.since + self.times.lease + self.times.margin <= Instant::now() {
                silence.lost = true;
                self.forget(member);
                tracing::info!(environment = %self.environment, executor = %member.executor, has_ended, "executor lost");
                self.report(vec![Event::ExecutorLost(Arc::clone(&member.executor))]).await;
                return;
            }
        }
    }

    /// Hands events over; waits while the inbox is full, not longer than the environment is attached.
    pub(super) async fn report(&self, events: Vec<Event>) {
        tokio::select! {
            () = self.closed() => {}
            // A closed inbox is a scheduler that is gone: it will detach.
            _ = self.inbox.send(events) => {}
        }
    }

    pub(super) fn deliver(&self, messages: Vec<Message>) {
        let mut last: Option<(ExecutorName, Option<Arc<Session>>)> = None;
        for message in messages {
            let (executor, only_to, outgoing) = match message {
                Message::Grant(executor, session, grant) => (executor, Some(session), Outgoing::Grant(grant)),
                Message::Revoke(executor, attempt) => (executor, None, Outgoing::Revoke(attempt)),
                Message::Acknowledge(executor, attempt) => (executor, None, Outgoing::Acknowledge(attempt)),
                other => {
                    tracing::error!(environment = %self.environment, ?other, "not a message for executors");
                    continue;
                }
            };
            if last.as_ref().is_none_or(|(name, _)| *name != executor) {
                last = Some((Arc::clone(&executor), self.session(&executor)));
            }
            let meant = |session: &&Arc<Session>| only_to.is_none_or(|number| number == session.number());
            if let Some(session) = last.as_ref().and_then(|(_, session)| session.as_ref()).filter(meant) {
                session.push(outgoing);
            } else {
                tracing::debug!(environment = %self.environment, %executor, ?outgoing, "not connected as then, a message was dropped");
            }
        }
    }

    pub(super) fn retire(&self, executor: &str) {
        if let Some(session) = self.session(executor) {
            session.retire();
        }
    }

    /// One executor, or all that are not connected, have provably ended.
    pub(super) fn ended(&self, executor: Option<&str>) {
        let members = lock(&self.members);
        let meant: Vec<Arc<Member>> = match executor {
            Some(executor) => members.get(executor).map(Arc::clone).into_iter().collect(),
            None => members.values().filter(|member| !member.is_connected()).map(Arc::clone).collect(),
        };
        drop(members);
        for member in meant {
            member.ended.send_replace(true);
            if let Some(session) = member.session() {
                session.close(Close::Ended);
            }
        }
    }

    pub(super) fn connected(&self) -> Vec<ConnectedExecutor> {
        let sessions: Vec<Arc<Session>> = lock(&self.members).values().filter_map(|member| member.session()).collect();
        let mut connected: Vec<_> = sessions.iter().map(|session| session.describe()).collect();
        connected.sort_unstable_by(|a, b| a.executor.cmp(&b.executor));
        connected
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
        for member in lock(&self.members).values() {
            if let Some(session) = member.session() {
                session.close(Close::Detached);
            }
        }
    }

    /// Resolves when the environment is detached.
    pub(super) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives as long as `self`.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    fn session(&self, executor: &str) -> Option<Arc<Session>> {
        lock(&self.members).get(executor).and_then(|member| member.session())
    }

    fn forget(&self, member: &Member) {
        lock(&self.members).remove(&member.executor);
    }
}

impl Member {
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        lock(&self.session).clone()
    }

    /// Makes `session` the one that messages go to.
    pub(super) fn open(&self, session: &Arc<Session>) {
        *lock(&self.session) = Some(Arc::clone(session));
    }

    /// Back to no stream at all.
    pub(super) fn shut(&self, silence: &mut Silence, last_heard: Instant) {
        *lock(&self.session) = None;
        silence.since = last_heard;
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    fn is_connected(&self) -> bool {
        lock(&self.session).is_some()
    }
}

impl Silence {
    pub(super) const fn is_lost(self) -> bool {
        self.lost
    }
}
