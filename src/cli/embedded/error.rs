//! What can keep embedded mode from running.

use crate::cli::Exit;
use crate::executor::EndpointError;
use crate::executor::process::ProcessError;
use crate::history::HistoryError;
use crate::history::private_server::{LockError, ServerError};
use std::path::PathBuf;

/// Why an embedded run did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbeddedError {
    /// The folder is in use, or cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The private server does not run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The database cannot be used.
    #[error(
        "cannot use the database {database}\n  see that its server runs, that the database exists, and that this user may connect to it"
    )]
    Database {
        /// Which one; never with its password.
        database: String,
        /// Why.
        #[source]
        source: HistoryError,
    },
    /// The URL of the database is not one.
    #[error("--database-url is not a PostgreSQL URL, such as postgres://user@host/database")]
    Url {
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The private server ended under the run.
    #[error("the private PostgreSQL has ended during the run; its last words are in {}\n  run the same command again: nothing that was committed is lost", log.display())]
    ServerEnded {
        /// Its log.
        log: PathBuf,
    },
    /// It was waited for until somebody had enough of it.
    #[error(
        "interrupted while history could not be written: {reason}\n  nothing that was committed is lost; make it writable, and run the same command again: it goes on, and runs again what was not recorded"
    )]
    HistoryAway {
        /// What the database said.
        reason: String,
    },
    /// There is nothing to read.
    #[error("no environment is known with --data-dir {}\n  deploy something first: `homeostat deploy -f DIR`, or name another folder", folder.display())]
    Nothing {
        /// Which folder.
        folder: PathBuf,
    },
    /// The same of a database.
    #[error(
        "no environment is known in the database of --database-url\n  deploy something first: `homeostat deploy -f DIR --database-url URL`, or name another database"
    )]
    NothingInDatabase,
    /// There is nothing to read yet.
    #[error("no environment is known yet with --data-dir {}: it is being set up by {holder}\n  ask again when that has begun to deploy", folder.display())]
    BeingSetUp {
        /// Which folder.
        folder: PathBuf,
        /// Who works in it.
        holder: String,
    },
    /// Nobody may say what is there.
    #[error("cannot look into {}\n  run this as the user who owns it, or name another folder with --data-dir", folder.display())]
    Unreadable {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The environment does not exist.
    #[error("{0}")]
    NoEnvironment(String),
    /// A file of the data folder cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process holds the folder, and what is asked is none of what it does for others.
    #[error("{message}")]
    Beside {
        /// Who, what, and what to do.
        message: String,
    },
    /// The control socket cannot be used.
    #[error("cannot use the control socket in {}", folder.display())]
    Control {
        /// Whose.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Executors cannot connect.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An executor process cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No executor could be started.
    #[error(
        "the executors of pool {pool} do not run: {message}\n  with RUST_LOG=info they say more; what was granted to them goes on with the next run"
    )]
    Executors {
        /// Which pool.
        pool: String,
        /// The last words.
        message: String,
    },
}

impl EmbeddedError {
    /// The exit code it stands for.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Lock(LockError::Held { .. }) | Self::Beside { .. } | Self::BeingSetUp { .. } => Exit::Held,
            Self::HistoryAway { .. } => Exit::Interrupted,
            Self::Nothing { .. } | Self::NothingInDatabase | Self::NoEnvironment(_) | Self::Url { .. } => Exit::Usage,
            Self::Lock(_)
            | Self::Server(_)
            | Self::ServerEnded { .. }
            | Self::Database { .. }
            | Self::File { .. }
            | Self::Unreadable { .. }
            | Self::Control { .. }
            | Self::Endpoint(_)
            | Self::Process(_)
            | Self::Executors { .. } => Exit::Infrastructure,
        }
    }
}
