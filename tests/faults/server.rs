//! PostgreSQL servers that a test stops, kills, freezes, copies and starts again. Each has a data folder of its own, a copy of one that is
//! initialised once, and listens on a unix socket; it ends with the test.

use crate::disk::SmallDisk;
use crate::{eventually, in_time};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{OnceCell, oneshot};

/// The superuser of every server here.
const USER: &str = "homeostat";

pub(crate) struct Server {
    folder: TempDir,
    process: Option<Process>,
    more: Vec<String>,
    disk: Option<SmallDisk>,
}

pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) ended: oneshot::Receiver<()>,
}

impl Server {
    /// A new, empty server.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        copy(template(), &folder.path().join("data"));
        let mut server = Self { folder, process: None, more: Vec::new(), disk: None };
        server.restart().await;
        server
    }

    /// The same, with its data on a disk that can be filled; `None` where this machine lets nobody but root mount one.
    pub(crate) async fn start_on_small_disk() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let disk = SmallDisk::mount(&folder.path().join("data"), &folder.path().join("log")).await?;
        disk.run(&["cp", "-a", &format!("{}/.", template().display()), folder.path().join("data").to_str().unwrap()]);
        let mut server = Self { folder, process: None, more: Vec::new(), disk: Some(disk) };
        server.restart().await;
        Some(server)
    }

    pub(crate) fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().unwrap()
    }

    /// How often this is in its log.
    pub(crate) fn has_said(&self, words: &str) -> usize {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap().matches(words).count()
    }

    /// Waits until it answers again; starts it, should it have ended.
    pub(crate) async fn revive(&mut self) {
        let options = self.options();
        let answers = async || match PgConnection::connect_with(&options).await {
            Ok(connection) => connection.close().await.ok(),
            Err(_) => None,
        };
        while in_time("the end of a server, or its answer", answers()).await.is_none() {
            if self.process.as_mut().unwrap().ended.try_recv().is_ok() {
                return self.restart().await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A standby of `primary`, as it is now; it follows from then on.
    pub(crate) async fn replica_of(primary: &Self) -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = unprivileged("pg_basebackup");
        command.arg("--pgdata").arg(folder.path().join("data")).arg("--host").arg(primary.socket_folder());
        command.args(["--username", USER, "--checkpoint", "fast", "--write-recovery-conf", "--no-sync"]);
        run(command);
        let mut server = Self { folder, process: None, more: Vec::new(), disk: None };
        server.restart().await;
        server
    }

    /// Starts it, ended however it is, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        let mut command = match &self.disk {
            Some(disk) => disk.inside(&unprivileged("postgres")),
            None => unprivileged("postgres"),
        };
        command.arg("-D").arg(self.data());
        for setting in [
            "listen_addresses=",
            "unix_socket_permissions=0700",
            "max_connections=100",
            "wal_level=replica",
            "max_wal_senders=4",
            "hot_standby=on",
            "shared_buffers=16MB",
            "jit=off",
            "timezone=UTC",
            "log_timezone=UTC",
        ] {
            command.args(["-c", setting]);
        }
        command.arg("-c").arg(format!("unix_socket_directories={}", self.socket_folder().display()));
        for setting in &self.more {
            command.args(["-c", setting]);
        }
        let pid_file = self.data().join("postmaster.pid");
        match &self.disk {
            Some(disk) => disk.run(&["rm", "-f", pid_file.to_str().unwrap()]),
            None => drop(std::fs::remove_file(pid_file)),
        }
        self.process = Some(spawn(command, &self.folder.path().join("log")));
        self.answers().await;
    }

    /// Starts it with one more setting from now on.
    pub(crate) async fn restart_with(&mut self, setting: &str) {
        self.more.push(setting.to_owned());
        self.restart().await;
    }

    async fn answers(&mut self) {
        let log = self.folder.path().join("log");
        let options = self.options();
        let answer = async {
            loop {
                if let Ok(connection) = PgConnection::connect_with(&options).await {
                    return drop(connection.close().await);
                }
                let process = self.process.as_mut().unwrap();
                let ended = tokio::time::timeout(Duration::from_millis(20), &mut process.ended).await.is_ok();
                assert!(!ended, "the server does not start: {}", std::fs::read_to_string(&log).unwrap());
            }
        };
        in_time("a server that answers", answer).await;
    }

    /// Stops it: `INT` with a checkpoint, `QUIT` at once, `KILL` as a power cut would. Ended already is fine.
    pub(crate) async fn end(&mut self, signal: Signal) {
        let Some(process) = self.process.take() else { return };
        if signal == Signal::KILL {
            // Stopped first, so that no process is born meanwhile; the next server refuses to start while one of them lives.
            let _ = kill_process(process.pid, Signal::STOP);
            let backends = children(process.pid);
            let _ = kill_process(process.pid, signal);
            for backend in &backends {
                let _ = kill_process(*backend, signal);
            }
            let ended = async || backends.iter().all(|backend| has_ended(*backend)).then_some(());
            eventually("the end of a server's processes", ended).await;
        } else {
            let _ = kill_process(process.pid, signal);
        }
        in_time("the end of a server", process.ended).await.unwrap();
    }

    /// A standby hears nothing more of its primary.
    pub(crate) async fn stop_following(&self) {
        self.execute(&["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"]).await;
        let deaf = "SELECT count(*) = 0 FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        eventually("a standby that does not follow", async || self.ask::<bool>(deaf).await.then_some(())).await;
    }

    /// Stops all its processes in their tracks, or lets them go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let postmaster = self.process.as_ref().unwrap().pid;
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        // The postmaster first, so that no process is born meanwhile.
        kill_process(postmaster, signal).unwrap();
        for backend in children(postmaster) {
            let _ = kill_process(backend, signal);
        }
    }

    /// Makes a standby a primary.
    pub(crate) async fn promote(&self) {
        assert!(self.ask::<bool>("SELECT pg_promote(true, 100)").await);
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        options(&self.socket_folder())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket_folder().join(".s.PGSQL.5432")
    }

    fn socket_folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs statements one by one, as the superuser.
    pub(crate) async fn execute(&self, statements: &[&str]) {
        let mut connection = PgConnection::connect_with(&self.options()).await.unwrap();
        for statement in statements {
            connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    /// The only value of a query.
    pub(crate) async fn ask<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = PgConnection::connect_with(&self.options()).await.unwrap();
        let answer = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        answer
    }
}

