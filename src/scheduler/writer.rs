//! The writer: commits one batch at a time, and only then lets anything that depends on it leave the process.

use super::batch::{Closed, Verdict};
use super::{Committed, Edge};
use crate::core::{Message, Name};
use crate::history::{Fence, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

/// First and longest pause between two tries of the same commit.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Who waits for the answer to a call.
pub(super) type Caller = oneshot::Sender<Option<Message>>;

/// The loop's end of the writer.
pub(super) struct Writer {
    batches: mpsc::Sender<Closed<Caller>>,
    wrote: mpsc::Receiver<Wrote>,
    store: Arc<dyn Store>,
    fence: Fence,
}

/// What the writer says of the batch it was given.
pub(super) enum Wrote {
    /// It is in history, and the outside knows.
    Committed,
    /// It never will be: the loop must end.
    Ended(String),
}

struct Task {
    environment: Name,
    store: Arc<dyn Store>,
    fence: Fence,
    edge: Arc<dyn Edge>,
    committed: broadcast::Sender<Arc<Committed>>,
}

pub(super) fn spawn(
    environment: Name,
    store: Arc<dyn Store>,
    fence: Fence,
    edge: Arc<dyn Edge>,
    committed: broadcast::Sender<Arc<Committed>>,
) -> Writer {
    // One batch is written while the next gathers in the loop; more are never under way.
    let (batches, mut queue) = mpsc::channel::<Closed<Caller>>(1);
    let (done, wrote) = mpsc::channel(1);
    let task = Task { environment, store: Arc::clone(&store), fence: fence.clone(), edge, committed };
    tokio::spawn(async move {
        while let Some(closed) = queue.recv().await {
            let result = task.write(closed).await;
            let ended = matches!(result, Wrote::Ended(_));
            if done.send(result).await.is_err() || ended {
                return;
            }
        }
    });
    Writer { batches, wrote, store, fence }
}

impl Writer {
    /// Hands a batch over; the loop does so only when the last one is done, so there is room.
    pub(super) fn write(&self, closed: Closed<Caller>) {
        if self.batches.try_send(closed).is_err() {
            tracing::error!("the history writer has ended before its scheduler");
        }
    }

    /// The answer to the batch under way. Never returns while none is.
    pub(super) async fn wrote(&mut self) -> Wrote {
        self.wrote.recv().await.unwrap_or_else(|| Wrote::Ended("the history writer has ended".to_owned()))
    }

    pub(super) async fn release(&self) {
        if let Err(error) = self.store.release(&self.fence).await {
            tracing::warn!(%error, "ownership could not be released; the next owner waits for the lease");
        }
    }
}

impl Task {
    async fn write(&self, closed: Closed<Caller>) -> Wrote {
        if closed.writes()
            && let Err(reason) = self.commit(&closed).await
        {
            return Wrote::Ended(reason);
        }
        let leaving = closed.leave();
        for (pool, executors) in leaving.scales {
            self.edge.scale(&self.environment, &pool, executors);
        }
        if !leaving.to_executors.is_empty() {
            self.edge.deliver(&self.environment, leaving.to_executors);
        }
        // Nobody may be listening.
        let _ = self.committed.send(Arc::new(leaving.committed));
        for reply in leaving.replies {
            let _ = reply.to.send(reply.message);
        }
        Wrote::Committed
    }

    /// Commits, again and again while history is away: the same batch, so that a commit whose reply was lost is recognised.
    async fn commit(&self, closed: &Closed<Caller>) -> Result<(), String> {
        let mut pause = PAUSE.0;
        loop {
            match Verdict::of(self.store.commit(&self.fence, &closed.batch).await) {
                Verdict::Committed => return Ok(()),
                Verdict::Ended(reason) => return Err(reason),
                Verdict::Again(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(environment = %self.environment, %error, cause, "history is away; the commit is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }
}
