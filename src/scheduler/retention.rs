//! Retention: the owner of an environment drops what it no longer keeps, some rows at a time, once at its start and every hour.
//!
//! Beside the loop, not in it: nothing waits for it but, for the time of one call, the next commit.

use super::{Scheduler, now};
use crate::history::{Fence, HistoryError, Store};
use crate::scheduler::limits::RETENTION_EVERY;
use std::sync::Arc;

/// Ends with the scheduler.
pub(super) fn spawn(scheduler: Scheduler, store: Arc<dyn Store>, fence: Fence) {
    tokio::spawn(async move {
        tokio::select! {
            _ = scheduler.ended() => {}
            () = keep_trimming(&scheduler, &*store, &fence) => {}
        }
    });
}

async fn keep_trimming(scheduler: &Scheduler, store: &dyn Store, fence: &Fence) {
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
                tracing::warn!(environment = %fence.name, %error, "history keeps more than it should; tried again in an hour");
            }
        }
        tokio::time::sleep(RETENTION_EVERY).await;
    }
}
