//! Logs: to stderr, off unless asked for, text for people or JSON for collectors. Deliberately absent: log files, rotation; stderr belongs to
//! whoever started the process.
//!
//! Whoever reads our stderr may stop reading: lines then wait for a thread of their own, and what is too much is dropped and counted, so that nobody
//! who logs ever stands still. What was logged before the process ends is written by [`flush`].

use crate::cli::limits::{LOG_LAST_WORDS, LOG_LINES};
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The lines of this process.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Starts logging for the process; `RUST_LOG` wins over `verbosity` (0 nothing, 1 information, 2 debugging, 3 everything of ours).
/// A second call changes nothing.
pub fn start(verbosity: u8, format: LogFormat) {
    let default = match verbosity {
        0 => "off",
        1 => "homeostat=info,warn",
        2 => "homeostat=debug,info",
        _ => "homeostat=trace,debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = LINES.get_or_init(|| Lines::start(std::io::stderr(), format)).clone();
    let started = match format {
        LogFormat::Text => {
            let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_target(false);
            registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()
        }
        LogFormat::Json => registry.with(tracing_subscriber::fmt::layer().with_writer(lines).json()).try_init(),
    };
    drop(started); // only a second call fails, and then logging has started
}

/// Waits until what was logged is written, or for as long as a reader may be waited for. Before the process ends.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// Lines on their way to a thread that writes them.
#[derive(Clone)]
struct Lines {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    more: Condvar,
    /// Everything is written.
    none: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// The thread writes one that is no longer among them.
    writes: bool,
    dropped: u64,
}

impl Lines {
    fn start(to: impl Write + Send + 'static, format: LogFormat) -> Self {
        let shared = Arc::new(Shared::default());
        let written = Arc::clone(&shared);
        // Where no thread can be had, nothing can: lines are counted, and nobody waits for them.
        let spawned = std::thread::Builder::new().name("logs".to_owned()).spawn(move || written.write(to, format));
        drop(spawned);
        Self { shared }
    }

    fn flush(&self) {
        let waiting = self.shared.waiting();
        let unwritten = |waiting: &mut Waiting| waiting.writes || !waiting.lines.is_empty();
        drop(self.shared.none.wait_timeout_while(waiting, LOG_LAST_WORDS, unwritten));
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut to: impl Write, format: LogFormat) {
        let mut waiting = self.waiting();
        loop {
            let dropped = std::mem::take(&mut waiting.dropped);
            let line = if dropped > 0 { Some(missed(dropped, format)) } else { waiting.lines.pop_front() };
            waiting.writes = line.is_some();
            let Some(line) = line else {
                self.none.notify_all();
                waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(waiting);
            // Nobody may read it any more, and there is no other place to say so.
            let _ = to.write_all(&line);
            waiting = self.waiting();
        }
    }
}

/// What is written in the place of lines that were dropped.
fn missed(lines: u64, format: LogFormat) -> Vec<u8> {
    match format {
        LogFormat::Text => format!("WARN {lines} lines of this log could not be written in time\n"),
        LogFormat::Json => {
            let fields =
                serde_json::json!({"message": "lines of this log could not be written in time", "lines": lines});
            format!("{}\n", serde_json::json!({"level": "WARN", "fields": fields}))
        }
    }
    .into_bytes()
}

impl Write for &Lines {
    /// Takes one event's line. Never blocks.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut waiting = self.shared.waiting();
        if waiting.lines.len() < LOG_LINES {
            waiting.lines.push_back(line.to_vec());
            self.shared.more.notify_one();
        } else {
            waiting.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc;

    /// Takes lines when somebody asks for them.
    struct Slow(mpsc::SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.send(String::from_utf8(line.to_vec()).unwrap()).unwrap();
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn r14_nobody_who_logs_waits_for_the_reader_and_what_is_dropped_is_counted() {
        let (read, reader) = mpsc::sync_channel(0);
        let lines = Lines::start(Slow(read), LogFormat::Text);
        let all = LOG_LINES + 100;
        for number in 0..all {
            (&lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let (mut read, mut missed) = (0, 0);
        while read + missed < all {
            let line = reader.recv().unwrap();
            match line.strip_prefix("WARN ").and_then(|rest| rest.split(' ').next()) {
                Some(lines) => missed += lines.parse::<usize>().unwrap(),
                None => read += 1,
            }
        }
        assert!((99..=100).contains(&missed), "one may be on its way: {missed}");
        lines.flush();
        assert!(lines.shared.waiting().lines.is_empty());
    }
}
