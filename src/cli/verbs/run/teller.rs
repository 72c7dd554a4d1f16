//! Who tells people and programs what happens: one line each on stdout, written by a thread of its own.
//!
//! Whoever reads our stdout may stop reading: then the thread waits, lines are dropped and counted, and no environment notices.

use super::happening::{Happening, What};
use crate::cli::limits::{TOLD_LAST_WORDS, TOLD_LINES};
use crate::cli::output::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Takes in what happens. Never blocks.
#[derive(Clone)]
pub(super) struct Teller {
    lines: mpsc::Sender<Happening>,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes.
pub(super) struct Telling(JoinHandle<()>);

impl Teller {
    /// Begins to write.
    pub(super) fn start(output: Output) -> (Self, Telling) {
        let (lines, mut waiting) = mpsc::channel::<Happening>(TOLD_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let telling = tokio::task::spawn_blocking(move || {
            while let Some(happening) = waiting.blocking_recv() {
                let missed = counted.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    let text = format!("{missed} lines could not be written in time: `homeostat history --attempts`");
                    write(output, &Happening::of(What::Missed).saying(text));
                }
                write(output, &happening);
            }
        });
        (Self { lines, dropped }, Telling(telling))
    }

    /// Tells something, if there is room for it.
    pub(super) fn tell(&self, happening: Happening) {
        if self.lines.try_send(happening).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Telling {
    /// Waits until everything is written; every teller is gone by then.
    pub(super) async fn end(self) {
        // Whoever does not read has been waited for long enough.
        let _ = tokio::time::timeout(TOLD_LAST_WORDS, self.0).await;
    }
}

fn write(output: Output, happening: &Happening) {
    if output.is_quiet() && !happening.what.is_bad() {
        return;
    }
    if let Err(error) = output.print_line(happening, || happening.text(output.is_wide())) {
        tracing::warn!(error = error.report(), "a line could not be written");
    }
}
