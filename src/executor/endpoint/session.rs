//! One stream of one executor: a task that reads it, a task that writes it.
//!
//! The reader never stops reading while the scheduler's inbox is full, so that a slow database does not look like a dead executor; what it keeps
//! meanwhile is bounded by what an executor with so many credits can have to say.

use super::attachment::{Attachment, Member};
use super::outbox::{Outbox, Outgoing, Overflow, most_said};
use super::{ConnectedExecutor, lock};
use crate::core::{AttemptId, Event, ExecutorName, SessionNumber, Timestamp};
use crate::executor::limits::{CLOSING_WORD, MISSED_HEARTBEATS};
use crate::executor::protocol::{Greeting, outcome_from_wire, revoked, wire};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tonic::{Status, Streaming};

/// Why a stream is ended by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    Detached,
    Ended,
    Superseded,
    CreditsExceeded,
    Silent,
    TooMuch,
    Unread,
}

/// One stream, as others see it.
pub(super) struct Session {
    number: SessionNumber,
    greeting: Greeting,
    outbox: Mutex<Outbox>,
    wake: Notify,
    closing: watch::Sender<Option<Close>>,
    heard_ms: AtomicU64,
}

impl Session {
    pub(super) fn new(number: SessionNumber, greeting: Greeting, heard_ms: u64) -> Arc<Self> {
        let outbox = Outbox::new(Arc::clone(&greeting.environment), greeting.credits, &greeting.holds);
        Arc::new(Self {
            number,
            greeting,
            outbox: Mutex::new(outbox),
            wake: Notify::new(),
            closing: watch::Sender::new(None),
            heard_ms: AtomicU64::new(heard_ms),
        })
    }

    pub(super) const fn number(&self) -> SessionNumber {
        self.number
    }

    /// Queues one thing to send.
    pub(super) fn push(&self, outgoing: Outgoing) {
        let pushed = lock(&self.outbox).push(outgoing);
        match pushed {
            Ok(()) => self.wake.notify_one(),
            Err(Overflow::Credits) => {
                tracing::error!(executor = %self.greeting.executor, credits = self.greeting.credits, "granted beyond its credits: a bug");
                self.close(Close::CreditsExceeded);
            }
            Err(Overflow::Unread) => self.give_up_unread(),
        }
    }

    fn give_up_unread(&self) {
        let waiting = lock(&self.outbox).waiting();
        tracing::warn!(executor = %self.greeting.executor, waiting, "the executor does not read what it is sent; its stream is given up");
        self.close(Close::Unread);
    }

    pub(super) fn retire(&self) {
        lock(&self.outbox).push_retire();
        self.wake.notify_one();
    }

    /// Ends the stream; the first reason stands.
    pub(super) fn close(&self, why: Close) {
        self.closing.send_if_modified(|closing| closing.is_none() && closing.replace(why).is_none());
    }

    pub(super) fn describe(&self) -> ConnectedExecutor {
        ConnectedExecutor {
            executor: Arc::clone(&self.greeting.executor),
            pool: Arc::clone(&self.greeting.pool),
            in_flight: lock(&self.outbox).in_flight(),
            types: self.greeting.types.clone(),
            release: Arc::clone(&self.greeting.release),
        }
    }

    async fn closing(&self) -> Close {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as `self`.
        closing.wait_for(Option::is_some).await.ok().and_then(|closing| *closing).unwrap_or(Close::Detached)
    }

    fn executor(&self) -> &ExecutorName {
        &self.greeting.executor
    }
}

/// Reports one executor from its hello until it is lost, or back on another stream.
pub(super) async fn run(
    attachment: Arc<Attachment>,
    member: Arc<Member>,
    session: Arc<Session>,
    inbound: Streaming<wire::FromExecutor>,
    outbound: mpsc::Sender<Result<wire::FromOwner, Status>>,
) {
    if let Some(earlier) = member.session() {
        earlier.close(Close::Superseded);
    }
    let mut turn = member.turn.lock().await;
    if turn.is_lost() || member.has_ended() || attachment.is_closed() {
        let _ = outbound
            .send(Err(Status::unavailable("this executor was given up while it connected; connect again")))
            .await;
        return;
    }
    let greeting = &session.greeting;
    tracing::info!(environment = %attachment.environment, executor = %session.executor(), pool = %greeting.pool, "executor connected");
    member.open(&session);
    let connected = Event::ExecutorConnected {
        executor: Arc::clone(session.executor()),
        pool: Arc::clone(&greeting.pool),
        session: session.number(),
        credits: greeting.credits,
        holds: greeting.holds.clone(),
    };
    let writer = tokio::spawn(write(Arc::clone(&attachment), Arc::clone(&session), outbound));
    let mut reader = Reader {
        attachment: &attachment,
        session: &session,
        inbound,
        pending: vec![connected],
        last_heard: Instant::now(),
    };
    let why = reader.read().await;
    let Reader { mut pending, last_heard, .. } = reader;
    session.close(why.unwrap_or(Close::Ended));
    member.shut(&mut turn, last_heard);
    tracing::info!(environment = %attachment.environment, executor = %session.executor(), ?why, "executor disconnected");
    pending.push(Event::ExecutorDisconnected(Arc::clone(session.executor())));
    attachment.report(pending).await;
    drop(turn);
    let _ = writer.await;
    attachment.await_loss(&member).await;
}

