//! What retention drops, and what it keeps whatever its age (S7).

use super::scenario::*;
use crate::core::{
    AttemptId, DryRunId, Life, Name, Record, RequestId, RequestKind, RequestRecord, ResourceRow, Retention, Scope,
    Timestamp, VersionNumber,
};
use crate::history::HistoryError;

const TWO_VERSIONS: Retention = Retention { versions: 2, attempts_ms: 0 };
/// Nothing that attempts leave is old enough.
const LONG_AGO: Timestamp = Timestamp(0);

async fn trimmed(owned: &Owned, retention: Retention, now: Timestamp) -> u64 {
    let mut dropped = 0;
    loop {
        match owned.store.trim(&owned.fence, retention, now).await.unwrap() {
            0 => return dropped,
            some => dropped += some,
        }
    }
}

fn request(id: u64) -> Record {
    let (author, message): (Name, Name) = ("ana".into(), "why".into());
    let (kind, scope, at) = (RequestKind::Deploy, Scope::default(), Timestamp(1));
    Record::Request(RequestRecord {
        id: RequestId(id),
        kind,
        scope,
        author,
        at,
        after: AttemptId(4),
        message,
        digest: None,
    })
}

async fn loaded(owned: &Owned) -> String {
    format!("{:#?}", owned.store.load(&owned.fence).await.unwrap())
}

pub(super) async fn s7_old_versions_go_and_what_kept_ones_want_stays(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let row = |resource, called: &str, content: &str, version| new_row(resource, intent(called, content), version);
    let stays = vec![wants(0, "old", "1"), wants(1, "edited", "1"), wants(2, "removed", "1"), wants(3, "doomed", "1")];
    owned.commit(vec![version(1, stays)], vec![row(0, "old", "1", 1), row(2, "removed", "1", 1)]).await.unwrap();
    owned.commit(vec![version(2, vec![wants(1, "edited", "2"), removes(2, "removed")])], vec![]).await.unwrap();
    let tombstone = ResourceRow { life: Life::Tombstone, ..row(3, "doomed", "1", 3) };
    let gone = ResourceRow { life: Life::Deleted, ..row(2, "removed", "1", 3) };
    owned.commit(vec![version(3, vec![removes(3, "doomed")])], vec![tombstone, gone]).await.unwrap();
    owned.commit(vec![version(4, vec![wants(1, "edited", "4")])], vec![row(1, "edited", "4", 4)]).await.unwrap();
    let before = (loaded(&owned).await, store.intents_at("prod", VersionNumber(3)).await.unwrap());

    assert!(trimmed(&owned, TWO_VERSIONS, LONG_AGO).await > 0);
    assert_eq!((loaded(&owned).await, store.intents_at("prod", VersionNumber(3)).await.unwrap()), before);
    assert_eq!(store.oldest_version("prod").await.unwrap(), VersionNumber(3));
    assert_eq!(store.versions("prod", None, 9).await.unwrap().len(), 2);
    assert_eq!(store.intents_at("prod", VersionNumber(2)).await.unwrap(), None, "dropped, not rebuilt in part");
    assert_eq!(trimmed(&owned, TWO_VERSIONS, LONG_AGO).await, 0, "nothing is dropped twice");
    owned.commit(vec![version(5, vec![wants(1, "edited", "5")])], vec![]).await.unwrap();
}

pub(super) async fn s7_a_version_that_waits_for_its_release_stays(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let released = new_row(0, intent("held", "1"), 1);
    owned.commit(vec![version(1, vec![wants(0, "held", "1")])], vec![released]).await.unwrap();
    for number in 2..=5 {
        owned.commit(vec![version(number, vec![wants(0, "held", &number.to_string())])], vec![]).await.unwrap();
    }
    let before = loaded(&owned).await;
    trimmed(&owned, TWO_VERSIONS, LONG_AGO).await;
    assert_eq!(loaded(&owned).await, before, "what is released is what version 1 said");
}

pub(super) async fn s7_old_attempts_go_in_the_order_of_their_numbers(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1")])]).await;
    for attempt in 1..=6 {
        owned.record(vec![grant(attempt, 0, "a")]).await;
    }
    // The fourth is still open.
    for attempt in [1, 2, 3, 5, 6] {
        owned.record(vec![succeeded(attempt, 0)]).await;
    }
    let numbers = async || {
        let attempts = store.attempts("prod", Some(&["a".into()]), None, 9).await.unwrap();
        attempts.iter().map(|attempt| attempt.attempt.0).collect::<Vec<_>>()
    };
    // The second ended at 22.
    assert_eq!(trimmed(&owned, TWO_VERSIONS, Timestamp(22)).await, 1);
    assert_eq!(numbers().await, [6, 5, 4, 3, 2]);
    assert_eq!(trimmed(&owned, TWO_VERSIONS, Timestamp(1_000)).await, 2);
    assert_eq!(numbers().await, [6, 5, 4], "what is open, and all after it, stays");
    owned.record(vec![succeeded(4, 0)]).await;
    store.load(&owned.fence).await.unwrap();
    trimmed(&owned, TWO_VERSIONS, Timestamp(1_000)).await;
    assert_eq!(numbers().await, [6], "the newest stays, so that its number is not given again");
    assert_eq!(store.load(&owned.fence).await.unwrap().last_attempt, AttemptId(6));
}

pub(super) async fn s7_ended_requests_and_dry_runs_go(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    for id in 1..=3 {
        owned.record(vec![request(id)]).await;
        let (id, at, author) = (DryRunId(id), Timestamp(id as i64), "ana".into());
        let (name, result, detail) = ("a".into(), "none", "".into());
        owned
            .record(vec![
                Record::DryRun { id, items: 1, author, at },
                Record::DryRunResult { id, name, result, detail },
            ])
            .await;
    }
    owned
        .record(vec![Record::RequestDone(RequestId(1), Timestamp(1)), Record::RequestDone(RequestId(3), Timestamp(1))])
        .await;
    assert_eq!(trimmed(&owned, TWO_VERSIONS, Timestamp(2)).await, 2);
    assert_eq!(store.dry_run("prod", DryRunId(1)).await.unwrap().len(), 0);
    assert_eq!(store.dry_run("prod", DryRunId(2)).await.unwrap().len(), 1, "not old enough");
    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!(
        (snapshot.last_request, snapshot.requests.len()),
        (RequestId(3), 1),
        "the open one, and the newest number"
    );
}

pub(super) async fn s7_a_taken_over_owner_drops_nothing(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record((1..=3).map(|number| version(number, vec![wants(0, "a", &number.to_string())])).collect()).await;
    Owned::take(&store, "prod").await;
    let refused = store.trim(&owned.fence, TWO_VERSIONS, LONG_AGO).await;
    assert!(matches!(refused, Err(HistoryError::Fenced { .. })), "{refused:?}");
    assert_eq!(store.oldest_version("prod").await.unwrap(), VersionNumber(1));
}
