//! The loop of an executor: it dials, takes what the owner sends, and says what there is to say whenever the stream takes a message.
//!
//! Results are sent when the sending side is free, not on a timer: alone when there is little to do, in batches under load.

use super::attempt;
use super::board::{Board, Job, Report};
use super::desk::Desk;
use super::dial::{Address, DialError, Stream, dial};
use super::lease::Lease;
use super::watchdog::Watchdog;
use super::{EXIT_STUCK, Options, WorkerError};
use crate::adaptors::{Work, WorkEnded, registry};
use crate::core::limits;
use crate::executor::limits::{
    FAREWELL_TIME, FIRST_BACKOFF, MISSED_HEARTBEATS, MOST_BACKOFF, MOST_BACKOFF_EMBEDDED, REPORTS, STOP_TIME,
};
use crate::executor::protocol::wire;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

/// An executor's process.
pub(super) struct Session {
    options: Options,
    address: Address,
    lease: Arc<Lease>,
    watchdog: Arc<Watchdog>,
    board: Board,
    desk: Desk,
    reports: mpsc::Receiver<Report>,
    lanes_ended: Option<WorkEnded>,
    link: Link,
    highest_epoch: u64,
    dials: usize,
    backoff: Duration,
    /// Why the last dial failed: said once, not at every dial.
    trouble: String,
    ending: Ending,
}

/// The stream to the owner.
enum Link {
    /// There is none; a dial begins at that time.
    Down(Instant),
    Dialing(Pin<Box<dyn Future<Output = Result<Stream, DialError>> + Send>>),
    Up(Box<Up>),
}

struct Up {
    stream: Stream,
    /// Before the welcome nothing is sent.
    welcomed: bool,
    heartbeat: Duration,
    heard: Instant,
    said: Instant,
}

/// Whether and how the process is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Not,
    /// The owner wants no more of it: ends when everything is acknowledged.
    Retired,
    /// A signal: what has begun goes on until that time.
    Stopping(Instant),
    /// Everything was cancelled; the last reports go out until that time.
    Cancelled(Instant),
}

/// What woke the loop.
enum Woken {
    Stop,
    LeaseOver,
    EndingDue,
    Dial,
    Dialed(Result<Stream, DialError>),
    Heard(Option<Result<Option<wire::FromOwner>, Status>>),
    Reports,
    Flush,
}

impl Session {
    pub(super) fn new(options: Options, address: Address) -> Self {
        let (sender, reports) = mpsc::channel(2 * limits::CREDITS as usize);
        let lease = Arc::new(Lease::new());
        let watchdog = Watchdog::new(Arc::clone(&lease));
        let (work, lanes_ended) = Work::new();
        Self {
            board: Board::new(sender, Arc::clone(&lease), Arc::clone(&watchdog), work),
            options,
            address,
            lease,
            watchdog,
            desk: Desk::default(),
            reports,
            lanes_ended: Some(lanes_ended),
            link: Link::Down(Instant::now()),
            highest_epoch: 0,
            dials: 0,
            backoff: FIRST_BACKOFF,
            trouble: String::new(),
            ending: Ending::Not,
        }
    }

