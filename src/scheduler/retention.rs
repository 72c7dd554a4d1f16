//! Retention: the owner of an environment drops what it no longer keeps, some rows at a time, once at its start, every hour, and when it is told to.
//!
//! Beside the loop, not in it: nothing waits for it but, for the time of one call, the next commit.

use super::{Scheduler, now};
use crate::history::{Fence, HistoryError, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Whoever wants to know that what is no longer kept has been dropped.
pub(super) type Asked = oneshot::Sender<()>;

/// Ends with the scheduler.
pub(super) fn spawn(
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    fence: Fence,
    asked: mpsc::Receiver<Asked>,
    every: Duration,
) {
    tokio::spawn(async move {
        tokio::select! {
            _ = scheduler.ended() => {}
            () = keep_trimming(&scheduler, &*store, &fence, asked, every) => {}
        }
    });
}

async fn keep_trimming(
    scheduler: &Scheduler,
    store: &dyn Store,
    fence: &Fence,
    mut asked: mpsc::Receiver<Asked>,
    every: Duration,
) {
    let mut asks: Option<Asked> = None;
    loop {
        let Ok(retention) = scheduler.read(|state| state.settings().retention).await else { return };
        let mut dropped = 0;
        let end = loop {
            match store.trim(fence, retention, now()).await {
                Ok(0) => break Ok(()),
                Ok(some) => dropped += some,
                Err(error) => break Err(error),
            }
        };
        if dropped > 0 {
            tracing::info!(environment = %fence.name, rows = dropped, "dropped from history what is no longer kept");
        }
        match end {
            Ok(()) => {}
            // The loop hears of it at its next commit.
            Err(HistoryError::Fenced { .. }) => return,
            Err(error) => {
                tracing::warn!(environment = %fence.name, %error, "history keeps more than it should; tried again at the next look");
            }
        }
        if let Some(asks) = asks.take() {
            // Who asked may wait no longer.
            let _ = asks.send(());
        }
        asks = tokio::time::timeout(every, asked.recv()).await.ok().flatten();
    }
}
