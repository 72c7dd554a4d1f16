//! R7: what becomes of a commit whose reply never comes. It is settled by its number, and never doubled.

use crate::proxy::Place;
use crate::restarts::{advance, under_load};
use crate::server::Server;
use crate::town::{Dice, Town, thing};
use crate::{eventually, in_time, rounds};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_connection_cut_before_or_after_the_server_commits_neither_loses_nor_doubles() {
    let mut dice = Dice::new();
    let town = Town::start().await;
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        for round in 0..rounds(12) {
            let place = [Place::Before, Place::After][round % 2];
            in_time("a commit", proxy.trap(place, dice.below(4) as usize)).await.unwrap().cut();
            advance(progress).await;
        }
    })
    .await;
}

/// The commit is carried out, and waits for a standby that does not exist; then its backend is terminated.
#[tokio::test(flavor = "multi_thread")]
async fn r7_a_backend_killed_between_its_commit_and_the_reply_has_committed_once() {
    let server = Server::start().await;
    let town = Arc::new(Town::on(server.options(), &server.socket()).await);
    server.execute(&["ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"]).await;
    let pushing = Arc::clone(&town);
    let pushed = tokio::spawn(async move { pushing.push(vec![thing("a", "1")], "1").await });
    eventually("a commit that waits for the standby", async || {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        server.ask::<bool>(waiting).await.then_some(())
    })
    .await;
    server.execute(&["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"]).await;
    server.execute(&["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"]).await;
    assert_eq!(in_time("the push", pushed).await.unwrap(), 1);
    town.settle().await;
    assert_eq!(town.history().await.messages, ["1"]);
    Arc::into_inner(town).unwrap().stop().await;
}

/// The way is so slow that the client has given up and tries again on another connection when its first commit arrives.
#[tokio::test(flavor = "multi_thread")]
async fn r7_a_commit_that_arrives_after_it_was_given_up_counts_once() {
    let town = Arc::new(Town::start().await);
    let held = town.proxy.trap(Place::Before, 0);
    let pushing = Arc::clone(&town);
    let pushed = tokio::spawn(async move { pushing.push(vec![thing("a", "1")], "1").await });
    let held = in_time("a commit", held).await.unwrap();
    // The second try waits for the lock that the first one holds.
    let second =
        eventually("a second try", async || Some(town.waiting_for_a_lock().await).filter(|waits| *waits)).await;
    assert!(second);
    held.release();
    assert_eq!(in_time("the push", pushed).await.unwrap(), 1);
    town.settle().await;
    assert_eq!(town.history().await.messages, ["1"]);
    Arc::into_inner(town).unwrap().stop().await;
}
