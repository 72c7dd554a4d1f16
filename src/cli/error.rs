//! What a command can fail with: what, where, why, and what to do next. Deliberately absent: `Debug` output, backtraces.

use super::Exit;
use super::embedded::EmbeddedError;
use crate::executor::worker::WorkerError;
use crate::history::HistoryError;
use crate::operator::OperatorError;
use crate::scheduler::SchedulerError;

/// A command that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line does not fit what there is.
    #[error("{0}")]
    Usage(String),
    /// A confirmation was needed and not given.
    #[error("{0}")]
    Declined(String),
    /// The manifests cannot be read or have errors.
    #[error("{0}")]
    Manifests(String),
    /// The environment refused the intent.
    #[error("the intent was refused; nothing was accepted\n{0}")]
    Refused(String),
    /// Embedded mode could not start or go on.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The operator cannot run, or had to end.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The executor process ended otherwise than by being told to.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// History said no.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The scheduler ended.
    #[error("{0}")]
    Scheduler(String),
    /// Output could not be written.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    /// A document could not be made JSON or YAML.
    #[error("cannot write the document: {0}")]
    Document(String),
    /// A mistake in this release, not of the user.
    #[error("this is a defect in homeostat, please report it: {0}")]
    Defect(String),
    /// It was tried, and failed on the target.
    #[error("{0}")]
    NotDone(String),
    /// Interrupted before it could be carried out.
    #[error("interrupted")]
    Interrupted,
}

impl CliError {
    /// The exit code it stands for.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Declined(_) => Exit::Usage,
            Self::Manifests(_) | Self::Refused(_) => Exit::Refused,
            Self::Embedded(error) => error.exit(),
            Self::History(HistoryError::Held { .. }) => Exit::Held,
            Self::Operator(_)
            | Self::Worker(_)
            | Self::History(_)
            | Self::Scheduler(_)
            | Self::Output(_)
            | Self::Document(_)
            | Self::Defect(_) => Exit::Infrastructure,
            Self::NotDone(_) => Exit::NotCompliant,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    /// The message with its causes, one per line.
    pub(crate) fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let line = error.to_string();
            if !text.contains(&line) {
                text.push_str("\n  because: ");
                text.push_str(&line);
            }
            cause = error.source();
        }
        text
    }
}

impl From<SchedulerError> for CliError {
    fn from(error: SchedulerError) -> Self {
        match error {
            SchedulerError::History(error) => Self::History(error),
            SchedulerError::Refused(refusals) => Self::Refused(super::refusal::describe(&refusals)),
            ended @ SchedulerError::Ended(_) => Self::Scheduler(ended.to_string()),
        }
    }
}
