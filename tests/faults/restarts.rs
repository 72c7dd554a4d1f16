//! R7: a server that is stopped at once, killed and started again while it is written to.

use crate::audit::LOST;
use crate::server::Server;
use crate::town::{Town, thing};
use crate::{in_time, rounds};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Pushes new values for three things, one version after the other, until it is told to stop; says how many were acknowledged.
pub(crate) async fn load(town: Arc<Town>, stop: Arc<AtomicBool>, acknowledged: watch::Sender<u64>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let value = number.to_string();
        let things = ["a", "b", "c"].map(|name| thing(name, &value)).to_vec();
        assert_eq!(town.push(things, &value).await, number, "every push is accepted as the next version");
        acknowledged.send_replace(number);
    }
}

/// Runs `faults` while versions are pushed; at the end history must have all of them, each once, and the things the last one.
pub(crate) async fn under_load(town: Town, faults: impl AsyncFnOnce(&mut watch::Receiver<u64>)) {
    let town = Arc::new(town);
    let stop = Arc::new(AtomicBool::new(false));
    let (acknowledged, mut progress) = watch::channel(0);
    let loading = tokio::spawn(load(Arc::clone(&town), Arc::clone(&stop), acknowledged));
    advance(&mut progress).await;
    faults(&mut progress).await;
    advance(&mut progress).await;
    stop.store(true, Ordering::Relaxed);
    in_time("the end of the load", loading).await.unwrap();
    town.settle().await;

    let last = *progress.borrow();
    let history = town.history().await;
    assert_eq!(history.messages, (1..=last).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(history.count(LOST), 0, "no executor died");
    let world = town.world();
    assert!(world.values().all(|(value, _)| *value == Some(last.to_string())), "{world:?}");
    let applied: u64 = world.values().map(|(_, applies)| applies).sum();
    assert_eq!(applied as usize, history.changes(), "every effect is one recorded attempt's");
    Arc::into_inner(town).unwrap().stop().await;
}

/// Waits for three more acknowledged versions.
pub(crate) async fn advance(progress: &mut watch::Receiver<u64>) {
    let wanted = *progress.borrow() + 3;
    in_time("progress", progress.wait_for(|reached| *reached >= wanted)).await.unwrap();
}

/// How soon writes go on when there is a database again.
const RESUMED: Duration = Duration::from_secs(10);

/// Waits for the first version that is acknowledged from now on.
pub(crate) async fn resume(progress: &mut watch::Receiver<u64>) {
    let before = *progress.borrow();
    let resumed = progress.wait_for(|reached| *reached > before);
    tokio::time::timeout(RESUMED, resumed).await.expect("writes that go on in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_r7_a_server_that_is_stopped_again_and_again_loses_nothing_acknowledged() {
    let mut server = Server::start().await;
    let town = Town::on(server.options(), &server.socket()).await;
    under_load(town, async |progress| {
        for round in 0..rounds(6) {
            server.end([Signal::QUIT, Signal::KILL, Signal::INT][round % 3]).await;
            server.restart().await;
            resume(progress).await;
            advance(progress).await;
        }
    })
    .await;
}