impl Drop for Server {
    /// The folder is removed with everything in it, so nothing need be saved.
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            let _ = kill_process(process.pid, Signal::QUIT);
        }
    }
}

/// How to connect to a server, or a proxy, that listens in this folder.
pub(crate) fn options(socket_folder: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_folder)
        .port(5432)
        .username(USER)
        .database("postgres")
        .application_name("homeostat")
}

/// An empty database on a server that all tests of this process share, for those that disturb only the way to it.
pub(crate) async fn shared_database() -> PgConnectOptions {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let server = SERVER
        .get_or_init(|| async {
            // Its runtime ends with the first test that asks for it; a thread of its own keeps it.
            let (done, server) = oneshot::channel();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let _ = done.send(Server::start().await);
                    std::future::pending::<()>().await;
                });
            });
            server.await.unwrap()
        })
        .await;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server.execute(&[&format!("CREATE DATABASE {name}")]).await;
    server.options().database(&name)
}

/// A data folder that is initialised once, and kept for the next run.
pub(crate) fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let version = Command::new(bin().join("postgres")).arg("--version").output().unwrap().stdout;
        let major: String = String::from_utf8(version).unwrap().chars().filter(char::is_ascii_digit).take(2).collect();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{major}"));
        if !folder.exists() {
            let new = folder.with_extension(std::process::id().to_string());
            let mut command = unprivileged("initdb");
            command.arg("--pgdata").arg(&new).args(["--username", USER, "--auth", "trust", "--encoding", "UTF8"]);
            command.args(["--locale", "C", "--wal-segsize", "1", "--no-sync", "--no-instructions"]);
            run(command);
            // Another process may have been faster; then its folder stays.
            if std::fs::rename(&new, &folder).is_err() {
                std::fs::remove_dir_all(&new).unwrap();
            }
        }
        folder
    })
}

pub(crate) fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    run(command);
}

/// Where the server's programs are.
pub(crate) fn bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("HOMEOSTAT_POSTGRES_BIN") {
        return bin.into();
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = debian.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    newest.unwrap_or_else(|| {
        let output = Command::new("pg_config").arg("--bindir").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}

/// A program of the server's, which refuses to be root; it is killed when the thread that starts it ends.
fn unprivileged(program: &str) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--map-group=1000", "--", "setpriv"]);
        command
    } else {
        Command::new("setpriv")
    };
    command.args(["--pdeathsig", "KILL", "--"]).arg(bin().join(program));
    command.env("LC_ALL", "C").stdin(Stdio::null()).process_group(0).current_dir("/");
    command
}

pub(crate) fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts it from a thread that waits for its end: the signal at our death belongs to the thread.
pub(crate) fn spawn(mut command: Command, log: &Path) -> Process {
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let (started, pid) = std::sync::mpsc::channel();
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let mut child = command.spawn().unwrap();
        started.send(Pid::from_child(&child)).unwrap();
        child.wait().unwrap();
        let _ = end.send(());
    });
    Process { pid: pid.recv().unwrap(), ended }
}

/// It is no more, or nobody has asked yet how it ended.
fn has_ended(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('Z'))
}

/// The children of a process.
pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().to_string();
    let of_parent = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // pid (name, which may contain anything) state ppid …
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&*parent)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(of_parent).filter_map(Pid::from_raw).collect()
}
