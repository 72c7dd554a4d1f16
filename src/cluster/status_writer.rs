//! Status writes: the newest per object wins, behind a token bucket, a few at a time, each tried again until it is written or pointless.
//!
//! Deliberately absent: a comparison with what is there. Who hands a status in has changed it.

use super::client::Cluster;
use super::error::{Class, ClusterError};
use crate::api::{Environment, Executor, Resource, Target};
use crate::cluster::ObjectRef;
use crate::cluster::limits::{STATUS_AT_ONCE, STATUS_BURST, STATUS_RATE, STATUS_RETRY};
use crate::controller::Kind;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: a successor of the same name is another object.
    pub uid: String,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<StatusKey>,
    newest: HashMap<StatusKey, Value>,
    /// Objects whose status is on its way: a newer one waits, or the older might arrive after it and stay.
    writing: HashSet<StatusKey>,
    /// Statuses that were never written, because a newer one of the same object came.
    replaced: u64,
}

/// The writer. Cheap to clone.
#[derive(Clone)]
pub struct StatusWriter {
    waiting: Arc<Mutex<Waiting>>,
    wake: Arc<Notify>,
}

impl StatusWriter {
    /// Starts the task that writes. Needs a tokio runtime.
    pub fn start(cluster: Cluster) -> Self {
        let writer = Self { waiting: Arc::default(), wake: Arc::default() };
        tokio::spawn(writer.clone().run(cluster));
        writer
    }

    /// Hands in a whole status. One that still waits for the same object is replaced.
    pub fn put(&self, key: StatusKey, status: Value) {
        let mut waiting = self.waiting();
        if waiting.newest.insert(key.clone(), status).is_some() {
            waiting.replaced += 1;
        } else if !waiting.writing.contains(&key) {
            waiting.order.push_back(key);
        }
        self.wake.notify_one();
    }

    /// Hands in a status again, unless a newer one waits.
    fn put_back(&self, key: StatusKey, status: Value) {
        let mut waiting = self.waiting();
        if waiting.newest.contains_key(&key) || waiting.writing.contains(&key) {
            waiting.replaced += 1;
        } else {
            waiting.newest.insert(key.clone(), status);
            waiting.order.push_back(key);
        }
        self.wake.notify_one();
    }

    /// The status on its way has arrived, or never will.
    fn wrote(&self, key: &StatusKey) {
        let mut waiting = self.waiting();
        waiting.writing.remove(key);
        if waiting.newest.contains_key(key) {
            waiting.order.push_back(key.clone());
            self.wake.notify_one();
        }
    }

    fn next(&self) -> Option<(StatusKey, Value)> {
        let mut waiting = self.waiting();
        let key = waiting.order.pop_front()?;
        let status = waiting.newest.remove(&key)?;
        waiting.writing.insert(key.clone());
        Some((key, status))
    }

    fn tell_replaced(&self) {
        let replaced = std::mem::take(&mut self.waiting().replaced);
        if replaced > 0 {
            tracing::debug!(replaced, "statuses were replaced by newer ones before they could be written");
        }
    }

