//! What can go wrong with the private server, and what to do about it.

use super::limits;
use std::path::PathBuf;

/// Why the private server does not run, or does not stop.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nothing to run.
    #[error(
        "no PostgreSQL server of version {} or newer was found on this machine (looked in {looked_in}); install one \
         (`apt-get install postgresql`), name its folder of programs in {}, or use a running server with --database-url",
        limits::OLDEST_POSTGRES,
        super::installation::OVERRIDE
    )]
    NotInstalled {
        /// Where was looked.
        looked_in: String,
    },
    /// The data was written by a version that is not installed.
    #[error(
        "the data in this folder was written by PostgreSQL {needed}, and only {found} is installed; install that version \
         (`apt-get install postgresql-{needed}`), or move the data with `pg_upgrade`"
    )]
    OtherVersion {
        /// The major version that wrote it.
        needed: u32,
        /// What is installed.
        found: String,
    },
    /// Something else is in its place.
    #[error("{} is not a PostgreSQL data folder; move it away, or use another folder with --data-dir", path.display())]
    NotADataFolder {
        /// Which folder.
        path: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("cannot use {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The folder for the socket belongs to somebody else.
    #[error("the folder for the server's socket, {}, is not a folder that only this user may enter; remove it, or set XDG_RUNTIME_DIR", path.display())]
    SocketFolder {
        /// Which folder.
        path: PathBuf,
    },
    /// A program cannot be started.
    #[error("cannot start {program}; it belongs to the package {package}")]
    Spawn {
        /// Which one.
        program: String,
        /// Where it comes from on Debian.
        package: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed: {last_words}{}", advice(last_words))]
    Failed {
        /// Which one.
        program: String,
        /// What it said.
        last_words: String,
    },
    /// The server ended instead of accepting connections.
    #[error("the private PostgreSQL did not start; its log is {}, and ends so:\n    {}{}", log.display(), last_words.replace('\n', "\n    "), advice(last_words))]
    DidNotStart {
        /// Its log.
        log: PathBuf,
        /// The log's end.
        last_words: String,
    },
    /// It goes on whatever it is told.
    #[error(
        "the private PostgreSQL, process {pid}, does not stop; end it (`kill -9 {pid}`) and try again, nothing committed is lost"
    )]
    WillNotStop {
        /// Its process id.
        pid: u32,
    },
}

/// What helps where the message does not say it: where the user namespace is refused, and where the disk is full.
fn advice(last_words: &str) -> &'static str {
    if last_words.contains("unshare:") {
        "; PostgreSQL refuses to run as root and this machine allows no user namespace: run as another user, or use a running server with --database-url"
    } else if last_words.contains("No space left on device") {
        "\n  make room on the disk of the data folder, and run the same command again: nothing that was committed is lost"
    } else {
        ""
    }
}
