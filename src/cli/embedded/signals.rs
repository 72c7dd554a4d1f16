//! Ctrl-C and SIGTERM: the first asks to stop in order, the second stops at once.
//!
//! Stopping at once is safe: executors end with our end of the stream, the private database with us, and the next run closes what was granted.

use crate::cli::Exit;
use crate::cli::output::tell;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Both signals, from now on caught. A copy hears of the same signals: they are caught once per process.
#[derive(Clone)]
pub(crate) struct Signals {
    received: watch::Receiver<bool>,
    _catching: Arc<Catching>,
}

/// Ends with the last copy.
struct Catching(JoinHandle<()>);

impl Signals {
    /// Catches them.
    pub(crate) fn catch() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, received) = watch::channel(false);
        let catching = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if sender.send_replace(true) {
                    tell("stopping at once; what runs is closed as lost, and made good by the next run");
                    crate::telemetry::flush();
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
            }
        });
        Ok(Self { received, _catching: Arc::new(Catching(catching)) })
    }

    /// Waits for the first one, also where it came before.
    pub(crate) async fn first(&mut self) {
        if self.received.wait_for(|received| *received).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Catching {
    fn drop(&mut self) {
        self.0.abort();
    }
}
