//! Logs: to stderr, off unless asked for, text for people or JSON for collectors. Deliberately absent: log files, rotation; stderr belongs to
//! whoever started the process.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
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
    let started = match format {
        LogFormat::Text => {
            let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
            registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()
        }
        LogFormat::Json => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).json()).try_init()
        }
    };
    drop(started); // only a second call fails, and then logging has started
}