    /// Works until told to end. No work is left when it returns: where that cannot be had, the process ends here.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
        self.watchdog.watch();
        let result = self.work(stop).await;
        if !self.end_all().await {
            tracing::error!(
                "cancelled work did not end within {} ms; this executor gives itself up",
                limits::CANCEL_GRACE_MS
            );
            crate::telemetry::flush();
            std::process::exit(EXIT_STUCK);
        }
        result
    }

    async fn work(&mut self, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let mut stop = std::pin::pin!(stop);
        let mut stopped = false;
        let mut lease_noticed = false;
        let mut buffer = Vec::with_capacity(REPORTS);
        loop {
            self.flush();
            if self.has_ended() {
                return Ok(());
            }
            let woken = self.wait(&mut buffer, stop.as_mut(), stopped, lease_noticed).await;
            for report in buffer.drain(..) {
                self.desk.take(report);
            }
            lease_noticed = lease_noticed && self.lease.is_over();
            match woken {
                Woken::Stop => {
                    stopped = true;
                    tracing::info!("told to stop: nothing begins any more");
                    self.desk.give_back();
                    self.ending = Ending::Stopping(Instant::now() + STOP_TIME);
                }
                Woken::LeaseOver => {
                    lease_noticed = true;
                    self.lease_over();
                }
                Woken::EndingDue => self.ending_due(),
                Woken::Dial => self.dial(),
                Woken::Dialed(Ok(stream)) => self.link_up(stream),
                Woken::Dialed(Err(error)) => {
                    let lost = matches!(error, DialError::Connect { .. });
                    self.link_down(&error.to_string(), lost)?;
                }
                Woken::Heard(Some(Ok(Some(message)))) => {
                    if let Err(reason) = self.take(message) {
                        self.link_down(&reason, false)?;
                    }
                }
                Woken::Heard(Some(Ok(None))) => self.link_down("the stream ended", true)?,
                Woken::Heard(Some(Err(status))) => {
                    let reason = format!("the stream broke: {}", status.message());
                    self.link_down(&reason, true)?;
                }
                Woken::Heard(None) => self.link_down("the owner is silent", true)?,
                Woken::Reports | Woken::Flush => {}
            }
        }
    }

    /// Waits for whatever comes first; reports of lanes go into `buffer`.
    async fn wait(
        &mut self,
        buffer: &mut Vec<Report>,
        stop: Pin<&mut impl Future<Output = ()>>,
        stopped: bool,
        lease_noticed: bool,
    ) -> Woken {
        let something_to_say = self.desk.has_something_to_say();
        let ending = self.ending;
        let lease = Arc::clone(&self.lease);
        tokio::select! {
            biased;
            () = stop, if !stopped => Woken::Stop,
            () = lease.over(), if !lease_noticed => Woken::LeaseOver,
            () = ending_due(ending) => Woken::EndingDue,
            woken = self.link.event(something_to_say) => woken,
            // The sender of the board keeps it open.
            _ = self.reports.recv_many(buffer, REPORTS) => Woken::Reports,
        }
    }

    fn dial(&mut self) {
        let hello = wire::Hello {
            executor: self.options.id.clone(),
            pool: self.options.pool.clone(),
            environment: self.options.environment.clone(),
            highest_epoch: self.highest_epoch,
            credits: self.options.credits,
            holds: self.desk.holds(),
            types: registry::kinds().map(str::to_owned).collect(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let message =
            wire::FromExecutor { hello: Some(hello), sent_ms: self.lease.now_ms(), ..wire::FromExecutor::default() };
        self.dials += 1;
        self.link =
            Link::Dialing(Box::pin(dial(self.address.clone(), self.options.token_file.clone(), self.dials, message)));
    }

    fn link_up(&mut self, stream: Stream) {
        let now = Instant::now();
        let heartbeat = Duration::from_millis(limits::HEARTBEAT_MS.into());
        self.link = Link::Up(Box::new(Up { stream, welcomed: false, heartbeat, heard: now, said: now }));
    }

    /// The stream is no more: dials again, or ends where that is wanted. `lost`: the owner itself may be gone.
    fn link_down(&mut self, reason: &str, lost: bool) -> Result<(), WorkerError> {
        let was_up = matches!(&self.link, Link::Up(up) if up.welcomed);
        if self.options.exit_with_stream && (was_up || lost) {
            let address = self.options.connect.clone();
            return Err(WorkerError::OwnerGone { address, reason: reason.to_owned() });
        }
        // Between half and all of it, so that many executors do not come back at once.
        let delay = self.backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        if self.trouble != reason {
            tracing::warn!(reason, "not connected; tries again");
            reason.clone_into(&mut self.trouble);
        }
        let most = if self.options.exit_with_stream { MOST_BACKOFF_EMBEDDED } else { MOST_BACKOFF };
        self.backoff = (self.backoff * 2).min(most);
        self.link = Link::Down(Instant::now() + delay);
        Ok(())
    }

    /// What the owner sent.
    fn take(&mut self, message: wire::FromOwner) -> Result<(), String> {
        self.lease.answered(message.heard_ms);
        if let Some(welcome) = message.welcome {
            if welcome.epoch < self.highest_epoch {
                return Err(format!(
                    "refused epoch {}: another owner has had epoch {}",
                    welcome.epoch, self.highest_epoch
                ));
            }
            self.highest_epoch = welcome.epoch;
            self.lease.agree(welcome.lease_ms);
            if let Link::Up(up) = &mut self.link {
                up.welcomed = true;
                up.heartbeat = Duration::from_millis(welcome.heartbeat_ms.max(1).into());
            }
            self.backoff = FIRST_BACKOFF;
            self.trouble.clear();
            self.desk.say_again();
            tracing::info!(epoch = welcome.epoch, holds = self.desk.holds().len(), "connected");
        }
        if let Link::Up(up) = &mut self.link {
            up.heard = Instant::now();
        }
        for grant in message.grants {
            self.granted(grant);
        }
        message.revoke.into_iter().for_each(|attempt| self.desk.revoke(attempt));
        message.acknowledged.into_iter().for_each(|attempt| self.desk.acknowledged(attempt));
        if message.retire && self.ending == Ending::Not {
            tracing::info!("retired: ends when nothing is left to do");
            self.ending = Ending::Retired;
        }
        Ok(())
    }

    fn granted(&mut self, grant: wire::Grant) {
        let attempt = grant.attempt;
        if self.desk.holds_attempt(attempt) {
            return;
        }
        let refusal = if grant.epoch < self.highest_epoch {
            Some(format!(
                "refused by the executor: granted in epoch {}, it has seen epoch {}",
                grant.epoch, self.highest_epoch
            ))
        } else if self.desk.unanswered() >= self.options.credits as usize {
            Some(format!("refused by the executor: more than the {} grants it takes", self.options.credits))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            tracing::warn!(attempt, refusal);
            self.desk.refused_grant(attempt::failure(attempt, &refusal));
            return;
        }
        let job = Arc::new(Job::new(grant));
        self.desk.granted(Arc::clone(&job));
        if matches!(self.ending, Ending::Not | Ending::Retired) {
            self.board.push(job);
        } else {
            self.desk.revoke(attempt);
        }
    }

    /// Sends what there is to say, if the stream takes it now.
    fn flush(&mut self) {
        let Link::Up(up) = &mut self.link else { return };
        let now = Instant::now();
        let heartbeat_due = now.duration_since(up.said) >= up.heartbeat / 2;
        while up.welcomed && (self.desk.has_something_to_say() || (heartbeat_due && up.said != now)) {
            // A full channel wakes the loop when it has room, a closed one when the stream ends.
            let Ok(permit) = up.stream.outbound.try_reserve() else { return };
            let mut message = self.desk.batch(now);
            message.sent_ms = self.lease.now_ms();
            up.said = now;
            permit.send(message);
        }
    }

    /// The owner may give the work to others from now on.
    fn lease_over(&mut self) {
        if self.desk.is_empty() {
            return;
        }
        tracing::warn!(
            unanswered = self.desk.unanswered(),
            "the owner was not heard for the time of the lease, all work is cancelled"
        );
        self.desk.give_back();
        self.board.cancel("the executor did not hear from its owner for the time of the lease");
    }

    fn ending_due(&mut self) {
        if matches!(self.ending, Ending::Stopping(_)) {
            tracing::warn!("cancelling what is still in progress");
            self.board.cancel("the executor was told to stop");
            let grace = Duration::from_millis(limits::CANCEL_GRACE_MS);
            self.ending = Ending::Cancelled(Instant::now() + grace + FAREWELL_TIME);
            self.watchdog.stop();
        } else {
            // Nobody listens: what is held goes down with the process, and the owner hears of its end.
            self.desk = Desk::default();
        }
    }

    fn has_ended(&self) -> bool {
        self.ending != Ending::Not && self.desk.is_empty()
    }

    /// Cancels everything and waits until it has ended; says whether it has.
    async fn end_all(&mut self) -> bool {
        self.desk.give_back();
        self.board.cancel("the executor lost its owner");
        self.watchdog.stop();
        // The old board goes, and with it all that could begin a lane.
        let (work, _) = Work::new();
        self.board = Board::new(mpsc::channel(1).0, Arc::clone(&self.lease), Arc::clone(&self.watchdog), work);
        let Some(ended) = self.lanes_ended.take() else { return true };
        // Lanes wait until their last reports are taken.
        let drained = async { while self.reports.recv().await.is_some() {} };
        let all = async { tokio::join!(ended.wait(), drained) };
        tokio::time::timeout(Duration::from_millis(limits::CANCEL_GRACE_MS), all).await.is_ok()
    }
}

async fn ending_due(ending: Ending) {
    match ending {
        Ending::Not | Ending::Retired => std::future::pending().await,
        Ending::Stopping(at) | Ending::Cancelled(at) => tokio::time::sleep_until(at).await,
    }
}

impl Link {
    /// The next thing that happens to the stream.
    async fn event(&mut self, something_to_say: bool) -> Woken {
        match self {
            Self::Down(at) => {
                tokio::time::sleep_until(*at).await;
                Woken::Dial
            }
            Self::Dialing(dialing) => Woken::Dialed(dialing.await),
            Self::Up(up) => {
                let Up { stream: Stream { outbound, inbound }, welcomed, heartbeat, heard, said } = &mut **up;
                let heartbeat_due = *said + *heartbeat / 2;
                let something_to_say = something_to_say || heartbeat_due <= Instant::now();
                tokio::select! {
                    biased;
                    message = next(inbound, *heard + *heartbeat * MISSED_HEARTBEATS) => Woken::Heard(message),
                    _ = outbound.reserve(), if something_to_say && *welcomed => Woken::Flush,
                    () = tokio::time::sleep_until(heartbeat_due), if *welcomed && !something_to_say => Woken::Flush,
                }
            }
        }
    }
}

/// The next message; `None` where there was none in time.
async fn next(
    inbound: &mut Streaming<wire::FromOwner>,
    until: Instant,
) -> Option<Result<Option<wire::FromOwner>, Status>> {
    tokio::time::timeout_at(until, inbound.message()).await.ok()
}
