//! The data folder of embedded mode, and the database in it or beside it.

use super::EmbeddedError;
use super::control::Control;
use super::owners::Owners;
use crate::cli::arguments::StateOptions;
use crate::cli::limits::{CONTROL_AT_ONCE, CONTROL_LOOK, DATABASE_CONNECTIONS, HOLDER_PATIENCE};
use crate::cli::output::Output;
use crate::cli::{CliError, suggest};
use crate::core::Name;
use crate::history::postgres::PostgresStore;
use crate::history::private_server::{self, FolderLock, LockError, PrivateServer, ReadersLock};
use crate::history::{HistoryError, Store};
use sqlx::postgres::PgConnectOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

/// History, open.
pub(crate) struct Place {
    /// History.
    pub(crate) store: Arc<dyn Store>,
    /// The data folder.
    pub(crate) folder: PathBuf,
    connections: PostgresStore,
    connect: PgConnectOptions,
    server: Option<PrivateServer>,
    private: bool,
    lock: Option<FolderLock>,
    reads: Option<ReadersLock>,
}

impl Place {
    /// Locks the folder, or makes it if it is new, lets `work` own environments in it, and closes everything whatever came of it.
    pub(crate) async fn owned<T>(
        options: &StateOptions,
        output: Output,
        work: impl AsyncFnOnce(&Self, &Owners) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let lock = lock(options, output, FolderLock::acquire).await?;
        Self::owned_under(lock, options, output, work).await
    }

    /// The same for a process that takes orders of others once everything is open.
    pub(crate) async fn owned_openly<T>(
        options: &StateOptions,
        output: Output,
        work: impl AsyncFnOnce(&Self, &Owners) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let lock = lock(options, output, FolderLock::acquire_to_open).await?;
        Self::owned_under(lock, options, output, work).await
    }

    async fn owned_under<T>(
        lock: FolderLock,
        options: &StateOptions,
        output: Output,
        work: impl AsyncFnOnce(&Self, &Owners) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let (place, owners) = Self::own(lock, options, output).await?;
        let done = work(&place, &owners).await;
        // An owner that ended in disorder may still be recorded as owner: the next run must know its id.
        let disorder = matches!(
            done,
            Err(CliError::Scheduler(_)
                | CliError::History(_)
                | CliError::Embedded(EmbeddedError::ServerEnded { .. } | EmbeddedError::HistoryAway { .. }))
        );
        let left = if disorder { Ok(()) } else { owners.leave() };
        let closed = place.close().await;
        let done = done?;
        left?;
        closed?;
        Ok(done)
    }

    async fn own(lock: FolderLock, options: &StateOptions, output: Output) -> Result<(Self, Owners), EmbeddedError> {
        super::readme::write(&options.data_dir)?;
        let place = Self::open(options, output, Some(lock)).await?;
        match Owners::enter(&place.folder) {
            Ok(owners) => Ok((place, owners)),
            Err(error) => {
                place.close().await?;
                Err(error)
            }
        }
    }

    /// Refuses a data folder in which no environment was ever deployed, before anything is started or written there.
    pub(crate) fn expect_known(options: &StateOptions) -> Result<(), EmbeddedError> {
        if options.database_url.is_some() {
            return Ok(());
        }
        let folder = options.data_dir.clone();
        match folder.join(private_server::DATA).try_exists() {
            Ok(true) => Ok(()),
            Err(source) if source.kind() == ErrorKind::PermissionDenied => {
                Err(EmbeddedError::Unreadable { folder, source })
            }
            Ok(false) | Err(_) => Err(nothing(folder)),
        }
    }

