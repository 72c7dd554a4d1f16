//! R14: who reads slowly, or not at all: the work goes on without them, and what they read is there when they go on.

use crate::forgets::{Running, content, declare, homeostat};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::{eventually, in_time};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Frozen, `logs -f` holds up nobody; it has missed nothing when it goes on, because it reads history.
#[tokio::test(flavor = "multi_thread")]
async fn r14_a_log_reader_that_stands_still_holds_up_nobody_and_misses_nothing() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let server = Server::start().await;
    let proxy = Proxy::to(&server.socket());
    declare(folder, "0");
    let running = Running::start(folder, &proxy);
    running.says("created", 1).await;
    let mut reader = homeostat(folder, &proxy, &["logs", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    let first = in_time("a line", lines.next_line()).await.unwrap().unwrap();
    assert!(first.contains("a created"), "{first}");
    let pid = Pid::from_raw(reader.id().unwrap() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    for number in 1..=5 {
        let wanted = number.to_string();
        declare(folder, &wanted);
        eventually("the next content", async || (content(folder) == wanted).then_some(())).await;
    }
    running.says("updated", 5).await;
    kill_process(pid, Signal::CONT).unwrap();
    for _ in 0..5 {
        let line = in_time("a line", lines.next_line()).await.unwrap().unwrap();
        assert!(line.contains("a updated"), "{line}");
    }
    reader.kill().await.unwrap();
    running.stop().await;
}