    async fn run(self, cluster: Cluster) {
        let slots = Arc::new(Semaphore::new(STATUS_AT_ONCE));
        let mut bucket = Bucket::new(Instant::now());
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            if let Some(wait) = bucket.take(Instant::now()) {
                tokio::time::sleep(wait).await;
            }
            let (key, status) = loop {
                if let Some(next) = self.next() {
                    break next;
                }
                self.tell_replaced();
                self.wake.notified().await;
            };
            let (writer, cluster) = (self.clone(), cluster.clone());
            tokio::spawn(async move {
                let written = write(&cluster, &key, &status).await;
                drop(slot);
                writer.wrote(&key);
                writer.after(key, status, written).await;
            });
        }
    }

    async fn after(&self, key: StatusKey, status: Value, written: Result<String, ClusterError>) {
        let Err(error) = written else { return };
        match error.class() {
            // The object is gone, or is another one by now.
            Class::Gone | Class::Conflict | Class::AlreadyExists => tracing::debug!(%error, "status dropped"),
            Class::WaitForChange => tracing::warn!(%error, "a status cannot be written; the next change tries again"),
            Class::Backoff => {
                tracing::info!(%error, "a status could not be written; trying again");
                tokio::time::sleep(STATUS_RETRY).await;
                self.put_back(key, status);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(cluster: &Cluster, key: &StatusKey, status: &Value) -> Result<String, ClusterError> {
    let object = ObjectRef { namespace: &key.namespace, name: &key.name, uid: &key.uid };
    match key.kind {
        Kind::Environment => cluster.apply_status::<Environment>(object, status).await,
        Kind::Target => cluster.apply_status::<Target>(object, status).await,
        Kind::Executor => cluster.apply_status::<Executor>(object, status).await,
        Kind::Resource => cluster.apply_status::<Resource>(object, status).await,
    }
}

/// A token bucket: `STATUS_BURST` at once, `STATUS_RATE` per second.
struct Bucket {
    /// When the bucket would have been empty; the older, the more there is in it.
    empty_at: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { empty_at: now.checked_sub(Self::full()).unwrap_or(now) }
    }

    fn full() -> Duration {
        Duration::from_secs(1) * STATUS_BURST / STATUS_RATE
    }

    /// Takes a token; says how long to wait for it.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        if let Some(fullest) = now.checked_sub(Self::full()) {
            self.empty_at = self.empty_at.max(fullest);
        }
        self.empty_at += Duration::from_secs(1) / STATUS_RATE;
        self.empty_at.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Bucket, Cluster, Kind, STATUS_AT_ONCE, STATUS_BURST, STATUS_RATE, StatusKey, StatusWriter};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::Instant;

    /// It takes connections, and never answers.
    #[tokio::test]
    async fn r14_while_the_api_server_stands_still_the_newest_status_of_each_object_waits_and_no_more() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let client = kube::Client::try_from(kube::Config::new(url)).unwrap();
        let writer = StatusWriter::start(Cluster::new(client, "test"));
        let key = |number: u64| StatusKey {
            kind: Kind::Resource,
            namespace: "default".to_owned(),
            name: format!("r{number}"),
            uid: number.to_string(),
        };
        let (objects, rounds) = (100, 200);
        for round in 0..rounds {
            for number in 0..objects {
                writer.put(key(number), round.into());
            }
            tokio::task::yield_now().await;
        }
        let waiting = writer.waiting();
        assert_eq!(waiting.newest.len(), objects as usize);
        assert_eq!(waiting.order.len() + waiting.writing.len(), objects as usize, "one at a time is on its way");
        assert!(waiting.newest.values().all(|status| *status == rounds - 1));
        let under_way = objects * rounds - waiting.replaced - objects;
        assert!(under_way <= STATUS_AT_ONCE as u64, "{under_way}");
    }

    /// Both on their way at once, the older might arrive last, and stay.
    #[test]
    fn a_newer_status_of_an_object_waits_until_the_older_has_arrived() {
        let writer = StatusWriter { waiting: Arc::default(), wake: Arc::default() };
        let key = StatusKey { kind: Kind::Resource, namespace: "default".into(), name: "a".into(), uid: "1".into() };
        let put = |status: &str| writer.put(key.clone(), status.into());
        let next = || writer.next().map(|(_, status)| status);
        put("deploying");
        assert_eq!(next(), Some("deploying".into()));
        put("deployed");
        assert_eq!(next(), None);
        writer.wrote(&key);
        assert_eq!(next(), Some("deployed".into()));
        // What failed before is older than what is on its way, and than what waits.
        writer.put_back(key.clone(), "deploying".into());
        writer.wrote(&key);
        assert_eq!(next(), None);
        put("drifted");
        writer.put_back(key.clone(), "deploying".into());
        assert_eq!(next(), Some("drifted".into()));
    }

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let start = Instant::now() + Duration::from_hours(1);
        let mut bucket = Bucket::new(start);
        for _ in 0..STATUS_BURST {
            assert_eq!(bucket.take(start), None);
        }
        assert_eq!(bucket.take(start), Some(Duration::from_secs(1) / STATUS_RATE));
        assert_eq!(bucket.take(start), Some(Duration::from_secs(2) / STATUS_RATE));
        assert_eq!(bucket.take(start + Duration::from_mins(1)), None, "a rest fills it again");
    }
}
