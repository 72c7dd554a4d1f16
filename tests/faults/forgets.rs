//! R8: a database that has forgotten who owns an environment, because the take itself was among the commits that it lost, or all of the environment.
//! `homeostat run` says so, takes it again, and goes on: what its files say is in force, and history is exact from what is left on.

use crate::audit::{self, SUCCEEDED};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::town::ENVIRONMENT;
use crate::{eventually, in_time};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A `homeostat` command with its data in `folder`, through this proxy.
pub(crate) fn homeostat(folder: &Path, proxy: &Proxy, words: &[&str]) -> Command {
    let way = proxy.options(&crate::server::options(Path::new("/")));
    let url = format!("postgres://homeostat@localhost:5432/postgres?host={}", way.get_socket().unwrap().display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(words).args(["--data-dir", "data", "--database-url", &url]).current_dir(folder);
    for variable in ["RUST_LOG", "HOMEOSTAT_DATA_DIR", "HOMEOSTAT_ENVIRONMENT", "HOMEOSTAT_LOG_FORMAT"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Declares one file with this content.
pub(crate) fn declare(folder: &Path, content: &str) {
    declare_in(ENVIRONMENT, folder, content);
}

fn declare_in(environment: &str, folder: &Path, content: &str) {
    let head = "apiVersion: homeostat.dev/v1alpha1";
    let (file, reference) = (folder.join("file"), format!("environmentRef: {{name: {environment}}}"));
    let text = format!(
        "{head}
kind: Environment
metadata: {{name: {environment}}}
spec: {{}}
---
{head}
kind: Target
metadata: {{name: here}}
spec: {{{reference}, connection: {{type: local}}}}
---
{head}
kind: Resource
metadata: {{name: a}}
spec: {{{reference}, type: host.File, targetRef: {{name: here}}, attributes: {{path: {}, content: \"{content}\"}}}}
",
        file.display()
    );
    std::fs::create_dir_all(folder.join("manifests")).unwrap();
    // As an editor saves it: whole or not at all.
    std::fs::write(folder.join("all.yaml"), text).unwrap();
    std::fs::rename(folder.join("all.yaml"), folder.join("manifests/all.yaml")).unwrap();
}

pub(crate) fn content(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("file")).unwrap_or_default()
}

/// A `homeostat run`, and the lines it has said.
pub(crate) struct Running {
    pub(crate) process: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn start(folder: &Path, proxy: &Proxy) -> Self {
        let mut command = homeostat(folder, proxy, &["run", "-f", "manifests"]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(line);
            }
        });
        Self { process, said }
    }

    /// How often a line with this in it was said.
    pub(crate) fn has_said(&self, words: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    /// Waits until it was said so often.
    pub(crate) async fn says(&self, words: &str, times: usize) {
        eventually(words, async || (self.has_said(words) >= times).then_some(())).await;
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        let pid = Pid::from_raw(self.process.id().unwrap() as i32).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let status = in_time("the end of a run", self.process.wait()).await.unwrap();
        assert!(status.success(), "{status} {:?}", self.said.lock().unwrap());
    }
}

/// Runs while a standby that was left behind `forgets` becomes the primary.
async fn run_through_a_failover(forgets_all: bool) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let mut primary = Server::start().await;
    let proxy = Proxy::to(&primary.socket());
    // The tables are there in either case.
    declare_in(if forgets_all { "other" } else { ENVIRONMENT }, folder, "one");
    let deployed = homeostat(folder, &proxy, &["deploy", "-f", "manifests"]).output();
    assert!(in_time("a deploy", deployed).await.unwrap().status.success());
    declare(folder, "one");
    let mut replica = Server::replica_of(&primary).await;
    replica.stop_following().await;
    let running = Running::start(folder, &proxy);
    running.says("started", 1).await;
    declare(folder, "two");
    eventually("the second content", async || (content(folder) == "two").then_some(())).await;
    primary.end(Signal::KILL).await;
    replica.promote().await;
    proxy.lead_to(&replica.socket());
    // Something to record: only then, or after a while of silence, the loss can be noticed.
    declare(folder, "three");
    running.says("tried again in", 1).await;
    running.says("started", 2).await;
    eventually("the third content", async || (content(folder) == "three").then_some(())).await;
    declare(folder, "four");
    eventually("the fourth content", async || (content(folder) == "four").then_some(())).await;
    running.stop().await;
    let history = audit::history(&replica.options(), ENVIRONMENT, true).await;
    assert!(history.count(SUCCEEDED) >= 2, "{history:?}");
    replica.end(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_a_run_whose_take_was_lost_takes_again_and_goes_on() {
    run_through_a_failover(false).await;
}

/// Its tables are gone: waiting would not bring them back. It says what is wrong, and the next process begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_run_whose_tables_were_dropped_says_so_and_can_be_started_again() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let server = Server::start().await;
    let proxy = Proxy::to(&server.socket());
    declare(folder, "one");
    let running = Running::start(folder, &proxy);
    running.says("created", 1).await;
    server.execute(&["DROP SCHEMA homeostat CASCADE"]).await;
    declare(folder, "two");
    running.says("they were dropped, or this is another database", 1).await;
    running.stop().await;
    let running = Running::start(folder, &proxy);
    eventually("the second content", async || (content(folder) == "two").then_some(())).await;
    running.stop().await;
    assert_eq!(audit::history(&server.options(), ENVIRONMENT, true).await.messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_a_run_whose_environment_was_lost_as_a_whole_makes_it_again() {
    run_through_a_failover(true).await;
}
