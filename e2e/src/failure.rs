//! Why a scenario failed.

use std::time::Duration;

/// What a step of a scenario gives.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a scenario failed. Its text is all that a person sees first, so it says what was awaited and what was there instead.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no cluster to talk to.
    #[error("no cluster: {0}; run the scenarios with e2e/run, which brings one up")]
    NoCluster(String),
    /// A call to the API server failed.
    #[error("{doing}")]
    Call {
        /// What was tried.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// A command failed.
    #[error("`{command}` ended with {status}:\n{output}")]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A file or a process could not be handled.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A condition did not come true in time.
    #[error("after {} s still not {what}: {lacking}", deadline.as_secs())]
    Deadline {
        /// What was awaited.
        what: String,
        /// What was there instead.
        lacking: String,
        /// How long it was awaited.
        deadline: Duration,
    },
    /// Something is not as it must be.
    #[error("{0}")]
    Wrong(String),
}

impl Failure {
    /// With its causes, on one line each.
    pub fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}\n  because {error}");
            cause = error.source();
        }
        text
    }
}

/// Fails with these words unless the condition holds.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::Wrong(otherwise())) }
}
