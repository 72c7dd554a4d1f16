//! The private server for real: initialised, used, killed and found again.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use futures::FutureExt;
use rustix::process::Pid;
use sqlx::{Connection, PgConnection, Row};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

const FOLDER_OF_CHILD: &str = "HOMEOSTAT_TEST_CHILD_FOLDER";

async fn started(folder: &Path) -> PrivateServer {
    PrivateServer::start(folder, &|_| {}).await.unwrap()
}

async fn execute(server: &PrivateServer, sql: &'static str) {
    let mut connection = PgConnection::connect_with(&server.connect_options()).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn count(server: &PrivateServer) -> i64 {
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::query("SELECT count(*) FROM kept").fetch_one(&mut connection).await.unwrap().get(0)
}

/// Awaits that a process is gone, with a deadline.
async fn gone(pid: u32) {
    let is_gone = async {
        while Path::new(&format!("/proc/{pid}/cwd")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_gone)
        .await
        .unwrap_or_else(|_| panic!("process {pid} is still there"));
}

/// What it acknowledges survives a power cut, whatever the configuration in its folder says: nobody's promises hold without.
#[tokio::test]
async fn what_makes_a_commit_durable_is_not_to_be_configured() {
    const DURABLE: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];
    let folder = tempfile::tempdir().unwrap();
    started(folder.path()).await.stop().await.unwrap();
    let file = folder.path().join("postgres/postgresql.conf");
    let careless = DURABLE.map(|name| format!("{name} = off\n")).concat();
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &careless).unwrap();
    let server = started(folder.path()).await;
    let mut connection = PgConnection::connect_with(&server.connect_options()).await.unwrap();
    for name in DURABLE {
        let query = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
        let setting: String = query.fetch_one(&mut connection).await.unwrap();
        assert_eq!(setting, "on", "{name}");
    }
    connection.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_deep_folder_with_spaces_keeps_its_data_between_runs() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("a \"deep\" folder, with spaces").join("d".repeat(90)).join("deploy");
    let said = Mutex::new(Vec::new());
    let server = PrivateServer::start(&folder, &|message| said.lock().unwrap().push(message.to_owned())).await.unwrap();
    assert!(
        said.lock().unwrap().iter().any(|message| message.starts_with("initialising the private PostgreSQL")),
        "{said:?}"
    );
    execute(&server, "CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES").await;
    let pid = server.pid();
    server.stop().await.unwrap();
    gone(pid).await;

    said.lock().unwrap().clear();
    let server = PrivateServer::start(&folder, &|message| said.lock().unwrap().push(message.to_owned())).await.unwrap();
    assert_eq!(*said.lock().unwrap(), Vec::<String>::new());
    assert_eq!(count(&server).await, 1);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_recovers_and_a_leftover_one_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path()).await;
    execute(&server, "CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES").await;
    let killed = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    rustix::process::kill_process(killed, Signal::KILL).unwrap();

    let leftover = started(folder.path()).await;
    execute(&leftover, "INSERT INTO kept DEFAULT VALUES").await;

    // As another process would: the first server still runs and nobody told it to stop.
    let server = started(folder.path()).await;
    gone(leftover.pid()).await;
    assert_eq!(count(&server).await, 2);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_that_belongs_to_somebody_else_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    started(folder.path()).await.stop().await.unwrap();
    let pid_file = folder.path().join("postgres/postmaster.pid");
    std::fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
    let lock = socket::folder_for(folder.path()).unwrap().join(format!(".s.PGSQL.{}.lock", socket::PORT));
    std::fs::write(&lock, format!("{}\n", std::process::id())).unwrap();
    started(folder.path()).await.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_ends_when_its_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["history::private_server::tests::outside_its_parent_test_this_does_nothing", "--exact", "--nocapture"])
        .env(FOLDER_OF_CHILD, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid: u32 =
        lines.find_map(|line| line.unwrap().strip_prefix("server ").map(|pid| pid.parse().unwrap())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The next run need not wait for the end of the last one's server, and finds what it committed.
    let server = started(folder.path()).await;
    gone(pid).await;
    assert_eq!(count(&server).await, 1);
    server.stop().await.unwrap();
}

/// The process that [`the_server_ends_when_its_process_is_killed`] kills.
#[tokio::test]
async fn outside_its_parent_test_this_does_nothing() {
    let Some(folder) = std::env::var_os(FOLDER_OF_CHILD) else { return };
    let server = started(Path::new(&folder)).await;
    execute(&server, "CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES").await;
    println!("\nserver {}", server.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn errors_carry_the_servers_last_words() {
    let folder = tempfile::tempdir().unwrap();
    started(folder.path()).await.stop().await.unwrap();
    std::fs::write(folder.path().join("postgres/postgresql.conf"), "no_such_setting = on\n").unwrap();
    let error = PrivateServer::start(folder.path(), &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("no_such_setting") && error.contains("postgres.log"), "{error}");
}

#[tokio::test]
async fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("postgres")).unwrap();
    let error = PrivateServer::start(folder.path(), &|_| {}).await.unwrap_err();
    assert!(matches!(error, ServerError::NotADataFolder { .. }), "{error}");
}

#[tokio::test]
async fn where_no_server_was_ever_made_nobody_reads_and_nobody_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ReadersLock::share(folder.path()).unwrap().is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let outwaited = ReadersLock::outwait(folder.path()).now_or_never();
    assert!(matches!(outwaited, Some(Err(ServerError::Folder { .. }))), "at once");
}

#[tokio::test]
async fn a_server_is_not_stopped_under_those_who_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = started(folder.path()).await;
    execute(&server, "CREATE TABLE kept (); INSERT INTO kept DEFAULT VALUES").await;
    let share = || ReadersLock::share(folder.path()).unwrap();
    let reader = share().unwrap();
    let (options, mut stopped) = (server.connect_options(), Box::pin(server.stop()));
    for _ in 0..50 {
        assert!((&mut stopped).now_or_never().is_none());
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::query("SELECT FROM kept").fetch_one(&mut connection).await.unwrap();
    }
    drop(reader);
    let stops = ReadersLock::outwait(folder.path()).await.unwrap();
    assert!(share().is_none(), "who begins to read now does so beside the next server");
    drop(stops);
    stopped.await.unwrap();
    assert!(share().is_some());
}
