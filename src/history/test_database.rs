//! A real PostgreSQL for tests: one private server per test process, a database per test.
//!
//! The server's folder is in the target folder; test processes that run at once take one slot each. It begins anew each time: to initialise it takes a
//! second or two, to drop the hundred databases of the last run, each with a checkpoint, many times that.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::postgres::PostgresStore;
use super::private_server::{FolderLock, PrivateServer};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

static SERVER: OnceCell<(PrivateServer, FolderLock)> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A new, empty database.
pub(crate) async fn empty_database() -> PgConnectOptions {
    let (server, _) = SERVER.get_or_init(start).await;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect_with(&server.connect_options()).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    connection.close().await.unwrap();
    server.connect_options().database(&name)
}

/// A connection to a database of its own that holds a history, and nothing in it.
pub(crate) async fn empty_history() -> PgConnection {
    let options = empty_database().await;
    PostgresStore::connect(options.clone(), 1).await.unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    connection.execute("SET search_path = homeostat").await.unwrap();
    connection
}

/// A store in a database of its own.
pub(crate) async fn store() -> PostgresStore {
    PostgresStore::connect(empty_database().await, 4).await.unwrap()
}

async fn start() -> (PrivateServer, FolderLock) {
    let program = std::env::current_exe().unwrap();
    let target = program.parent().and_then(std::path::Path::parent).unwrap().join("test-postgres");
    let mut slots = (0..16).map(|slot| target.join(slot.to_string()));
    let (folder, lock) = slots.find_map(|folder| FolderLock::acquire(&folder).ok().map(|lock| (folder, lock))).unwrap();
    match std::fs::remove_dir_all(folder.join("postgres")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
        _ => {}
    }
    (PrivateServer::start(&folder, &|_| {}).await.unwrap(), lock)
}