struct Reader<'a> {
    attachment: &'a Attachment,
    session: &'a Session,
    inbound: Streaming<wire::FromExecutor>,
    pending: Vec<Event>,
    last_heard: Instant,
}

impl Reader<'_> {
    /// Reads until the stream ends (`None`) or is ended from here.
    async fn read(&mut self) -> Option<Close> {
        let silence = self.attachment.times.heartbeat * MISSED_HEARTBEATS;
        // Everything it holds and everything it can be granted: begun and finished, and as much again for answers to revocations.
        let most_pending = most_said(self.session.greeting.credits, &self.session.greeting.holds);
        let closing = self.session.closing();
        tokio::pin!(closing);
        loop {
            tokio::select! {
                biased;
                why = &mut closing => return Some(why),
                permit = self.attachment.inbox.reserve(), if !self.pending.is_empty() => match permit {
                    Ok(permit) => permit.send(std::mem::take(&mut self.pending)),
                    Err(_) => return Some(Close::Detached),
                },
                message = tokio::time::timeout_at(self.last_heard + silence, self.inbound.message()) => match message {
                    Err(_) => return Some(Close::Silent),
                    Ok(Ok(Some(message))) => self.take(message),
                    Ok(Ok(None)) => return None,
                    Ok(Err(status)) => {
                        tracing::debug!(executor = %self.session.executor(), %status, "stream broke");
                        return None;
                    }
                },
            }
            if self.pending.len() > most_pending {
                tracing::warn!(executor = %self.session.executor(), most_pending, "executor says more than it can have to say");
                return Some(Close::TooMuch);
            }
        }
    }

    fn take(&mut self, message: wire::FromExecutor) {
        self.last_heard = Instant::now();
        self.session.heard_ms.fetch_max(message.sent_ms, Ordering::Relaxed);
        let executor = self.session.executor();
        let now = now();
        let attempts = |ids: Vec<u64>| ids.into_iter().map(AttemptId).collect::<Vec<_>>();
        {
            let mut outbox = lock(&self.session.outbox);
            message.results.iter().for_each(|result| outbox.answered(result.attempt));
            message.revoked.iter().for_each(|attempt| outbox.answered(*attempt));
        }
        if !message.begun.is_empty() {
            self.pending.push(Event::Begun(Arc::clone(executor), attempts(message.begun)));
        }
        if !message.revoke_refused.is_empty() {
            self.pending.push(Event::RevokeRefused(Arc::clone(executor), attempts(message.revoke_refused)));
        }
        let outcomes = message.results.iter().map(|result| outcome_from_wire(result, now));
        let outcomes = outcomes.chain(message.revoked.iter().map(|attempt| revoked(*attempt, now)));
        self.pending.extend(outcomes.map(|outcome| Event::Finished(Arc::clone(executor), outcome)));
    }
}

/// Sends batches whenever the stream takes one, and heartbeats when there is nothing to say.
async fn write(
    attachment: Arc<Attachment>,
    session: Arc<Session>,
    outbound: mpsc::Sender<Result<wire::FromOwner, Status>>,
) {
    let times = attachment.times;
    let millis = |duration: std::time::Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let welcome = wire::Welcome {
        epoch: attachment.epoch.0,
        heartbeat_ms: millis(times.heartbeat),
        lease_ms: millis(times.lease),
    };
    let mut first = Some(welcome);
    let closing = session.closing();
    tokio::pin!(closing);
    loop {
        let permit = tokio::select! {
            why = &mut closing => return end(&outbound, why).await,
            permit = tokio::time::timeout(times.lease, outbound.reserve()) => match permit {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return,
                // It has not been answered for so long, and has cancelled its work; it may speak, but it does not listen.
                Err(_) => {
                    session.give_up_unread();
                    continue;
                }
            },
        };
        if first.is_none() && lock(&session.outbox).is_empty() {
            tokio::select! {
                why = &mut closing => { drop(permit); return end(&outbound, why).await }
                () = session.wake.notified() => {}
                // Half the promised time, so that a late timer breaks no promise.
                () = tokio::time::sleep(times.heartbeat / 2) => {}
            }
        }
        let mut message = if first.is_some() { wire::FromOwner::default() } else { lock(&session.outbox).take() };
        message.welcome = first.take();
        message.heard_ms = session.heard_ms.load(Ordering::Relaxed);
        permit.send(Ok(message));
    }
}

/// Tells the executor why its stream ends, if it still listens.
async fn end(outbound: &mpsc::Sender<Result<wire::FromOwner, Status>>, why: Close) {
    let status = match why {
        Close::Detached => Status::unavailable("this process no longer owns the environment"),
        Close::Ended | Close::Silent => Status::unavailable("the executor was given up for ended"),
        Close::Superseded => Status::aborted("the executor connected again"),
        Close::CreditsExceeded => Status::internal("more was granted than the executor takes"),
        Close::Unread => Status::aborted("the executor does not read what it is sent"),
        Close::TooMuch => Status::resource_exhausted("the executor says more than it can have to say"),
    };
    let _ = tokio::time::timeout(CLOSING_WORD, outbound.send(Err(status))).await;
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
