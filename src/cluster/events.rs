//! Kubernetes Events: only for what happened, aggregated by the recorder, never in anybody's way.
//!
//! Deliberately absent: waiting. Events are told by one task from a bounded queue; when it is full, they are dropped and counted in the log: an Event
//! is a courtesy, history is the record.

use crate::cluster::limits::{EVENT_NOTE_BYTES, EVENT_TIMEOUT, EVENTS_QUEUE};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// An attempt failed.
    DeployFailed,
    /// A difference that a verification found was corrected.
    DriftCorrected,
    /// A difference was found and left.
    DriftFound,
    /// It was left on its target, and is no longer cared for.
    Orphaned,
    /// A pod was made for a pool.
    PodCreated,
    /// A pool cannot start pods.
    PodFailed,
}

impl Happened {
    const fn reason(self) -> &'static str {
        match self {
            Self::DeployFailed => "DeployFailed",
            Self::DriftCorrected => "DriftCorrected",
            Self::DriftFound => "DriftFound",
            Self::Orphaned => "Orphaned",
            Self::PodCreated => "PodCreated",
            Self::PodFailed => "PodFailed",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::DeployFailed => "Deploy",
            Self::DriftCorrected | Self::DriftFound => "Verify",
            Self::Orphaned => "Delete",
            Self::PodCreated | Self::PodFailed => "Scale",
        }
    }

    const fn weight(self) -> EventType {
        match self {
            Self::DriftCorrected | Self::PodCreated => EventType::Normal,
            Self::DeployFailed | Self::DriftFound | Self::Orphaned | Self::PodFailed => EventType::Warning,
        }
    }
}

/// Where events are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(Event, ObjectReference)>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Starts the task that tells them. Needs a tokio runtime.
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter { controller: "homeostat".to_owned(), instance: Some(instance.to_owned()) };
        let recorder = Recorder::new(client, reporter);
        let (queue, mut waiting) = mpsc::channel::<(Event, ObjectReference)>(EVENTS_QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        tokio::spawn(async move {
            while let Some((event, about)) = waiting.recv().await {
                let missed = counted.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    tracing::warn!(missed, "more events at once than can be told; they were dropped");
                }
                match tokio::time::timeout(EVENT_TIMEOUT, recorder.publish(&event, &about)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, reason = event.reason, "event not recorded"),
                    Err(_) => tracing::debug!(reason = event.reason, "event not recorded in time"),
                }
            }
        });
        Self { queue, dropped }
    }

    /// Tells of something. `kind` is one of ours.
    pub fn tell(&self, happened: Happened, kind: &str, object: super::ObjectRef<'_>, note: &str) {
        let end = note.char_indices().map(|(at, _)| at).find(|at| *at >= EVENT_NOTE_BYTES).unwrap_or(note.len());
        let event = Event {
            type_: happened.weight(),
            reason: happened.reason().to_owned(),
            note: Some(note.get(..end).unwrap_or_default().to_owned()),
            action: happened.action().to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some("homeostat.dev/v1alpha1".to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(object.namespace.to_owned()),
            name: Some(object.name.to_owned()),
            uid: Some(object.uid.to_owned()),
            ..ObjectReference::default()
        };
        if self.queue.try_send((event, about)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
