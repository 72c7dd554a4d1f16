//! A private PostgreSQL for embedded mode: initialised, started and stopped by this process from the server that is installed on the machine.
//!
//! It listens on a unix socket in a folder that only its user may enter, so it needs no password and no port. Its life is tied to ours: it is
//! asked to stop when we stop, and the kernel asks it when we die without saying so (`setpriv --pdeathsig`). A server that outlived an earlier
//! process all the same is *stopped, not adopted*: an adopted one may be about to stop, and would die with somebody else.
//! It never runs as root: root starts it in a user namespace, where it can still enter every folder.
//!
//! Deliberately absent: downloading a server, upgrading a data folder to another major version, tuning (`postgres/postgresql.conf` is the user's).

mod error;
mod folder_lock;
mod installation;
mod process;
mod readers;
mod socket;
#[cfg(test)]
mod tests;

pub use error::ServerError;
pub use folder_lock::{FolderLock, LockError};
pub use readers::ReadersLock;

use super::limits;
use installation::Installation;
use process::Process;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::time::Instant;

/// The database superuser, and the database, of a private server. Nobody else is on it.
const USER: &str = "homeostat";
const DATABASE: &str = "postgres";
/// The folder of its data, in the folder it is started for.
pub(crate) const DATA: &str = "postgres";
/// Where a new one grows until it is complete.
const UNFINISHED_PREFIX: &str = "postgres.new-";

/// Who is told what goes on, for people.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A running private PostgreSQL.
#[derive(Debug)]
pub struct PrivateServer {
    process: Process,
    folder: PathBuf,
    socket_folder: PathBuf,
}

impl PrivateServer {
    /// Starts the server of `folder` (its data is in `folder/postgres`, its log in `folder/postgres.log`); initialises it first where it is new.
    /// The caller holds the folder's [`FolderLock`] as long as the server runs.
    ///
    /// # Errors
    /// No server on the machine, a data folder of another major version, a server that does not start (its last words are in the error).
    pub async fn start(folder: &Path, on_progress: Progress<'_>) -> Result<Self, ServerError> {
        fs::create_dir_all(folder).map_err(|source| ServerError::Folder { path: folder.to_owned(), source })?;
        let folder =
            &folder.canonicalize().map_err(|source| ServerError::Folder { path: folder.to_owned(), source })?;
        let data = folder.join(DATA);
        let installation = Installation::find(data_version(&data)?)?;
        if data.exists() {
            process::stop_leftover(&data, on_progress).await?;
            socket::remove_leftover(&socket::folder_for(folder)?)?;
        } else {
            initialise(&installation, folder, &data, on_progress).await?;
        }
        let socket_folder = socket::folder_for(folder)?;
        let log = folder.join("postgres.log");
        let process = Process::spawn(server_command(&installation, &data, &socket_folder), &log)?;
        let mut server = Self { process, folder: folder.clone(), socket_folder };
        server.await_ready(&data, &log, on_progress).await?;
        Ok(server)
    }

    /// How to connect to it.
    pub fn connect_options(&self) -> sqlx::postgres::PgConnectOptions {
        connect_options(&self.socket_folder)
    }

    /// How to connect to the server of a folder that another process holds, and runs it for: to read. It stops when its process does.
    ///
    /// # Errors
    /// The folder cannot be found.
    pub fn connect_options_of(folder: &Path) -> Result<sqlx::postgres::PgConnectOptions, ServerError> {
        let folder = folder.canonicalize().map_err(|source| ServerError::Folder { path: folder.to_owned(), source })?;
        Ok(connect_options(&socket::folder_for(&folder)?))
    }

