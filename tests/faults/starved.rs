//! R7: a database that is slow, hangs, or has no room for another connection.

use crate::proxy::Behaviour;
use crate::restarts::{advance, under_load};
use crate::server::Server;
use crate::town::{ENVIRONMENT, Town, thing};
use crate::{in_time, rounds};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use homeostat::core::{DryRunId, VersionNumber};
use homeostat::history::postgres::{Patience, PostgresStore};
use homeostat::history::{Batch, HistoryError, Owner, Store};
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_slow_database_is_only_slow() {
    let town = Town::start().await;
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        proxy.behave(Behaviour::Slow(Duration::from_millis(5)));
        let before = proxy.slowed();
        advance(progress).await;
        proxy.behave(Behaviour::Pass);
        assert!(proxy.slowed() >= before + 10, "what was committed meanwhile went the slow way");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_database_that_hangs_is_waited_for_and_what_it_took_in_counts_once() {
    let town = Town::start().await;
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        for _ in 0..rounds(2) {
            proxy.behave(Behaviour::Silent);
            // By then the call that hangs has been given up, and the next one wants a connection of its own.
            in_time("another try", proxy.another_connection()).await;
            proxy.behave(Behaviour::Pass);
            advance(progress).await;
        }
    })
    .await;
}

/// Not the way to it, but the server itself.
#[tokio::test(flavor = "multi_thread")]
async fn r7_a_server_that_stands_still_is_waited_for() {
    let server = Server::start().await;
    let town = Town::on(server.options(), &server.socket()).await;
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        for _ in 0..rounds(1) {
            server.freeze(true);
            in_time("another try", proxy.another_connection()).await;
            server.freeze(false);
            advance(progress).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_no_call_waits_for_ever_for_a_database_that_never_answers() {
    let town = Town::start().await;
    town.push(vec![thing("a", "1")], "1").await;
    town.settle().await;
    let second = Duration::from_secs(1);
    let patience = Patience { acquire: second, call: second, long_call: second };
    let options = town.proxy.options(&town.database);
    let store = PostgresStore::connect_with(options.clone(), 20, patience).await.unwrap();
    let owner = Owner { id: "other".into(), description: "other".into(), lease_ms: 1_000 };
    let fence = store.take("other", &owner, &[]).await.unwrap();
    town.proxy.behave(Behaviour::Silent);
    let batch = Batch { number: 1, ..Batch::default() };
    let is_away = |answer: Result<(), HistoryError>| matches!(answer, Err(HistoryError::Unavailable { .. }));
    let calls: [BoxFuture<'_, bool>; 13] = [
        async { is_away(store.take("third", &owner, &[]).await.map(drop)) }.boxed(),
        async { is_away(store.renew(&owner).await) }.boxed(),
        async { is_away(store.release(&fence).await) }.boxed(),
        async { is_away(store.load(&fence).await.map(drop)) }.boxed(),
        async { is_away(store.commit(&fence, &batch).await) }.boxed(),
        async { is_away(store.forget_environment(&fence).await) }.boxed(),
        async { is_away(store.environments().await.map(drop)) }.boxed(),
        async { is_away(store.peek(ENVIRONMENT).await.map(drop)) }.boxed(),
        async { is_away(store.versions(ENVIRONMENT, None, 9).await.map(drop)) }.boxed(),
        async { is_away(store.intents_at(ENVIRONMENT, VersionNumber(1)).await.map(drop)) }.boxed(),
        async { is_away(store.attempts(ENVIRONMENT, None, None, 9).await.map(drop)) }.boxed(),
        async { is_away(store.dry_run(ENVIRONMENT, DryRunId(1)).await.map(drop)) }.boxed(),
        async { is_away(PostgresStore::connect_with(options, 1, patience).await.map(drop)) }.boxed(),
    ];
    let away = in_time("the end of every call", join_all(calls)).await;
    assert_eq!(away, [true; 13], "each says that the database is away");
    town.proxy.behave(Behaviour::Pass);
    let known = crate::eventually("a store that works again", async || store.environments().await.ok()).await;
    assert!(known.iter().any(|name| &**name == ENVIRONMENT));
    store.close().await;
    town.stop().await;
}

/// Strangers take every connection the server gives.
#[tokio::test(flavor = "multi_thread")]
async fn r7_without_a_free_connection_nothing_is_accepted_and_nothing_is_lost() {
    let mut server = Server::start().await;
    server.end(rustix::process::Signal::INT).await;
    server.restart_with("max_connections=10").await;
    let town = Arc::new(Town::on(server.options(), &server.socket()).await);
    town.proxy.lead_to(&server.socket().with_extension("nowhere"));
    let mut strangers = Vec::new();
    crate::eventually("a full server", async || match PgConnection::connect_with(&server.options()).await {
        Ok(stranger) => {
            strangers.push(stranger);
            None
        }
        Err(_) => (strangers.len() >= 10).then_some(()),
    })
    .await;
    town.proxy.lead_to(&server.socket());
    let pushing = Arc::clone(&town);
    let pushed = tokio::spawn(async move { pushing.push(vec![thing("a", "1")], "1").await });
    crate::eventually("a store that says it is away", async || town.store.environments().await.err()).await;
    assert!(!pushed.is_finished(), "nothing is accepted meanwhile");
    for stranger in strangers {
        stranger.close().await.unwrap();
    }
    assert_eq!(in_time("the push", pushed).await.unwrap(), 1);
    town.settle().await;
    assert_eq!(town.history().await.messages, ["1"]);
    Arc::into_inner(town).unwrap().stop().await;
}
