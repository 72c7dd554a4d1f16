//! The owner's side of the executor protocol: streams in, events out; messages in, batches out.
//!
//! One [`Endpoint`] per process serves all environments that are attached to it. Per executor there is one [`session`] at a time; what it says
//! reaches the scheduler in order: connected, begun and finished, disconnected, lost. An executor is lost when its process provably ended, or
//! when the lease and a margin have passed since the last message that it sent; it has then cancelled its work by itself, because it counts its
//! lease from the sending of what was answered, which is always earlier than the receipt that is counted here.
//!
//! Each session has a number, which the scheduler hears with the hello and says with every grant. A grant that was decided before the scheduler took
//! in a reconnect, and that is delivered after it, names the stream that is no more, and is not sent: the executor may have been believed lost in
//! between, and then its work is another one's. The scheduler asks for such a grant when it comes to the hello, which did not name it.
//!
//! Deliberately absent: what to do about any of it. That is `core`'s.

mod attachment;
mod listen;
mod outbox;
mod session;
mod stranger;

use crate::core::{Epoch, Event, ExecutorName, Message, Name, PoolName, SessionNumber, limits};
use async_trait::async_trait;
use attachment::Attachment;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

pub use listen::EndpointError;

/// How often the two sides talk, and when silence means something.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Both sides say something at least this often. After three times as long, a stream is given up.
    pub heartbeat: Duration,
    /// An executor that was not answered for so long cancels its work.
    pub lease: Duration,
    /// What the owner waits beyond the lease.
    pub margin: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(limits::HEARTBEAT_MS.into()),
            lease: Duration::from_millis(limits::LEASE_MS.into()),
            margin: Duration::from_millis(limits::LEASE_MARGIN_MS.into()),
        }
    }
}

/// Who an executor says it is.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its environment.
    pub environment: Name,
    /// Its pool.
    pub pool: PoolName,
    /// Its id; in a cluster the UID of its pod.
    pub executor: ExecutorName,
}

/// Why an executor is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no token, or it proves nothing.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// The token proves something else than is claimed, or the pool does not exist.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// It cannot be checked now; the executor tries again.
    #[error("cannot be checked now: {0}")]
    Unavailable(String),
}

/// Decides whether an executor is who it claims to be.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// `token` is the bearer token of the request, if there is one. Called once per stream; has its own timeout.
    async fn authenticate(&self, claim: &Claim, token: Option<&str>) -> Result<(), Denied>;
}

/// For a socket in a folder that only its owner can enter: whoever connects is allowed to.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptAll;

#[async_trait]
impl Authenticate for AcceptAll {
    async fn authenticate(&self, _claim: &Claim, _token: Option<&str>) -> Result<(), Denied> {
        Ok(())
    }
}

/// One executor, as it is connected now.
#[derive(Clone, Debug)]
pub struct ConnectedExecutor {
    /// Its id.
    pub executor: ExecutorName,
    /// Its pool.
    pub pool: PoolName,
    /// Grants it has not answered.
    pub in_flight: usize,
    /// Types its adaptors know.
    pub types: Vec<Name>,
    /// Its release.
    pub release: Name,
}

/// The owner's side. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    times: Times,
    authenticate: Arc<dyn Authenticate>,
    environments: Mutex<HashMap<Name, Arc<Attachment>>>,
    /// The number of the newest session: no two are alike, also of environments that are attached again.
    sessions: AtomicU64,
}

impl Endpoint {
    /// An endpoint without environments and listeners.
    pub fn new(times: Times, authenticate: Arc<dyn Authenticate>) -> Self {
        Self {
            shared: Arc::new(Shared {
                times,
                authenticate,
                environments: Mutex::default(),
                sessions: AtomicU64::new(0),
            }),
        }
    }

    /// Lets executors of an environment in, and hands what they say to `inbox`, each executor's events in order.
    ///
    /// `expected` are the executors that hold open grants, by the snapshot that was loaded: each of them is reported lost where it does not
    /// connect within the lease and its margin, or [`Endpoint::ended`] says so earlier. Replaces an earlier attachment. Needs a tokio runtime.
    pub fn attach(
        &self,
        environment: Name,
        epoch: Epoch,
        inbox: mpsc::Sender<Vec<Event>>,
        expected: Vec<ExecutorName>,
    ) {
        let attachment = Attachment::new(Arc::clone(&environment), epoch, inbox, self.shared.times);
        let earlier = self.environments().insert(environment, Arc::clone(&attachment));
        if let Some(earlier) = earlier {
            earlier.close();
        }
        attachment.expect(expected);
    }

    /// Ends all streams of an environment; nothing more is reported of them.
    pub fn detach(&self, environment: &str) {
        let attachment = self.environments().remove(environment);
        if let Some(attachment) = attachment {
            attachment.close();
        }
    }

    /// Sends [`Message::Grant`], [`Message::Revoke`] and [`Message::Acknowledge`] on their way, each executor's in order. Never waits.
    /// What is meant for an executor that is not connected, or a grant for an earlier stream of it, is dropped: it says what it holds when it comes
    /// back. Other messages are not ours.
    pub fn deliver(&self, environment: &str, messages: Vec<Message>) {
        let Some(attachment) = self.attachment(environment) else {
            tracing::debug!(environment, "no longer attached, messages dropped");
            return;
        };
        attachment.deliver(messages);
    }

    /// Tells an executor to end when it has nothing left to do or report.
    pub fn retire(&self, environment: &str, executor: &str) {
        if let Some(attachment) = self.attachment(environment) {
            attachment.retire(executor);
        }
    }

    /// This executor's process has provably ended: it is reported lost at once, where it was known.
    pub fn ended(&self, environment: &str, executor: &str) {
        if let Some(attachment) = self.attachment(environment) {
            attachment.ended(Some(executor));
        }
    }

    /// Every executor process of the environment that is not connected now has provably ended.
    pub fn all_ended(&self, environment: &str) {
        if let Some(attachment) = self.attachment(environment) {
            attachment.ended(None);
        }
    }

    /// The executors that are connected now, sorted by id.
    pub fn connected(&self, environment: &str) -> Vec<ConnectedExecutor> {
        self.attachment(environment).map(|attachment| attachment.connected()).unwrap_or_default()
    }

    fn next_session(&self) -> SessionNumber {
        SessionNumber(self.shared.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn attachment(&self, environment: &str) -> Option<Arc<Attachment>> {
        self.environments().get(environment).map(Arc::clone)
    }

    fn environments(&self) -> MutexGuard<'_, HashMap<Name, Arc<Attachment>>> {
        lock(&self.shared.environments)
    }
}

/// Locks, also where a holder panicked: nothing here is left half done under a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