    /// How to connect to it, as a URL that `psql` understands too.
    pub fn url(&self) -> String {
        socket::url(&self.socket_folder, USER, DATABASE)
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it with a checkpoint, once those who read there have ended, and awaits its end.
    ///
    /// # Errors
    /// It does not end, not even when told to stop at once.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        let nobody_reads = ReadersLock::outwait(&self.folder).await;
        match &nobody_reads {
            Ok(Some(_)) => {}
            Ok(None) => tracing::warn!("the private PostgreSQL is stopped under somebody who still reads there"),
            Err(error) => {
                tracing::warn!(%error, "the private PostgreSQL is stopped without waiting for those who read there");
            }
        }
        for (signal, patience) in [(Signal::INT, limits::FAST_STOP), (Signal::QUIT, limits::IMMEDIATE_STOP)] {
            self.process.signal(signal);
            if tokio::time::timeout(patience, self.process.ended()).await.is_ok() {
                let _ = fs::remove_dir(&self.socket_folder); // tidiness: the next run makes it again, or uses it as it is
                return Ok(());
            }
        }
        Err(ServerError::WillNotStop { pid: self.process.pid() })
    }

    async fn await_ready(&mut self, data: &Path, log: &Path, on_progress: Progress<'_>) -> Result<(), ServerError> {
        let began = Instant::now();
        let mut told = began;
        while !process::is_ready(data, self.process.pid()) {
            if tokio::time::timeout(limits::SERVER_POLL, self.process.ended()).await.is_ok() {
                return Err(ServerError::DidNotStart { log: log.to_owned(), last_words: self.process.last_words(log) });
            }
            if told.elapsed() > limits::SERVER_STILL_STARTING {
                told = Instant::now();
                on_progress("the private PostgreSQL is still starting: it recovers what an earlier stop left");
            }
            if began.elapsed() > limits::SERVER_START {
                return Err(ServerError::DidNotStart {
                    log: log.to_owned(),
                    last_words: "it is still not ready".into(),
                });
            }
        }
        Ok(())
    }
}

fn connect_options(socket_folder: &Path) -> sqlx::postgres::PgConnectOptions {
    sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(socket_folder)
        .port(socket::PORT)
        .username(USER)
        .database(DATABASE)
        .application_name("homeostat")
}

/// The major version that wrote a data folder, where there is one.
fn data_version(data: &Path) -> Result<Option<u32>, ServerError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(ServerError::NotADataFolder { path: data.to_owned() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !data.exists() => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ServerError::NotADataFolder { path: data.to_owned() })
        }
        Err(source) => Err(ServerError::Folder { path, source }),
    }
}

/// Makes a new data folder beside its place and moves it there when it is complete, so that an interrupted one is never taken for whole.
async fn initialise(
    installation: &Installation,
    folder: &Path,
    data: &Path,
    on_progress: Progress<'_>,
) -> Result<(), ServerError> {
    on_progress(&format!("initialising the private PostgreSQL {} in {}", installation.major, folder.display()));
    let in_folder = |source| ServerError::Folder { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(in_folder)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED_PREFIX) {
            fs::remove_dir_all(entry.path()).map_err(in_folder)?;
        }
    }
    let unfinished = folder.join(format!("{UNFINISHED_PREFIX}{}", std::process::id()));
    let mut command = process::unprivileged("KILL", &installation.program("initdb"));
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .args([
            "--username",
            USER,
            "--auth-local",
            "trust",
            "--auth-host",
            "reject",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ])
        .args(["--no-instructions"]);
    process::run(command).await?;
    fs::rename(&unfinished, data).map_err(in_folder)?;
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(in_folder)
}

/// What is set here is ours to guarantee; everything else is in the data folder's own configuration.
fn server_command(installation: &Installation, data: &Path, socket_folder: &Path) -> Command {
    let quoted_socket_folder = socket_folder.to_string_lossy().replace('"', "\"\"");
    let mut command = process::unprivileged("INT", &installation.program("postgres"));
    command.arg("-D").arg(data).args(["-p", &socket::PORT.to_string()]);
    for setting in [
        "listen_addresses=",
        &format!("unix_socket_directories=\"{quoted_socket_folder}\""),
        "unix_socket_permissions=0700",
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "logging_collector=off",
        "log_destination=stderr",
        "timezone=UTC",
        "log_timezone=UTC",
        // One user, a handful of connections, nobody to replicate to: leave the machine to the user's work.
        "max_connections=40",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_replication_slots=0",
        "jit=off",
    ] {
        command.args(["-c", setting]);
    }
    command
}
