//! The writer: commits one batch at a time, and only then lets anything that depends on it leave the process.
//!
//! Two things it settles by itself, because an environment must not end for them: a text that history can never store is stripped and marked
//! ([`mending`]), and commits that the database has lost since it acknowledged them are committed again ([`Kept`]).

use super::batch::{Closed, Verdict};
use super::kept::Kept;
use super::{Committed, Edge};
use crate::core::{Message, Name};
use crate::history::{Batch, Fence, HistoryError, Store, mending};
use crate::scheduler::limits::{COMMIT_PAUSE, LOOK_BACK};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

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
    /// It is in history, and the outside knows, but for executors: what is for them is here.
    Committed(Vec<Message>),
    /// It never will be: the loop must end.
    Ended(String),
}

struct Task {
    environment: Name,
    store: Arc<dyn Store>,
    fence: Fence,
    edge: Arc<dyn Edge>,
    committed: broadcast::Sender<Arc<Committed>>,
    /// Why the batch under way is not in history yet.
    away: watch::Sender<Option<String>>,
    kept: Kept,
}

pub(super) fn spawn(
    environment: Name,
    store: Arc<dyn Store>,
    fence: Fence,
    edge: Arc<dyn Edge>,
    committed: broadcast::Sender<Arc<Committed>>,
    away: watch::Sender<Option<String>>,
) -> Writer {
    // One batch is written while the next gathers in the loop; more are never under way.
    let (batches, mut queue) = mpsc::channel::<Closed<Caller>>(1);
    let (done, wrote) = mpsc::channel(1);
    let (writes, written_as, kept) = (Arc::clone(&store), fence.clone(), Kept::default());
    let mut task = Task { environment, store: writes, fence: written_as, edge, committed, away, kept };
    tokio::spawn(async move {
        loop {
            let result = tokio::select! {
                closed = queue.recv() => match closed {
                    Some(closed) => task.write(closed).await,
                    None => return,
                },
                () = tokio::time::sleep(LOOK_BACK) => match task.look_back().await {
                    Ok(()) => continue,
                    Err(reason) => Wrote::Ended(reason),
                },
            };
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
    async fn write(&mut self, mut closed: Closed<Caller>) -> Wrote {
        let writes = closed.writes();
        if writes && let Err(reason) = self.commit(&mut closed.batch).await {
            return Wrote::Ended(reason);
        }
        let (number, rows) = (closed.batch.number, std::mem::take(&mut closed.batch.rows));
        let leaving = closed.leave();
        for (pool, executors) in leaving.scales {
            self.edge.scale(&self.environment, &pool, executors);
        }
        let committed = Arc::new(leaving.committed);
        if writes {
            self.kept.keep(number, Arc::clone(&committed), rows);
        }
        // Nobody may be listening.
        let _ = self.committed.send(committed);
        for reply in leaving.replies {
            let _ = reply.to.send(reply.message);
        }
        Wrote::Committed(leaving.to_executors)
    }

    /// Commits, again and again while history is away: the same batch, so that a commit whose reply was lost is recognised.
    async fn commit(&self, batch: &mut Batch) -> Result<(), String> {
        let mut pause = COMMIT_PAUSE.0;
        loop {
            match Verdict::of(self.settle(batch).await) {
                Verdict::Committed => {
                    self.away.send_if_modified(|away| away.take().is_some());
                    return Ok(());
                }
                Verdict::Ended(reason) => return Err(reason),
                Verdict::Again(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    self.away.send_replace(Some(cause.clone().unwrap_or_else(|| error.to_string())));
                    tracing::warn!(environment = %self.environment, %error, cause, "history is away; the commit is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(COMMIT_PAUSE.1);
                }
            }
        }
    }

    /// Commits a batch, after everything before it that the database has lost.
    async fn settle(&self, batch: &mut Batch) -> Result<(), HistoryError> {
        loop {
            let (last, found) = match self.try_commit(batch).await {
                Err(HistoryError::Lost { last: Some(last), found }) if self.kept.reaches(last) => (last, found),
                answer => return answer,
            };
            match self.record_again(last, &found).await {
                Ok(()) | Err(HistoryError::Lost { .. }) => {} // lost again meanwhile: the commit says what
                Err(error) => return Err(error),
            }
        }
    }

    /// Commits a batch, made storable where it is not.
    async fn try_commit(&self, batch: &mut Batch) -> Result<(), HistoryError> {
        let answer = self.store.commit(&self.fence, batch).await;
        if !matches!(answer, Err(HistoryError::Refused { .. })) {
            return answer;
        }
        let (mended, found) = mending::mend(&*self.store, &self.fence, batch).await?;
        for found in found {
            tracing::error!(environment = %self.environment, found, "history cannot store this as it is; it is stored stripped and marked");
        }
        *batch = mended;
        self.store.commit(&self.fence, batch).await
    }

    /// Asks whether what was acknowledged is still there; what is not is recorded again. Not being answered says nothing: the next commit will.
    async fn look_back(&self) -> Result<(), String> {
        let Some(newest) = self.kept.newest() else { return Ok(()) };
        let next = Batch { number: newest + 1, ..Batch::default() };
        let found = match self.store.probe(&self.fence, &next).await {
            Err(HistoryError::Lost { last: Some(last), found }) if self.kept.reaches(last) => {
                self.record_again(last, &found).await
            }
            answer => answer,
        };
        match Verdict::of(found) {
            Verdict::Committed | Verdict::Again(_) => Ok(()),
            Verdict::Ended(reason) => Err(reason),
        }
    }

    async fn record_again(&self, last: u64, found: &str) -> Result<(), HistoryError> {
        tracing::error!(environment = %self.environment, found, "the database has lost commits that it had acknowledged; they are recorded again");
        let again = self.kept.record_again(&*self.store, &self.fence, last).await?;
        tracing::warn!(environment = %self.environment, batches = again, "recorded again what the database had lost");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{PoolName, Record, Timestamp, VersionNumber, VersionRecord};
    use crate::history::Owner;
    use crate::history::memory::MemoryStore;

    struct Nobody;

    impl Edge for Nobody {
        fn deliver(&self, _: &Name, _: Vec<Message>) {}
        fn scale(&self, _: &Name, _: &PoolName, _: u32) {}
    }

    fn closed(number: u64) -> Closed<Caller> {
        let version = VersionRecord {
            number: VersionNumber(number),
            at: Timestamp(0),
            author: "me".into(),
            source: "test".into(),
            message: "".into(),
            intents: Vec::new(),
        };
        let batch = Batch { number, records: vec![Record::Version(version)], rows: Vec::new() };
        Closed { batch, messages: Vec::new(), changed: Vec::new(), replies: Vec::new() }
    }

    #[tokio::test]
    async fn r8_a_loss_is_noticed_while_nothing_is_written() {
        let store = Arc::new(MemoryStore::default());
        let owner = Owner { id: "one".into(), description: "a test".into(), lease_ms: 60_000 };
        let fence = store.take("env", &owner, &[]).await.unwrap();
        let mut task = Task {
            environment: "env".into(),
            store: Arc::clone(&store) as Arc<dyn Store>,
            fence,
            edge: Arc::new(Nobody),
            committed: broadcast::channel(1).0,
            away: watch::channel(None).0,
            kept: Kept::default(),
        };
        task.look_back().await.unwrap();
        let image = store.image();
        for number in 1..=3 {
            assert!(matches!(task.write(closed(number)).await, Wrote::Committed(_)));
        }
        task.look_back().await.unwrap();
        store.go_back(image);
        task.look_back().await.unwrap();
        assert_eq!(store.versions("env", None, 9).await.unwrap().len(), 3);
        // Owned by somebody else by now: the loop ends, although it has nothing to write.
        store.take("env", &Owner { id: "two".into(), ..owner }, &["one".into()]).await.unwrap();
        assert!(task.look_back().await.unwrap_err().contains("taken over"));
    }
}
