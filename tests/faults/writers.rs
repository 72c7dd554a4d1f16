//! Who may write: of 32 that all want to, one at a time; and one that was frozen in mid-commit and taken over, never again (Q9).

use crate::audit;
use crate::proxy::{Place, Proxy, Trapped};
use crate::town::{BRIEF, thing};
use crate::{in_time, rounds, server};
use futures::future::{BoxFuture, join_all};
use homeostat::core::{IntentRecord, Name, Record, ResourceId, Timestamp, VersionNumber, VersionRecord};
use homeostat::history::postgres::{Patience, PostgresStore};
use homeostat::history::{Batch, HistoryError, Owner, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const ENVIRONMENT: &str = "contended";

fn owner(id: &str) -> Owner {
    Owner { id: id.into(), description: id.into(), lease_ms: 600_000 }
}

/// The batch that makes this version, for this reason.
pub(crate) fn batch(number: u64, version: u64, message: &str) -> Batch {
    let version = VersionRecord {
        number: VersionNumber(version),
        at: Timestamp(0),
        author: "a test".into(),
        source: "test".into(),
        message: message.into(),
        intents: Vec::new(),
    };
    Batch { number, records: vec![Record::Version(version)], rows: Vec::new() }
}

/// The same with so much in it that it is a stream of rows.
fn great_batch(version: u64, message: &str) -> Batch {
    let wanted = |number: u32| {
        let intent = thing(&format!("thing-{number}"), "x".repeat(500).as_str());
        let (resource, name) = (ResourceId(number), intent.name.clone());
        IntentRecord { resource, name, set: "default".into(), intent: Some(intent) }
    };
    let mut batch = batch(1, version, message);
    if let [Record::Version(version)] = &mut batch.records[..] {
        version.intents = (0..1_000).map(wanted).collect();
    }
    batch
}

/// Asks until history answers: with so many writers for so few connections it may take one longer than a call waits.
async fn answered<'a, T>(ask: impl Fn() -> BoxFuture<'a, Result<T, HistoryError>>) -> Result<T, HistoryError> {
    loop {
        match ask().await {
            Err(HistoryError::Unavailable { .. }) => {}
            answer => return answer,
        }
    }
}

