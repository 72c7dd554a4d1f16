//! R12, Q9: the owner is a process of its own; it is frozen (SIGSTOP) in mid-commit past its lease, another takes over and writes, and then it wakes.

use crate::proxy::{Place, Proxy};
use crate::town::{BRIEF, push_of, thing};
use crate::writers::batch;
use crate::{audit, eventually, in_time, rounds, server, this_program};
use homeostat::core::{Message, Name, PoolName};
use homeostat::history::postgres::PostgresStore;
use homeostat::history::{Fence, HistoryError, Owner, Store};
use homeostat::scheduler::{Edge, Scheduler};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::sync::Arc;

const ENVIRONMENT: &str = "frozen";
/// Tells this program to be the owner, and where the database is: socket folder and name.
const BE_THE_OWNER: &str = "FAULTS_OWNER";
/// Not renewed, so that it ends while its holder is frozen.
const LEASE_MS: u64 = 2_000;

struct Nobody;

impl Edge for Nobody {
    fn deliver(&self, _: &Name, _: Vec<Message>) {}
    fn scale(&self, _: &Name, _: &PoolName, _: u32) {}
}

fn owner(id: &str) -> Owner {
    Owner { id: id.into(), description: id.into(), lease_ms: LEASE_MS }
}

/// What the owner's process does: version after version, until it is told that it is not the owner any more. Its last words say why. Without the
/// variable that makes it one, this is no test.
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_in_its_own_process() {
    let Ok(place) = std::env::var(BE_THE_OWNER) else { return };
    let (folder, database) = place.split_once(' ').unwrap();
    let options = server::options(Path::new(folder)).database(database);
    let store = Arc::new(PostgresStore::connect_with(options, 2, BRIEF).await.unwrap());
    let scheduler = Scheduler::start(ENVIRONMENT.into(), store, owner("frozen"), &[], Arc::new(Nobody)).await.unwrap();
    for number in 1.. {
        if scheduler.push(push_of(vec![thing("a", &format!("{number}"))], "frozen")).await.is_err() {
            break;
        }
    }
    println!("ended: {}", scheduler.ended().await);
}

/// Takes the environment when the lease of who has it is over.
async fn take_over(store: &PostgresStore) -> Fence {
    eventually("the end of a lease", async || match store.take(ENVIRONMENT, &owner("other"), &[]).await {
        Ok(fence) => Some(fence),
        Err(HistoryError::Held { .. } | HistoryError::Unavailable { .. }) => None,
        Err(error) => panic!("{error}"),
    })
    .await
}

/// The lock that a frozen commit holds does not keep others out for longer than a session may idle.
#[tokio::test(flavor = "multi_thread")]
async fn q9_r12_an_owner_frozen_in_mid_commit_past_its_lease_writes_nothing_when_it_wakes() {
    for round in 0..rounds(2) {
        let database = server::shared_database().await;
        let proxy = Proxy::to(&database.get_socket().unwrap().join(".s.PGSQL.5432"));
        let place = [Place::Before, Place::After][round % 2];
        let commit = proxy.trap(place, 5);
        let through = proxy.options(&database);
        let folder = through.get_socket().unwrap().to_str().unwrap();
        let place = format!("{folder} {}", through.get_database().unwrap());
        let frozen = this_program("frozen::the_owner_in_its_own_process", BE_THE_OWNER, &place);
        let pid = Pid::from_raw(frozen.id().unwrap() as i32).unwrap();
        let held = in_time("a commit of the owner", commit).await.unwrap();
        kill_process(pid, Signal::STOP).unwrap();

        let other = PostgresStore::connect(database.clone(), 2).await.unwrap();
        let fence = take_over(&other).await;
        let before = other.load(&fence).await.unwrap().version.0;
        other.commit(&fence, &batch(1, before + 1, "other")).await.unwrap();
        held.release();
        kill_process(pid, Signal::CONT).unwrap();
        let last_words = in_time("the end of the owner", frozen.wait_with_output()).await.unwrap().stdout;
        let last_words = String::from_utf8(last_words).unwrap();
        assert!(last_words.contains("ended: ownership was taken over"), "{last_words}");

        let messages = audit::history(&database, ENVIRONMENT, true).await.messages;
        let (last, earlier) = messages.split_last().unwrap();
        assert_eq!((last.as_str(), earlier.len() as u64), ("other", before), "{messages:?}");
        assert!(earlier.iter().all(|message| message == "frozen"), "{messages:?}");
        other.close().await;
    }
}
