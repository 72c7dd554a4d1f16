//! R10: an executor killed at each step of an attempt; Q10: one that must be killed. Reason and count are right, and the effect happens once.

use crate::audit::{CHANGE, LOST, RETRY, SUCCEEDED};
use crate::proxy::{Place, Trapped};
use crate::town::{ENVIRONMENT, Town, resource, thing};
use crate::{eventually, gate, in_time, rounds};
use homeostat::core::{OutcomeKind, Policy};
use homeostat::history::Store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs::TryLockError;

async fn kill(town: &Town) {
    let executor = town.executor().await;
    kill_process(executor, Signal::KILL).unwrap();
    eventually("another executor", async || (town.executor().await != executor).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_killed_before_it_read_its_grant_it_runs_again_at_once() {
    for _ in 0..rounds(2) {
        let town = Town::start().await;
        kill_process(town.connected_executor().await, Signal::STOP).unwrap();
        town.push(vec![thing("a", "1")], "1").await;
        town.until("a", |view| view.running.as_ref().is_some_and(|run| !run.begun)).await;
        kill(&town).await;
        town.settle().await;
        assert_eq!(town.history().await.told(), [(CHANGE, LOST), (CHANGE, SUCCEEDED)]);
        assert_eq!(town.world()["a"], (Some("1".to_owned()), 1));
        assert_eq!(town.view("a").await.row.failures, 0);
        town.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_killed_before_its_effect_it_is_lost_and_tried_again() {
    for _ in 0..rounds(2) {
        let town = Town::start().await;
        town.add_local_target().await;
        town.push(vec![gate::command(town.folder())], "1").await;
        town.until("gated", |view| view.running.as_ref().is_some_and(|run| run.begun)).await;
        gate::written(town.folder(), "begun", 1).await;
        kill(&town).await;
        // By then what the dead one had begun has ended, and takes no key any more.
        gate::written(town.folder(), "begun", 2).await;
        gate::open(town.folder(), "before").await;
        gate::open(town.folder(), "after").await;
        town.settle().await;
        assert_eq!(town.history().await.told(), [(CHANGE, LOST), (RETRY, SUCCEEDED)]);
        assert_eq!(gate::lines(town.folder(), "effect"), 1, "what the dead one had begun did nothing more");
        town.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_killed_after_its_effect_and_before_its_result_it_finds_nothing_left_to_do() {
    for _ in 0..rounds(2) {
        let town = Town::start().await;
        town.add_local_target().await;
        town.push(vec![gate::command(town.folder())], "1").await;
        town.until("gated", |view| view.running.as_ref().is_some_and(|run| run.begun)).await;
        gate::open(town.folder(), "before").await;
        eventually("the effect", async || town.folder().join("done").exists().then_some(())).await;
        kill(&town).await;
        town.settle().await;
        let history = town.history().await;
        assert_eq!(history.told(), [(CHANGE, LOST), (RETRY, SUCCEEDED)]);
        assert_eq!((gate::lines(town.folder(), "effect"), history.changes()), (1, 0));
        town.stop().await;
    }
}

/// What a killed executor runs ends a moment after it, and that moment may be long: until then its supervisor shares a lock, as this test does.
#[tokio::test(flavor = "multi_thread")]
async fn r10_the_next_executor_begins_nothing_until_the_programs_of_a_killed_one_have_ended() {
    let town = Town::start().await;
    town.add_local_target().await;
    town.push(vec![gate::command(town.folder())], "1").await;
    gate::written(town.folder(), "begun", 1).await;
    let mut files = std::fs::read_dir(town.folder()).unwrap().map(|entry| entry.unwrap().path());
    let lock = files.find(|path| path.to_str().unwrap().ends_with(LOCK)).unwrap();
    let lock = std::fs::File::open(lock).unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)), "the supervisor has it");
    lock.lock_shared().unwrap();
    kill(&town).await;
    let next = town.executor().await;
    eventually("the next one at the lock", async || has_open(next, LOCK).then_some(())).await;
    assert_eq!((town.connected(), gate::lines(town.folder(), "begun")), (0, 1));
    lock.unlock().unwrap();
    gate::written(town.folder(), "begun", 2).await;
    gate::open(town.folder(), "before").await;
    gate::open(town.folder(), "after").await;
    town.settle().await;
    assert_eq!(town.history().await.told(), [(CHANGE, LOST), (RETRY, SUCCEEDED)]);
    assert_eq!((gate::lines(town.folder(), "begun"), gate::lines(town.folder(), "effect")), (2, 1));
    town.stop().await;
}

/// How the lock that supervisors share is called.
const LOCK: &str = ".programs.lock";

fn has_open(process: Pid, name: &str) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())) else { return false };
    let mut files = open.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    files.any(|file| file.to_str().is_some_and(|path| path.ends_with(name)))
}

