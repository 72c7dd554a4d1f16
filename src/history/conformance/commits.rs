//! Cases about what a commit does, and what it refuses.

use super::scenario::*;
use crate::core::{AttemptId, DryRunId, Grant, Name, OutcomeKind, Record, ResourceId, VersionNumber};
use crate::history::{Batch, HistoryError};
use std::sync::Arc;

pub(super) async fn a_batch_whose_reply_was_lost_is_committed_once(store: AnyStore) {
    let owned = Owned::take(&store, "prod").await;
    let records = vec![version(1, vec![wants(0, "a", "1")]), grant(1, 0, "a")];
    let batch = Batch { number: 1, records, rows: vec![new_row(0, intent("a", "1"), 1)] };
    for _ in 0..3 {
        store.commit(&owned.fence, &batch).await.unwrap();
    }
    let ending = Batch { number: 2, records: vec![succeeded(1, 0)], rows: vec![] };
    for _ in 0..3 {
        store.commit(&owned.fence, &ending).await.unwrap();
    }
    // Also when later ones have followed.
    store.commit(&owned.fence, &batch).await.unwrap();
    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!((snapshot.version, snapshot.last_attempt), (VersionNumber(1), AttemptId(1)));
    assert!(snapshot.grants.is_empty());
}

pub(super) async fn a_batch_that_skips_a_number_finds_history_short(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![])]).await;
    owned.last_batch += 1;
    for records in [vec![version(2, vec![])], vec![grant(1, 0, "a")]] {
        let error = owned.commit(records, vec![]).await.unwrap_err();
        assert!(matches!(error, HistoryError::Lost { last: Some(1), .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("batch 1 is the last one") && said.contains("batch 2 was before"), "{said}");
    }
    assert_eq!(store.attempts("prod", None, None, 9).await.unwrap().len(), 0);
    store.load(&owned.fence).await.unwrap();
}

/// Each bad batch is good but for one record at its end.
pub(super) async fn a_refused_batch_writes_nothing(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1")]), grant(1, 0, "a"), succeeded(1, 0)]).await;
    let before = format!("{:?}", store.load(&owned.fence).await.unwrap());
    let b = || vec![new_row(1, intent("b", "1"), 2)];
    for bad in [succeeded(1, 0), grant(1, 0, "a"), version(4, vec![])] {
        let records = vec![version(2, vec![wants(1, "b", "1")]), grant(2, 1, "b"), skipped(3, 0), bad];
        refusal(&owned.commit(records, b()).await);
        assert_eq!(format!("{:?}", store.load(&owned.fence).await.unwrap()), before);
    }
    for bad in [succeeded(1, 0), grant(1, 0, "a")] {
        refusal(&owned.commit(vec![grant(2, 0, "a"), skipped(3, 0), bad], b()).await);
        assert_eq!(format!("{:?}", store.load(&owned.fence).await.unwrap()), before);
    }
    assert_eq!(store.versions("prod", None, 9).await.unwrap().len(), 1);
    assert_eq!(store.attempts("prod", None, None, 9).await.unwrap().len(), 1);
    owned.commit(vec![version(2, vec![])], vec![]).await.unwrap();
}

pub(super) async fn versions_are_gap_free(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let reason = refusal(&owned.commit(vec![version(2, vec![])], vec![]).await);
    assert!(reason.contains("version 2") && reason.contains("version 0"), "{reason}");
    owned.commit(vec![version(1, vec![]), version(2, vec![])], vec![]).await.unwrap();
    for number in [1, 2, 4] {
        refusal(&owned.commit(vec![version(number, vec![])], vec![]).await);
    }
    refusal(&owned.commit(vec![version(3, vec![]), version(5, vec![])], vec![]).await);
    refusal(&owned.commit(vec![version(3, vec![wants(0, "a", "1"), removes(0, "a")])], vec![]).await);
    owned.commit(vec![version(3, vec![])], vec![]).await.unwrap();
}

pub(super) async fn an_attempt_is_granted_once_and_ends_once(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![grant(1, 0, "a"), ended(1, 0, OutcomeKind::Lost), skipped(2, 0)]).await;
    refusal(&owned.commit(vec![grant(1, 0, "a")], vec![]).await);
    refusal(&owned.commit(vec![succeeded(1, 0)], vec![]).await);
    refusal(&owned.commit(vec![succeeded(2, 0)], vec![]).await);
    refusal(&owned.commit(vec![grant(3, 0, "a"), grant(3, 1, "b")], vec![]).await);
    refusal(&owned.commit(vec![skipped(3, 0), skipped(3, 1)], vec![]).await);
    owned.commit(vec![grant(3, 0, "a"), succeeded(3, 0)], vec![]).await.unwrap();
}

pub(super) async fn a_row_appears_once_in_a_batch(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1")])]).await;
    let row = new_row(0, intent("a", "1"), 1);
    let reason = refusal(&owned.commit(vec![], vec![row.clone(), row]).await);
    assert!(reason.contains("resource 0 (a)"), "{reason}");
}

pub(super) async fn a_grant_of_a_dry_run_is_refused(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let Record::Grant(executor, granted) = grant(1, 0, "a") else { unreachable!() };
    let dry = Grant { resource: None, ..Grant::clone(&granted) };
    let reason = refusal(&owned.commit(vec![Record::Grant(executor, Arc::new(dry))], vec![]).await);
    assert!(reason.contains("grant 1"), "{reason}");
}

