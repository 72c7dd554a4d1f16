//! A6: what the command says while its database is away, and what the first Ctrl-C does then.

use crate::forgets::{Running, content, declare, homeostat};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::{eventually, gate, in_time};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

/// A folder, and the way to a database that may go away.
struct Scene {
    folder: TempDir,
    server: Server,
    proxy: Proxy,
}

impl Scene {
    async fn start() -> Self {
        let server = Server::start().await;
        let proxy = Proxy::to(&server.socket());
        Self { folder: TempDir::new().unwrap(), server, proxy }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A deploy whose database has ended before it could record what was done, and which has said so.
    async fn deploy_that_cannot_record(&mut self) -> Child {
        std::fs::create_dir(self.folder().join("manifests")).unwrap();
        std::fs::write(self.folder().join("manifests/all.yaml"), gate::manifests(self.folder())).unwrap();
        let mut command = homeostat(self.folder(), &self.proxy, &["deploy", "-f", "manifests"]);
        let mut deploy = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        gate::written(self.folder(), "begun", 1).await;
        self.server.end(Signal::KILL).await;
        gate::open(self.folder(), "before").await;
        gate::written(self.folder(), "effect", 1).await;
        gate::open(self.folder(), "after").await;
        says(&mut deploy, "history cannot be written").await;
        deploy
    }
}

/// Reads what it says up to a line with these words.
async fn says(deploy: &mut Child, words: &str) {
    let mut lines = BufReader::new(deploy.stderr.as_mut().unwrap()).lines();
    let said = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("it has never said {words:?}");
    };
    in_time(words, said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_deploy_that_cannot_record_says_so_and_goes_on_when_it_can() {
    let mut scene = Scene::start().await;
    let deploy = scene.deploy_that_cannot_record().await;
    scene.server.restart().await;
    let output = in_time("the end of a deploy", deploy.wait_with_output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(gate::lines(scene.folder(), "effect"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_deploy_that_cannot_record_is_given_up_at_the_first_signal_and_the_next_one_settles_it() {
    let mut scene = Scene::start().await;
    let mut deploy = scene.deploy_that_cannot_record().await;
    kill_process(Pid::from_raw(deploy.id().unwrap() as i32).unwrap(), Signal::INT).unwrap();
    let mut told = String::new();
    in_time("its last words", deploy.stderr.as_mut().unwrap().read_to_string(&mut told)).await.unwrap();
    assert!(told.contains("interrupted while history could not be written"), "{told}");
    assert_eq!(in_time("its end", deploy.wait()).await.unwrap().code(), Some(130), "{told}");
    scene.server.restart().await;
    let next = homeostat(scene.folder(), &scene.proxy, &["deploy"]).output();
    let output = in_time("the next deploy", next).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(gate::lines(scene.folder(), "effect"), 1, "it was done, and is not done again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_run_tells_that_it_cannot_record_and_that_it_can_again() {
    let mut scene = Scene::start().await;
    declare(scene.folder(), "one");
    let running = Running::start(scene.folder(), &scene.proxy);
    eventually("the first content", async || (content(scene.folder()) == "one").then_some(())).await;
    scene.server.end(Signal::KILL).await;
    declare(scene.folder(), "two");
    running.says("history cannot be written", 1).await;
    scene.server.restart().await;
    running.says("history is written again", 1).await;
    eventually("the second content", async || (content(scene.folder()) == "two").then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_command_beside_a_run_is_told_too() {
    let mut scene = Scene::start().await;
    std::fs::create_dir(scene.folder().join("manifests")).unwrap();
    std::fs::write(scene.folder().join("manifests/all.yaml"), gate::manifests(scene.folder())).unwrap();
    let running = Running::start(scene.folder(), &scene.proxy);
    gate::written(scene.folder(), "begun", 1).await;
    let mut deploy = homeostat(scene.folder(), &scene.proxy, &["deploy"]);
    let mut deploy = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.says("requested", 1).await;
    scene.server.end(Signal::KILL).await;
    gate::open(scene.folder(), "before").await;
    gate::open(scene.folder(), "after").await;
    says(&mut deploy, "history cannot be written").await;
    scene.server.restart().await;
    says(&mut deploy, "history is written again").await;
    let output = in_time("the end of a deploy", deploy.wait_with_output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    running.stop().await;
}
