//! The last batches that history acknowledged, for a database that turns out to have lost them: they are committed again, as they were.
//!
//! A replica lags behind by moments, so little is kept. What is older than that is lost with the database; then the loop ends, and whoever started it
//! loads what there is and goes on from there.

use super::Committed;
use crate::core::ResourceRow;
use crate::history::{Batch, Fence, HistoryError, Store};
use crate::scheduler::limits::{KEPT_BATCHES, KEPT_RECORDS};
use std::collections::VecDeque;
use std::sync::Arc;

/// Consecutive batches, the newest last.
#[derive(Default)]
pub(super) struct Kept {
    batches: VecDeque<KeptBatch>,
    records: usize,
}

struct KeptBatch {
    number: u64,
    committed: Arc<Committed>,
    rows: Vec<ResourceRow>,
}

impl KeptBatch {
    fn size(&self) -> usize {
        self.committed.records.len() + self.rows.len()
    }
}

impl Kept {
    /// Keeps a batch, whose records are in `committed`.
    pub(super) fn keep(&mut self, number: u64, committed: Arc<Committed>, rows: Vec<ResourceRow>) {
        let batch = KeptBatch { number, committed, rows };
        self.records += batch.size();
        self.batches.push_back(batch);
        while self.batches.len() > KEPT_BATCHES || (self.records > KEPT_RECORDS && self.batches.len() > 1) {
            self.records -= self.batches.pop_front().map_or(0, |batch| batch.size());
        }
    }

    /// The number of the newest batch; `None` where nothing was committed.
    pub(super) fn newest(&self) -> Option<u64> {
        self.batches.back().map(|batch| batch.number)
    }

    /// Whether everything after batch `last` is here.
    pub(super) fn reaches(&self, last: u64) -> bool {
        self.batches.front().is_some_and(|batch| batch.number <= last + 1)
    }

    /// Commits everything after batch `last` again; says how many batches that were.
    pub(super) async fn record_again(
        &self,
        store: &dyn Store,
        fence: &Fence,
        last: u64,
    ) -> Result<usize, HistoryError> {
        let missing = self.batches.iter().filter(|batch| batch.number > last);
        let mut again = 0;
        for KeptBatch { number, committed, rows } in missing {
            let batch = Batch { number: *number, records: committed.records.clone(), rows: rows.clone() };
            store.commit(fence, &batch).await?;
            again += 1;
        }
        Ok(again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Record, RequestId, Timestamp};

    fn batch(records: usize) -> Arc<Committed> {
        let records = vec![Record::RequestDone(RequestId(1), Timestamp(0)); records];
        Arc::new(Committed { records, ..Committed::default() })
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many_or_they_are_too_large() {
        let mut kept = Kept::default();
        for number in 1..=KEPT_BATCHES as u64 + 1 {
            kept.keep(number, batch(1), Vec::new());
        }
        assert_eq!((kept.reaches(0), kept.reaches(1)), (false, true));
        kept.keep(KEPT_BATCHES as u64 + 2, batch(KEPT_RECORDS * 2), Vec::new());
        assert_eq!((kept.batches.len(), kept.newest()), (1, Some(KEPT_BATCHES as u64 + 2)));
    }
}
