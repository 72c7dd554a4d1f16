//! R8: another server takes over: in order, while the old one lives on and refuses writes, and without the last commits that were acknowledged.

use crate::restarts::{advance, resume, under_load};
use crate::server::Server;
use crate::town::Town;
use rustix::process::Signal;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn r8_writes_go_on_at_a_standby_that_was_promoted() {
    let mut primary = Server::start().await;
    let replica = Server::replica_of(&primary).await;
    let town = Town::on(primary.options(), &primary.socket()).await;
    let town = town.audited_at(replica.options());
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        // A fast stop sends the standby everything first.
        primary.end(Signal::INT).await;
        replica.promote().await;
        proxy.lead_to(&replica.socket());
        resume(progress).await;
        advance(progress).await;
    })
    .await;
}

/// Its connections stay open and answer every write with 25006: each is dropped, and the next one leads to the new primary.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_demoted_primary_keeps_no_connection() {
    let primary = Server::start().await;
    let replica = Server::replica_of(&primary).await;
    let town = Town::on(primary.options(), &primary.socket()).await;
    let town = town.audited_at(replica.options());
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        primary.execute(&["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]).await;
        let refuses = "SELECT current_setting('transaction_read_only') = 'on' AND count(*) FILTER (WHERE xact_start IS NOT NULL AND backend_xid IS NOT NULL) = 0
            FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        crate::eventually("a primary that refuses writes", async || primary.ask::<bool>(refuses).await.then_some(())).await;
        let caught_up = "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_flush_lsn()";
        crate::eventually("a standby that has it all", async || primary.ask::<bool>(caught_up).await.then_some(())).await;
        replica.promote().await;
        proxy.lead_new_to(&replica.socket());
        resume(progress).await;
        advance(progress).await;
    })
    .await;
}

/// A failover that loses what was acknowledged: the owner notices, and records it again, so that history is as if nothing had been lost.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_replica_that_lost_the_last_commits_gets_them_again() {
    let mut primary = Server::start().await;
    let mut replica = Server::replica_of(&primary).await;
    let town = Town::on(primary.options(), &primary.socket()).await;
    let town = town.audited_at(replica.options());
    let proxy = Arc::clone(&town.proxy);
    under_load(town, async |progress| {
        replica.stop_following().await;
        advance(progress).await;
        let acknowledged = *progress.borrow();
        primary.end(Signal::KILL).await;
        replica.promote().await;
        let kept = replica.ask::<i64>("SELECT version FROM homeostat.environment").await;
        assert!((kept as u64) < acknowledged, "commits that were acknowledged are lost: {kept} of {acknowledged}");
        proxy.lead_to(&replica.socket());
        resume(progress).await;
        advance(progress).await;
    })
    .await;
    replica.end(Signal::INT).await;
}