/// Takes the environment from whoever has it, writes until it is taken over, and takes it again when somebody has written since: all at once would
/// only take it from each other. Returns what was acknowledged.
async fn write(
    store: PostgresStore,
    name: String,
    all: Arc<Vec<Name>>,
    wanted: usize,
    written: Arc<watch::Sender<u64>>,
) -> Vec<String> {
    let (this, mut acknowledged) = (owner(&name), Vec::new());
    let mut progress = written.subscribe();
    while acknowledged.len() < wanted {
        let before = *progress.borrow();
        let fence = answered(|| store.take(ENVIRONMENT, &this, &all)).await.unwrap();
        if let Ok(snapshot) = answered(|| store.load(&fence)).await {
            for number in 1.. {
                let message = format!("{name} {}", acknowledged.len());
                let batch = batch(number, snapshot.version.0 + number, &message);
                match answered(|| store.commit(&fence, &batch)).await {
                    Ok(()) => acknowledged.push(message),
                    Err(HistoryError::Fenced { .. }) => break,
                    Err(error) => panic!("{error}: {error:?}"),
                }
                written.send_modify(|written| *written += 1);
                // As one does whose first reply was lost: it counts once, also where it was taken over meanwhile.
                let again = answered(|| store.commit(&fence, &batch)).await;
                assert!(matches!(again, Ok(()) | Err(HistoryError::Fenced { .. })), "{again:?}");
                if acknowledged.len() == wanted {
                    return acknowledged;
                }
            }
        }
        progress.wait_for(|written| *written > before).await.unwrap();
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_of_32_writers_one_writes_at_a_time_and_each_batch_counts_once() {
    const WRITERS: usize = 32;
    let wanted = rounds(5);
    let database = server::shared_database().await;
    let store = PostgresStore::connect(database.clone(), 16).await.unwrap();
    let all: Arc<Vec<Name>> = Arc::new((0..WRITERS).map(|writer| format!("writer-{writer}").as_str().into()).collect());
    let written = Arc::new(watch::channel(0).0);
    let writers = (0..WRITERS).map(|writer| {
        let writing = write(store.clone(), format!("writer-{writer}"), Arc::clone(&all), wanted, Arc::clone(&written));
        tokio::spawn(writing)
    });
    let mut writers = join_all(writers);
    let mut progress = written.subscribe();
    let acknowledged = loop {
        tokio::select! {
            lists = &mut writers => break lists,
            more = in_time("another commit", progress.changed()) => more.unwrap(),
        }
    };
    let acknowledged: BTreeSet<String> = acknowledged.into_iter().flat_map(Result::unwrap).collect();
    let history = audit::history(&database, ENVIRONMENT, true).await;
    let stored: BTreeSet<String> = history.messages.iter().cloned().collect();
    assert_eq!(stored.len(), history.messages.len(), "no batch counts twice");
    assert_eq!(stored, acknowledged, "what was acknowledged is there, and nothing else");
    assert_eq!(acknowledged.len(), WRITERS * wanted);
    store.close().await;
}

/// Its commit, or a stream of rows of it, is under way when it stops being heard; another takes over, and then it arrives. No timeout of the database
/// ends the wait for the rest of a stream: who waits for its lock does.
#[tokio::test(flavor = "multi_thread")]
async fn q9_r12_an_owner_frozen_in_mid_commit_writes_nothing_after_it_was_taken_over() {
    let database = server::shared_database().await;
    let proxy = Proxy::to(&database.get_socket().unwrap().join(".s.PGSQL.5432"));
    let frozen = PostgresStore::connect_with(proxy.options(&database), 2, BRIEF).await.unwrap();
    // Longer than a session may idle.
    let patience = Patience { call: Duration::from_secs(8), ..BRIEF };
    let other = PostgresStore::connect_with(database.clone(), 2, patience).await.unwrap();
    for of in [Trapped::Any, Trapped::Stream].repeat(rounds(1)) {
        let fence = frozen.take(ENVIRONMENT, &owner("frozen"), &["other".into()]).await.unwrap();
        let before = frozen.load(&fence).await.unwrap().version.0;
        let commit = great_batch(before + 1, "frozen");
        let (writing, held) = (frozen.clone(), proxy.trap_of(of, Place::Before));
        let (its_fence, its_commit) = (fence.clone(), commit.clone());
        let written = tokio::spawn(async move { writing.commit(&its_fence, &its_commit).await });
        let held = in_time("a commit", held).await.unwrap();

        // The lock that it holds does not keep the other out for longer than a session may idle.
        let taken =
            in_time("the takeover", other.take(ENVIRONMENT, &owner("other"), &["frozen".into()])).await.unwrap();
        other.commit(&taken, &great_batch(before + 1, "other")).await.unwrap();
        held.release();
        assert!(matches!(in_time("an answer", written).await.unwrap(), Err(HistoryError::Unavailable { .. })));
        assert!(matches!(frozen.commit(&fence, &commit).await, Err(HistoryError::Fenced { .. })));
        assert_eq!(other.load(&taken).await.unwrap().version.0, before + 1);
    }
    let history = audit::history(&database, ENVIRONMENT, true).await;
    assert!(history.messages.iter().all(|message| message == "other"), "{:?}", history.messages);
    frozen.close().await;
    other.close().await;
}

/// The way that it took drops everything, and nobody tells the database.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_commit_whose_stream_of_rows_broke_off_in_silence_is_written_on_another_connection() {
    let database = server::shared_database().await;
    let proxy = Proxy::to(&database.get_socket().unwrap().join(".s.PGSQL.5432"));
    let store = PostgresStore::connect_with(proxy.options(&database), 2, BRIEF).await.unwrap();
    let fence = store.take(ENVIRONMENT, &owner("one"), &[]).await.unwrap();
    let held = proxy.trap_of(Trapped::Stream, Place::Before);
    let commit = great_batch(1, "one");
    // The first breaks off; the second waits for what that has locked, and ends it.
    for _ in 0..2 {
        assert!(matches!(store.commit(&fence, &commit).await, Err(HistoryError::Unavailable { .. })));
    }
    store.commit(&fence, &commit).await.unwrap();
    in_time("the stream", held).await.unwrap().cut();
    assert_eq!(audit::history(&database, ENVIRONMENT, true).await.messages, ["one"]);
    store.close().await;
}
