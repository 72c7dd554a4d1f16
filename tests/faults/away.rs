//! A6: what the command says while its database is away, and what the first Ctrl-C does then.

use crate::forgets::{Running, content, declare, homeostat};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::{eventually, gate, in_time};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;

/// A deploy whose database has ended before it could record what was done.
async fn deploy_that_cannot_record(folder: &Path, proxy: &Proxy, server: &mut Server) -> Child {
    std::fs::create_dir(folder.join("manifests")).unwrap();
    std::fs::write(folder.join("manifests/all.yaml"), gate::manifests(folder)).unwrap();
    let mut command = homeostat(folder, proxy, &["deploy", "-f", "manifests"]);
    let deploy = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate::written(folder, "begun", 1).await;
    server.end(Signal::KILL).await;
    gate::open(folder, "before").await;
    gate::written(folder, "effect", 1).await;
    gate::open(folder, "after").await;
    deploy
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

async fn deployed(folder: &Path, proxy: &Proxy) -> Output {
    let deploy = homeostat(folder, proxy, &["deploy"]).output();
    in_time("a deploy", deploy).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_deploy_that_cannot_record_says_so_and_goes_on_when_it_can() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let mut server = Server::start().await;
    let proxy = Proxy::to(&server.socket());
    let mut deploy = deploy_that_cannot_record(folder, &proxy, &mut server).await;
    says(&mut deploy, "history cannot be written").await;
    server.restart().await;
    let output = in_time("the end of a deploy", deploy.wait_with_output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(gate::lines(folder, "effect"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_deploy_that_cannot_record_is_given_up_at_the_first_signal_and_the_next_one_settles_it() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let mut server = Server::start().await;
    let proxy = Proxy::to(&server.socket());
    let mut deploy = deploy_that_cannot_record(folder, &proxy, &mut server).await;
    says(&mut deploy, "history cannot be written").await;
    kill_process(Pid::from_raw(deploy.id().unwrap() as i32).unwrap(), Signal::INT).unwrap();
    let mut told = String::new();
    in_time("its last words", deploy.stderr.as_mut().unwrap().read_to_string(&mut told)).await.unwrap();
    assert!(told.contains("interrupted while history could not be written"), "{told}");
    assert_eq!(in_time("its end", deploy.wait()).await.unwrap().code(), Some(130), "{told}");
    server.restart().await;
    let output = deployed(folder, &proxy).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(gate::lines(folder, "effect"), 1, "it was done, and is not done again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_run_tells_that_it_cannot_record_and_that_it_can_again() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let mut server = Server::start().await;
    let proxy = Proxy::to(&server.socket());
    declare(folder, "one");
    let running = Running::start(folder, &proxy);
    eventually("the first content", async || (content(folder) == "one").then_some(())).await;
    server.end(Signal::KILL).await;
    declare(folder, "two");
    running.says("history cannot be written", 1).await;
    server.restart().await;
    running.says("history is written again", 1).await;
    eventually("the second content", async || (content(folder) == "two").then_some(())).await;
    running.stop().await;
}