pub(super) async fn a_nul_is_refused_with_the_place(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let message: Name = "ab\0c".into();
    let reason =
        refusal(&owned.commit(vec![ended(7, 0, OutcomeKind::Failed { message, finding: None })], vec![]).await);
    assert_eq!(reason, "the outcome of attempt 7 has a NUL character at byte 2 of a text");
    refusal(&owned.commit(vec![version(1, vec![wants(0, "a\0", "1")])], vec![]).await);
    // In JSON it is written with six characters, and is as good as any other.
    owned.commit(vec![version(1, vec![wants(0, "a", "\\u0000")])], vec![]).await.unwrap();
}

pub(super) async fn a_new_owner_counts_its_batches_from_one(store: AnyStore) {
    let mut first = Owned::take(&store, "prod").await;
    first.record(vec![version(1, vec![]), version(2, vec![])]).await;
    let mut second = Owned::take(&store, "prod").await;
    second.record(vec![version(3, vec![])]).await;
    assert_eq!(store.load(&second.fence).await.unwrap().version, VersionNumber(3));
}

/// More rows than one statement takes.
pub(super) async fn a_batch_of_thousands_is_one_batch(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let count = crate::history::limits::STATEMENT_ROWS as u32 + 1;
    let called = |number: u32| format!("file-{number}");
    let mut records = vec![version(1, (0..count).map(|number| wants(number, &called(number), "1")).collect())];
    let rows = (0..count).map(|number| new_row(number, intent(&called(number), "1"), 1)).collect();
    records.extend((0..count).map(|number| grant(u64::from(number) + 1, number, &called(number))));
    owned.commit(records, rows).await.unwrap();
    let ends = (1..count).map(|number| succeeded(u64::from(number) + 1, number));
    owned
        .commit(ends.chain((0..count).map(|number| skipped(u64::from(count + number) + 1, 0))).collect(), vec![])
        .await
        .unwrap();

    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!(snapshot.resources.len(), count as usize);
    assert_eq!(snapshot.last_resource, Some(ResourceId(count - 1)));
    assert_eq!(snapshot.grants.iter().map(|open| open.attempt).collect::<Vec<_>>(), [AttemptId(1)]);
}

/// Great numbers are written in another way than a few: every column must come back the same, of what is new and of what takes another's place.
pub(super) async fn what_comes_in_great_numbers_comes_back_as_it_was(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let count = 2 * crate::history::limits::COPIED_ROWS as u32;
    let called = |number: u32| format!("file-{number}");
    let row = |number: u32, version: u64| {
        let row = if number.is_multiple_of(3) { full_row } else { new_row };
        row(number, intent(&called(number), "1"), version)
    };
    let kinds = all_endings();
    let records = std::iter::once(version(1, (0..count).map(|number| wants(number, &called(number), "1")).collect()))
        .chain((0..count).map(|number| grant(u64::from(number) + 1, number, &called(number))))
        .chain(
            (0..count)
                .zip(kinds.iter().cycle())
                .map(|(number, kind)| ended(u64::from(number) + 1, number, kind.clone())),
        )
        .chain((0..count).map(|number| Record::DryRunResult {
            id: DryRunId(1),
            name: called(number).into(),
            result: "update",
            detail: format!("+ ü {number}").into(),
        }));
    owned.commit(records.collect(), (0..count).map(|number| row(number, 1)).collect()).await.unwrap();
    // What is known takes its place before, between and behind what is new.
    let intents = (count..2 * count).map(|number| wants(number, &called(number), "1"));
    let removed = (0..count).map(|number| removes(number, &called(number)));
    let known = |numbers: std::ops::Range<u32>| numbers.map(|number| full_row(number, intent(&called(number), "1"), 1));
    let half = count / 2;
    let rows = known(0..half).chain((count..2 * count).map(|number| row(number, 2))).chain(known(half..count));
    owned.commit(vec![version(2, intents.chain(removed).collect())], rows.collect()).await.unwrap();

    let expected: Vec<_> = known(0..count).chain((count..2 * count).map(|number| row(number, 2))).collect();
    let mut found = store.load(&owned.fence).await.unwrap().resources;
    found.sort_by_key(|row| row.resource);
    assert_eq!(format!("{found:#?}"), format!("{expected:#?}"));
    let outcomes = store.attempts("prod", None, None, count).await.unwrap().into_iter().rev();
    let expected: Vec<_> = kinds.into_iter().cycle().take(count as usize).map(Some).collect();
    assert_eq!(outcomes.map(|attempt| attempt.outcome.map(|outcome| outcome.kind)).collect::<Vec<_>>(), expected);
    let dry_run = store.dry_run("prod", DryRunId(1)).await.unwrap();
    assert_eq!(dry_run.len(), count as usize);
    assert!(
        dry_run.iter().all(|result| *result.detail == *format!("+ ü {}", &result.name["file-".len()..])),
        "{dry_run:?}"
    );
    let wanted = store.intents_at("prod", VersionNumber(2)).await.unwrap().unwrap();
    let expected: Vec<_> = (count..2 * count).map(|number| wants(number, &called(number), "1")).collect();
    assert_eq!(format!("{wanted:#?}"), format!("{expected:#?}"));
    let before = store.intents_at("prod", VersionNumber(1)).await.unwrap().unwrap();
    assert_eq!(before.len(), count as usize);
}
