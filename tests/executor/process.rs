//! Executors as children: their lock, their end with their owner, their death.

use crate::harness::{Alive, ENVIRONMENT, Owner, PATIENCE, PROGRAM, Work, executor};
use homeostat::core::Event;
use homeostat::executor::process::{Child, ChildOptions, await_earlier};
use homeostat::executor::{Times, worker};
use serde_json::json;
use std::path::Path;

fn child(owner: &Owner) -> Child {
    let options = ChildOptions {
        socket: owner.socket.path(),
        folder: owner.folder.path(),
        environment: &ENVIRONMENT.into(),
        pool: &"local".into(),
    };
    Child::start_program(Path::new(PROGRAM), &options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_child_is_noticed_and_reported_lost_at_once() {
    let mut owner = Owner::start(Times::default());
    let mut first = child(&owner);
    owner.connected(&first.name()).await;
    // The second one waits for the end of the first.
    let second = child(&owner);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(first.id().unwrap() as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, first.ended()).await.unwrap(), "the executor was killed by signal 9");
    owner.endpoint.ended(ENVIRONMENT, &first.name());
    let lost = owner.event("loss", |event| match event {
        Event::ExecutorLost(name) => Some(name.clone()),
        _ => None,
    });
    assert_eq!(lost.await, first.name());
    owner.connected(&second.name()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_ends_its_work_and_itself_with_its_stream_and_a_later_run_waits_for_that() {
    let mut owner = Owner::start(Times::default());
    let mut child = child(&owner);
    owner.connected(&child.name()).await;
    let mut alive = Alive::new(owner.folder.path());
    owner.grant(&child.name(), [alive.command(1)]);
    alive.running().await;
    owner.endpoint.detach(ENVIRONMENT);
    // Nothing it started is left when the lock is free.
    await_earlier(owner.folder.path()).await.unwrap();
    tokio::time::timeout(PATIENCE, alive.ended()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.ended()).await.unwrap();
    assert!(ended.starts_with("the executor exited with code"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_executor_finishes_its_work_and_ends() {
    let mut owner = Owner::start(Times::default());
    let mut child = child(&owner);
    let name = child.name();
    owner.connected(&name).await;
    owner.grant(&name, [owner.thing(1, json!({"key": "a", "delayMs": 50}))]);
    owner.endpoint.retire(ENVIRONMENT, &name);
    owner.success(1).await;
    owner.acknowledge(&name, 1);
    assert_eq!(tokio::time::timeout(PATIENCE, child.ended()).await.unwrap(), "the executor ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_and_its_children_do_not_outlive_an_executor_that_is_killed() {
    let (owner, mut executor) = Owner::with_executor(Times::default()).await;
    let mut alive = Alive::new(owner.folder.path());
    owner.grant("e1", [alive.command(1)]);
    alive.running().await;
    executor.kill().await.unwrap();
    alive.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_does_not_end_costs_the_process_its_life() {
    let (mut owner, mut executor) = Owner::with_executor(Times::default()).await;
    let block = owner.thing(1, json!({"key": "a", "script": [{"result": "block"}]}));
    owner.grant("e1", [Work { deadline_ms: 100, ..block }, owner.thing(2, json!({"key": "b"}))]);
    let status = tokio::time::timeout(PATIENCE, executor.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(worker::EXIT_STUCK));
    owner.event("disconnect", |event| matches!(event, Event::ExecutorDisconnected(_)).then_some(())).await;
    assert!(!owner.has_begun(2), "nothing begins on the target while the thread may still work on it");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_gives_back_what_has_not_begun_and_finishes_what_has() {
    let (mut owner, mut executor) = Owner::with_executor(Times::default()).await;
    owner.grant("e1", [owner.thing(1, json!({"key": "a", "delayMs": 500})), owner.thing(2, json!({"key": "b"}))]);
    owner.begun(1).await;
    let pid = rustix::process::Pid::from_raw(executor.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(owner.outcome(2).await.kind, homeostat::core::OutcomeKind::Revoked);
    owner.success(1).await;
    owner.acknowledge("e1", 1);
    owner.acknowledge("e1", 2);
    assert!(tokio::time::timeout(PATIENCE, executor.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_owner_an_embedded_executor_does_not_stay() {
    let mut lonely = executor("e1", "unix:/no/such/socket", &["--exit-with-stream"]);
    let status = tokio::time::timeout(PATIENCE, lonely.wait()).await.unwrap().unwrap();
    assert!(!status.success());
}