/// Its result is on the way to history when it dies, and that commit gets no reply either.
#[tokio::test(flavor = "multi_thread")]
async fn r10_killed_after_its_result_was_heard_it_has_succeeded_once() {
    for round in 0..rounds(2) {
        let town = Town::start().await;
        town.connected_executor().await;
        let result = town.proxy.trap_of(Trapped::Outcome, [Place::Before, Place::After][round % 2]);
        town.push(vec![thing("a", "1")], "1").await;
        let held = in_time("the commit of the result", result).await.unwrap();
        kill(&town).await;
        held.cut();
        town.settle().await;
        assert_eq!(town.history().await.told(), [(CHANGE, SUCCEEDED)]);
        assert_eq!(town.world()["a"], (Some("1".to_owned()), 1));
        town.stop().await;
    }
}

/// Q5, R11: frozen past its lease and the margin, given up, and awake again, with the key to what it had begun.
#[tokio::test(flavor = "multi_thread")]
async fn q5_r11_what_a_lost_executor_reports_when_it_wakes_is_kept_and_not_counted() {
    let town = Town::start().await;
    let process = town.add_standing_executor().await;
    let executor = Pid::from_raw(process.id().unwrap() as i32).unwrap();
    town.push(vec![gate::command(town.folder())], "1").await;
    gate::written(town.folder(), "begun", 1).await;
    kill_process(executor, Signal::STOP).unwrap();
    town.until("gated", |view| view.running.is_none()).await;
    kill_process(executor, Signal::CONT).unwrap();
    let late = eventually("its late result", async || {
        let attempts = town.store.attempts(ENVIRONMENT, None, None, 10).await.unwrap();
        attempts.into_iter().find_map(|attempt| attempt.late)
    })
    .await;
    let OutcomeKind::Failed { message, .. } = &late.kind else { panic!("{late:?}") };
    assert!(message.contains("for the time of the lease"), "{message}");
    gate::written(town.folder(), "begun", 2).await;
    gate::open(town.folder(), "before").await;
    gate::open(town.folder(), "after").await;
    town.settle().await;
    assert_eq!(town.history().await.told(), [(CHANGE, LOST), (RETRY, SUCCEEDED)]);
    assert_eq!(gate::lines(town.folder(), "effect"), 1, "what it had begun before did nothing more");
    town.stop().await;
}

/// Q10: its thread cannot be ended, so its process is; the other work of its target goes on.
#[tokio::test(flavor = "multi_thread")]
async fn q10_an_adaptor_that_cannot_be_cancelled_costs_its_process_and_its_target_goes_on() {
    let town = Town::start().await;
    let blocks = json!({"key": "a", "value": "1", "script": [{"result": "block"}]});
    let policy = Policy { deadline_ms: 200, ..Policy::default() };
    let first = town.executor().await;
    town.push(vec![resource("a", "here", "test.Thing", &blocks, policy), thing("b", "1")], "1").await;
    town.settle().await;
    assert_ne!(town.executor().await, first);
    let history = town.history().await;
    assert!(history.count(LOST) >= 1 && history.count(SUCCEEDED) == 2, "{history:?}");
    let values: Vec<_> = town.world().into_values().map(|(value, _)| value).collect();
    assert_eq!(values, [Some("1".to_owned()), Some("1".to_owned())]);
    town.stop().await;
}
