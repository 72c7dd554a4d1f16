//! R7: a disk without room. The server finds none for its data or for its journal, and may end because of it.

use crate::restarts::{advance, under_load};
use crate::server::Server;
use crate::town::Town;
use crate::{eventually, rounds};

/// What it says then.
const NO_ROOM: &str = "No space left on device";

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_full_disk_is_waited_out_and_nothing_acknowledged_is_lost() {
    let Some(mut server) = Server::start_on_small_disk().await else {
        return println!("left out: only root may mount a small disk on this machine");
    };
    let town = Town::on(server.options(), &server.socket()).await;
    under_load(town, async |progress| {
        for _ in 0..rounds(1) {
            let before = server.has_said(NO_ROOM);
            server.disk().fill();
            let refused = async || (server.has_said(NO_ROOM) > before).then_some(());
            eventually("a server that finds no room", refused).await;
            server.disk().free();
            server.revive().await;
            advance(progress).await;
        }
    })
    .await;
}