    /// Opens history to read, lets `work` look at it, and closes it whatever came of it.
    pub(crate) async fn visited<T>(
        options: &StateOptions,
        output: Output,
        work: impl AsyncFnOnce(&Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let place = Self::visit(options, output).await?;
        let done = work(&place).await;
        // What goes wrong now no longer concerns what was read.
        if let Err(error) = place.close().await {
            tracing::warn!(%error, "the private database was not stopped");
        }
        done
    }

    /// Opens the folder to read: through the server of the process that holds it, where one does, and which does not end that server meanwhile.
    pub(crate) async fn visit(options: &StateOptions, output: Output) -> Result<Self, EmbeddedError> {
        if options.database_url.is_some() {
            return Self::open(options, output, None).await;
        }
        Self::expect_known(options)?;
        let began = Instant::now();
        loop {
            // One that reads is waited for: its server ends with it, whoever else reads there.
            match lock(options, output, FolderLock::acquire_to_read).await {
                Ok(lock) => return Self::open(options, output, Some(lock)).await,
                Err(EmbeddedError::Lock(LockError::Held { .. })) => {}
                Err(error) => return Err(error),
            }
            // Its server may be starting, or stopping. Whether it can be given orders is no matter here.
            drop(Control::reach(options, output).await);
            let waited = began.elapsed() >= HOLDER_PATIENCE;
            let reads = ReadersLock::share(&options.data_dir)?;
            if reads.is_some() || waited {
                match Self::beside(options).await {
                    Ok(place) => return Ok(Self { reads, ..place }),
                    Err(error) if waited => return Err(error),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(CONTROL_LOOK).await;
        }
    }

    /// Opens the history of a folder that another process holds, through its server.
    pub(crate) async fn beside(options: &StateOptions) -> Result<Self, EmbeddedError> {
        if options.database_url.is_some() {
            return Self::open(options, Output::default(), None).await;
        }
        let options_of_holder = PrivateServer::connect_options_of(&options.data_dir)?;
        Self::connect(options, options_of_holder, "of the process that holds the data folder").await
    }

    async fn open(options: &StateOptions, output: Output, lock: Option<FolderLock>) -> Result<Self, EmbeddedError> {
        if let Some(url) = &options.database_url {
            let connect = PgConnectOptions::from_str(url).map_err(|source| EmbeddedError::Url { source })?;
            let place = Self::connect(options, connect.application_name("homeostat"), "of --database-url").await?;
            return Ok(Self { lock, ..place });
        }
        let server = PrivateServer::start(&options.data_dir, &|text| output.note(text)).await?;
        match Self::connect(options, server.connect_options(), "in the data folder").await {
            Ok(place) => Ok(Self { server: Some(server), lock, ..place }),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }

    async fn connect(options: &StateOptions, connect: PgConnectOptions, which: &str) -> Result<Self, EmbeddedError> {
        let connections = PostgresStore::connect(connect.clone(), DATABASE_CONNECTIONS)
            .await
            .map_err(|source| database(which, source))?;
        let (store, folder) = (Arc::new(connections.clone()), options.data_dir.clone());
        let private = options.database_url.is_none();
        Ok(Self { store, folder, connections, connect, server: None, private, lock: None, reads: None })
    }

    /// The environment that is meant: the one named, else the one of the manifests, else the only one there is.
    pub(crate) async fn environment(
        &self,
        named: Option<&str>,
        declared: Option<&Name>,
    ) -> Result<Name, EmbeddedError> {
        let known = self.store.environments().await.map_err(|source| database("of this data folder", source))?;
        let names: Vec<&str> = known.iter().map(|name| &**name).collect();
        match (named, declared, known.as_slice()) {
            (Some(named), _, _) if names.contains(&named) => Ok(named.into()),
            (Some(named), Some(declared), _) if *named == **declared => Ok(named.into()),
            (Some(named), _, _) => Err(EmbeddedError::NoEnvironment(suggest::unknown(
                "environment",
                named,
                &names,
                &format!("there are: {}", if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }),
            ))),
            (None, Some(declared), _) => Ok(declared.clone()),
            (None, None, [only]) => Ok(only.clone()),
            (None, None, []) => Err(self.nothing()),
            (None, None, _) => Err(EmbeddedError::NoEnvironment(format!(
                "there are several environments: {}\n  name one with --environment",
                names.join(", ")
            ))),
        }
    }

    /// What is to be said where no environment is known.
    pub(crate) fn nothing(&self) -> EmbeddedError {
        if !self.private {
            EmbeddedError::NothingInDatabase
        } else if self.is_held_elsewhere() && FolderLock::opener(&self.folder).is_none() {
            // One that takes orders goes on also after its last environment has ended.
            nothing(self.folder.clone())
        } else {
            EmbeddedError::Nothing { folder: self.folder.clone() }
        }
    }

    /// How to connect to its database.
    pub(crate) fn connect_options(&self) -> PgConnectOptions {
        self.connect.clone()
    }

    /// Whether the database is the one in the data folder.
    pub(crate) fn is_private(&self) -> bool {
        self.private
    }

    /// Whether another process holds the data folder.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        self.private && self.lock.is_none()
    }

    /// Whether somebody may work on the environment now: of a private database its holder, else whoever owns it by its lease.
    pub(crate) async fn is_at_work(&self, environment: &Name) -> Result<bool, HistoryError> {
        if self.private {
            return Ok(self.is_held_elsewhere());
        }
        Ok(self.store.owner(environment).await?.is_some())
    }

    /// The process of the private database, where it is ours.
    pub(crate) fn server_process(&self) -> Option<u32> {
        self.server.as_ref().map(PrivateServer::pid)
    }

    /// Stops the database that was started, then lets the folder go.
    pub(crate) async fn close(self) -> Result<(), EmbeddedError> {
        self.connections.close().await;
        if let Some(server) = self.server {
            server.stop().await?;
        }
        drop((self.lock, self.reads));
        Ok(())
    }
}

/// Locks the folder. A holder that only reads is waited for; any other is named in the error.
async fn lock(
    options: &StateOptions,
    output: Output,
    acquire: fn(&Path) -> Result<FolderLock, LockError>,
) -> Result<FolderLock, EmbeddedError> {
    let (began, mut told) = (Instant::now(), false);
    loop {
        match acquire(&options.data_dir) {
            Err(LockError::Held { folder, holder }) => {
                if began.elapsed() > HOLDER_PATIENCE || !FolderLock::ends_soon(&folder) {
                    return Err(LockError::Held { folder, holder }.into());
                }
                if !told && began.elapsed() > CONTROL_AT_ONCE {
                    told = true;
                    output.note(&format!("waiting for {holder}: it reads {}", folder.display()));
                }
            }
            locked => return Ok(locked?),
        }
        tokio::time::sleep(CONTROL_LOOK).await;
    }
}

/// Whoever works in a folder in which nothing is known is just making something known.
fn nothing(folder: PathBuf) -> EmbeddedError {
    match FolderLock::worker(&folder) {
        Some(holder) => EmbeddedError::BeingSetUp { folder, holder },
        None => EmbeddedError::Nothing { folder },
    }
}

fn database(which: &str, source: HistoryError) -> EmbeddedError {
    EmbeddedError::Database { database: which.to_owned(), source }
}
