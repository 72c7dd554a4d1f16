//! Cases about what comes back.

use super::scenario::*;
use crate::core::{
    AttemptId, DryRunId, Hash, IntentRecord, Life, LoadedRow, Name, OnChange, OpenGrant, Operation, Outcome,
    OutcomeKind, Pending, RateLimit, Reason, Record, Repair, RepairAction, RepairSchedule, RequestId, RequestKind,
    RequestRecord, ResourceId, ResourceRow, Retention, Retry, Scope, Settings, Snapshot, Target, Thing, Timestamp,
    VersionNumber, Window, Windows,
};
use crate::history::AttemptSummary;

fn settings(suspend: bool) -> Settings {
    Settings {
        suspend,
        retry: Retry { base_delay_ms: 1, max_delay_ms: u64::MAX, factor: 1.1, jitter: 0.3 },
        repair: Repair {
            schedule: RepairSchedule::Cron("0 3 * * *".into()),
            jitter_ms: Some(5),
            action: RepairAction::Report,
        },
        max_in_flight: suspend.then_some(7),
        on_change: if suspend { OnChange::Manual } else { OnChange::Automatic },
        retention: Retention { versions: 3, attempts_ms: 5 },
    }
}

fn target(called: &str, concurrency: u32) -> Target {
    let connection = r#"{"type":"local"}"#.into();
    let window = Window { start: "0 22 * * *".into(), duration_ms: 60_000, time_zone: Some("Europe/Brussels".into()) };
    Target {
        name: called.into(),
        pool: "pool".into(),
        connection,
        concurrency,
        suspend: concurrency > 1,
        windows: Windows { deploy: vec![window], repair: vec![] },
        rate_limit: Some(RateLimit { attempts: 3, period_ms: 1_000 }),
    }
}

fn request(id: u64, kind: RequestKind, scope: &Scope) -> Record {
    Record::Request(open(id, kind, scope))
}

fn open(id: u64, kind: RequestKind, scope: &Scope) -> RequestRecord {
    let (scope, at) = (scope.clone(), Timestamp(id as i64));
    let digest = (id > 1).then(|| Hash::of(&[&id.to_be_bytes()]));
    RequestRecord {
        id: RequestId(id),
        kind,
        scope,
        author: "ana".into(),
        at,
        after: AttemptId(4),
        message: "why".into(),
        digest,
    }
}

pub(super) async fn a_new_environment_is_empty(store: AnyStore) {
    let owned = Owned::take(&store, "prod").await;
    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!(format!("{snapshot:?}"), format!("{:?}", Snapshot::default()));
}

pub(super) async fn what_is_committed_is_loaded(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let scope = Scope { target: Some("host-1".into()), names: Some(vec!["a".into(), "ä\"".into()]) };
    let intents = vec![wants(0, "a", "1"), wants(5, "b", "1")];
    let records = vec![
        Record::Settings(settings(true)),
        Record::Target(target("host-1", 3)),
        version(1, intents),
        grant(7, 5, "b"),
        skipped(8, 0),
        request(3, RequestKind::Repair, &scope),
        Record::DryRun { id: DryRunId(2), items: 1, author: "ana".into(), at: Timestamp(1) },
    ];
    let rows = vec![full_row(0, intent("a", "1"), 1), new_row(5, intent("b", "1"), 1)];
    owned.commit(records, rows.clone()).await.unwrap();

    let expected = Snapshot {
        version: VersionNumber(1),
        last_attempt: AttemptId(8),
        last_resource: Some(ResourceId(5)),
        last_request: RequestId(3),
        last_dry_run: DryRunId(2),
        settings: Some(settings(true)),
        targets: vec![target("host-1", 3)],
        resources: rows.into_iter().map(LoadedRow::from).collect(),
        grants: vec![OpenGrant {
            attempt: AttemptId(7),
            resource: ResourceId(5),
            thing: Some(Thing::of(&intent("b", "1"))),
            executor: "executor-1".into(),
            operation: Operation::Observe,
            reason: Reason::Retry,
            hash: intent("b", "1").hash(),
        }],
        lost: vec![],
        requests: vec![open(3, RequestKind::Repair, &scope)],
    };
    assert_eq!(format!("{:#?}", store.load(&owned.fence).await.unwrap()), format!("{expected:#?}"));
    assert_eq!(format!("{:#?}", store.peek("prod").await.unwrap().unwrap()), format!("{expected:#?}"));
}

pub(super) async fn only_grants_without_an_outcome_are_open(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record((1..=6).map(|attempt| grant(attempt, 0, "a")).collect()).await;
    owned.record(vec![succeeded(2, 0), succeeded(5, 0)]).await;
    // Loading more than once loses none.
    for _ in 0..2 {
        let open = store.load(&owned.fence).await.unwrap().grants;
        assert_eq!(open.iter().map(|grant| grant.attempt.0).collect::<Vec<_>>(), [1, 3, 4, 6]);
    }
    owned.record(vec![succeeded(1, 0), succeeded(3, 0), succeeded(6, 0), grant(7, 0, "a")]).await;
    for _ in 0..2 {
        let open = store.load(&owned.fence).await.unwrap().grants;
        assert_eq!(open.iter().map(|grant| grant.attempt.0).collect::<Vec<_>>(), [4, 7]);
    }
}

pub(super) async fn gone_resources_are_not_loaded_but_keep_their_numbers(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let lives = [Life::Live, Life::Tombstone, Life::Orphan, Life::Deleted];
    let called = |number: usize| format!("file-{number}");
    owned.record(vec![version(1, (0..4).map(|number| wants(number, &called(number as usize), "1")).collect())]).await;
    owned.record(vec![version(2, (1..4).map(|number| removes(number, &called(number as usize))).collect())]).await;
    let row =
        |(number, life)| crate::core::ResourceRow { life, ..new_row(number as u32, intent(&called(number), "1"), 1) };
    let rows: Vec<_> = lives.into_iter().enumerate().map(row).collect();
    owned.commit(vec![], rows.clone()).await.unwrap();

    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!(snapshot.resources, rows[..2]);
    assert_eq!(snapshot.last_resource, Some(ResourceId(3)));
}

pub(super) async fn what_waits_for_its_release_comes_back(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let first = (0..3).map(|number| wants(number, "a", "1")).collect();
    let second = vec![wants(0, "a", "2"), wants(2, "a", "2"), wants(3, "new", "1")];
    let records = vec![version(1, first), version(2, second), version(3, vec![removes(1, "a"), removes(2, "a")])];
    let waits = |resource, version, content: &str, removed| {
        let (version, intent) = (VersionNumber(version), intent("a", content));
        let pending = Some(Box::new(Pending { version, set: "default".into(), intent, removed }));
        ResourceRow { pending, ..full_row(resource, self::intent("a", "1"), 1) }
    };
    let new = ResourceRow { life: Life::Unreleased, ..new_row(3, intent("new", "1"), 2) };
    let rows = vec![waits(0, 2, "2", false), waits(1, 3, "1", true), waits(2, 3, "2", true), new];
    owned.commit(records, rows.clone()).await.unwrap();
    assert_eq!(store.load(&owned.fence).await.unwrap().resources, rows);

    // Released, and taken back.
    let released = vec![full_row(0, intent("a", "2"), 2), full_row(1, intent("a", "1"), 1)];
    owned.commit(vec![], released.clone()).await.unwrap();
    assert_eq!(store.load(&owned.fence).await.unwrap().resources[..2], released);
}

pub(super) async fn current_state_is_the_last_that_was_written(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let records = vec![
        Record::Settings(settings(false)),
        Record::Target(target("b", 1)),
        Record::Target(target("a", 1)),
        Record::Target(target("c", 1)),
        Record::Settings(settings(true)),
        Record::Target(target("a", 2)),
        Record::TargetRemoved("c".into()),
        version(1, vec![wants(0, "a", "1")]),
    ];
    owned.commit(records, vec![full_row(0, intent("a", "1"), 1)]).await.unwrap();
    let records = vec![
        Record::TargetRemoved("b".into()),
        Record::Target(target("b", 9)),
        Record::TargetRemoved("never there".into()),
        version(2, vec![wants(0, "a", "2")]),
    ];
    let last = ResourceRow { set: "other".into(), ..new_row(0, intent("a", "2"), 2) };
    owned.commit(records, vec![last.clone()]).await.unwrap();

    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!(snapshot.settings, Some(settings(true)));
    assert_eq!(snapshot.targets, [target("a", 2), target("b", 9)]);
    assert_eq!(snapshot.resources, [last]);
}

/// What many rows share is kept once, and columns of one type stand side by side: neither is another's.
pub(super) async fn each_row_has_its_own_policy_and_its_own_flags(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let row = |number: u32| ResourceRow {
        skipped: number == 1,
        maybe_changed: number == 2,
        removal_approved: number == 3,
        ..new_row(number, intent_within(&format!("r{number}"), "1", number.into()), 1)
    };
    let rows: Vec<ResourceRow> = (1..=4).map(row).collect();
    let wanted: Vec<IntentRecord> = rows
        .iter()
        .map(|row| IntentRecord { intent: Some(row.intent.clone()), ..wants(row.resource.0, &row.intent.name, "1") })
        .collect();
    owned.commit(vec![version(1, wanted.clone())], rows.clone()).await.unwrap();
    assert_eq!(store.load(&owned.fence).await.unwrap().resources, rows);
    assert_eq!(store.intents_at("prod", VersionNumber(1)).await.unwrap(), Some(wanted));
}

pub(super) async fn every_version_can_be_rebuilt(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let deltas = [
        vec![wants(0, "a", "1"), wants(1, "b", "1")],
        vec![wants(1, "b", "2"), wants(2, "c", "1")],
        vec![removes(0, "a"), wants(2, "c", "2")],
        // Added again, as the same resource and as a new one.
        vec![wants(0, "a", "1"), removes(1, "b")],
        vec![wants(3, "b", "1")],
        vec![removes(0, "a"), removes(2, "c"), removes(3, "b")],
    ];
    let mut wanted = std::collections::BTreeMap::new();
    let mut expected: Vec<Vec<IntentRecord>> = vec![vec![]];
    for (number, delta) in (1..).zip(deltas) {
        owned.record(vec![version(number, delta.clone())]).await;
        wanted.extend(delta.into_iter().map(|record| (record.resource, record)));
        expected.push(wanted.values().filter(|record| record.intent.is_some()).cloned().collect());
    }
    for (number, content) in (0..).zip(expected) {
        assert_eq!(store.intents_at("prod", VersionNumber(number)).await.unwrap(), Some(content), "version {number}");
    }
    assert_eq!(store.intents_at("prod", VersionNumber(7)).await.unwrap(), None);
}

pub(super) async fn versions_are_paged_newest_first(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned
        .record(vec![
            version(1, vec![wants(0, "a", "1"), wants(1, "b", "1")]),
            version(2, vec![removes(0, "a"), wants(1, "b", "2")]),
        ])
        .await;
    owned.record((3..=5).map(|number| version(number, vec![])).collect()).await;

    let page = store.versions("prod", None, 2).await.unwrap();
    assert_eq!(page.iter().map(|version| version.number.0).collect::<Vec<_>>(), [5, 4]);
    let page = store.versions("prod", Some(VersionNumber(4)), 9).await.unwrap();
    assert_eq!(page.iter().map(|version| version.number.0).collect::<Vec<_>>(), [3, 2, 1]);
    let second = &page[1];
    assert_eq!((second.upserts, second.removals, second.at), (1, 1, Timestamp(1_700_000_000_002)));
    assert_eq!((&*second.author, &*second.source, &*second.message), ("ana", "manifests", "change 2"));
    assert!(store.versions("prod", Some(VersionNumber(1)), 9).await.unwrap().is_empty());
}

pub(super) async fn attempts_are_paged_newest_first(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1"), wants(1, "b", "1")])]).await;
    owned
        .record(vec![
            grant(1, 0, "a"),
            skipped(2, 1),
            grant(3, 1, "b"),
            succeeded(1, 0),
            skipped(4, 0),
            grant(5, 0, "a"),
        ])
        .await;

    let numbers =
        |page: &[crate::history::AttemptSummary]| page.iter().map(|attempt| attempt.attempt.0).collect::<Vec<_>>();
    let all = store.attempts("prod", None, None, 9).await.unwrap();
    assert_eq!(numbers(&all), [5, 4, 3, 2, 1]);
    let (open, skip, ended) = (&all[2], &all[3], &all[4]);
    assert_eq!((&*open.name, open.version, open.granted_at), ("b", Some(VersionNumber(1)), Some(Timestamp(30))));
    assert_eq!(
        (open.reason, open.operation, open.executor.as_deref()),
        (Some(Reason::Retry), Some(Operation::Observe), Some("executor-1"))
    );
    assert_eq!(open.outcome, None);
    assert_eq!((&*skip.name, skip.version, skip.reason, &skip.executor), ("b", None, None, &None));
    let times =
        |attempt: &AttemptSummary| attempt.outcome.as_ref().map(|outcome| (outcome.began_at, outcome.finished_at));
    assert_eq!((skip.granted_at, times(skip)), (None, Some((None, Timestamp(22)))));
    assert_eq!(times(ended), Some((Some(Timestamp(11)), Timestamp(12))));

    assert_eq!(numbers(&store.attempts("prod", None, Some(AttemptId(4)), 2).await.unwrap()), [3, 2]);
    assert_eq!(numbers(&store.attempts("prod", None, Some(AttemptId(2)), 2).await.unwrap()), [1]);
    assert!(store.attempts("prod", None, None, 0).await.unwrap().is_empty());
}

pub(super) async fn attempts_of_one_name_are_found(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    // The name `a` moves from resource 0 to resource 2; resource 1 is a neighbour with a name that looks like it.
    owned
        .record(vec![
            version(1, vec![wants(0, "a", "1"), wants(1, "a ", "1")]),
            version(2, vec![wants(0, "was-a", "1"), wants(2, "a", "1")]),
        ])
        .await;
    owned
        .record(vec![
            grant(1, 0, "a"),
            grant(2, 1, "a "),
            grant(3, 2, "a"),
            skipped(4, 2),
            skipped(5, 1),
            succeeded(1, 0),
        ])
        .await;

    let found = store.attempts("prod", Some(&["a".into()]), None, 9).await.unwrap();
    let found: Vec<_> = found.iter().map(|attempt| (attempt.attempt.0, &*attempt.name)).collect();
    assert_eq!(found, [(4, "a"), (3, "a"), (1, "was-a")]);
    let page = store.attempts("prod", Some(&["a".into()]), Some(AttemptId(4)), 1).await.unwrap();
    assert_eq!(page.iter().map(|attempt| attempt.attempt.0).collect::<Vec<_>>(), [3]);
    // Open ones are found after a load too.
    store.load(&owned.fence).await.unwrap();
    assert_eq!(store.attempts("prod", Some(&["a".into()]), None, 9).await.unwrap().len(), 3);
    assert!(store.attempts("prod", Some(&["nobody".into()]), None, 9).await.unwrap().is_empty());
    assert!(store.attempts("prod", Some(&[]), None, 9).await.unwrap().is_empty());
    // Of several, each attempt once; and the same of as many as are looked for in another way.
    let others = || (3..100).map(|number| (number, format!("x{number}")));
    owned.record(vec![version(3, others().map(|(number, name)| wants(number, &name, "1")).collect())]).await;
    let several: Vec<Name> = ["a ", "was-a", "a", "nobody"].map(Name::from).to_vec();
    let many: Vec<Name> = several.iter().cloned().chain(others().map(|(_, name)| name.into())).collect();
    for names in [&several[..], &many[..]] {
        let found = store.attempts("prod", Some(names), None, 9).await.unwrap();
        assert_eq!(found.iter().map(|attempt| attempt.attempt.0).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
        let page = store.attempts("prod", Some(names), Some(AttemptId(4)), 2).await.unwrap();
        assert_eq!(page.iter().map(|attempt| attempt.attempt.0).collect::<Vec<_>>(), [3, 2]);
    }
}

pub(super) async fn every_kind_of_outcome_comes_back(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let kinds = all_endings();
    owned
        .commit((1..).zip(&kinds).map(|(attempt, kind)| ended(attempt, 0, kind.clone())).collect(), vec![])
        .await
        .unwrap();
    let found = store.attempts("prod", None, None, 99).await.unwrap();
    let outcomes: Vec<Outcome> = found.iter().rev().map(|attempt| attempt.outcome.clone().unwrap()).collect();
    assert_eq!(outcomes.iter().map(|outcome| outcome.kind.clone()).collect::<Vec<_>>(), kinds);
    assert!(outcomes.iter().all(|outcome| outcome.log == log_of(outcome.attempt.0)), "{found:?}");
}

pub(super) async fn q5_a_late_result_is_kept_beside_the_outcome_once(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let kinds = all_endings();
    for (attempt, kind) in (1..).zip(&kinds) {
        owned
            .record(vec![grant(attempt, 0, "a"), ended(attempt, 0, OutcomeKind::Lost), late(attempt, kind.clone())])
            .await;
    }
    refusal(&owned.commit(vec![late(1, OutcomeKind::Revoked)], vec![]).await);
    let found = store.attempts("prod", None, None, 99).await.unwrap();
    let kept = (1..).zip(kinds).map(|(attempt, kind)| {
        let Record::LateResult(outcome) = late(attempt, kind) else { unreachable!() };
        outcome
    });
    assert_eq!(
        found.iter().rev().map(|attempt| attempt.late.clone().unwrap()).collect::<Vec<_>>(),
        kept.collect::<Vec<_>>()
    );
    assert!(found.iter().all(|attempt| attempt.outcome.as_ref().unwrap().kind == OutcomeKind::Lost), "{found:?}");
}

pub(super) async fn q5_who_lost_what_is_loaded_until_there_is_a_late_result(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    for attempt in 1..=3 {
        owned.record(vec![grant(attempt, 0, "a"), ended(attempt, 0, OutcomeKind::Lost)]).await;
    }
    owned.record(vec![grant(4, 0, "a"), succeeded(4, 0), skipped(5, 0), grant(6, 0, "a")]).await;
    owned.record(vec![late(2, OutcomeKind::Revoked)]).await;
    let lost = store.load(&owned.fence).await.unwrap().lost;
    assert_eq!(lost, [3, 1].map(|attempt| (AttemptId(attempt), name("executor-1"))));
}

pub(super) async fn dry_runs_are_read_by_name(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let run = |id| Record::DryRun { id: DryRunId(id), items: 2, author: "ana".into(), at: Timestamp(1) };
    let result = |id, called: &str, result| Record::DryRunResult {
        id: DryRunId(id),
        name: called.into(),
        result,
        detail: "+ x".into(),
    };
    owned
        .record(vec![run(1), run(2), result(2, "b", "create"), result(1, "b", "none"), result(2, "Z", "unavailable")])
        .await;

    let found = store.dry_run("prod", DryRunId(2)).await.unwrap();
    let found: Vec<_> = found.iter().map(|result| (&*result.name, &*result.result, &*result.detail)).collect();
    assert_eq!(found, [("Z", "unavailable", "+ x"), ("b", "create", "+ x")]);
    assert!(store.dry_run("prod", DryRunId(3)).await.unwrap().is_empty());
    refusal(&owned.commit(vec![run(2)], vec![]).await);
    refusal(&owned.commit(vec![result(2, "b", "none")], vec![]).await);
    refusal(&owned.commit(vec![result(1, "c", "none"), result(1, "c", "update")], vec![]).await);
}

pub(super) async fn requests_are_open_until_done(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let all = Scope::default();
    owned.record((1..=3).map(|id| request(id, RequestKind::Deploy, &all)).collect()).await;
    owned.record(vec![Record::RequestDone(RequestId(2), Timestamp(9))]).await;
    let snapshot = store.load(&owned.fence).await.unwrap();
    assert_eq!(snapshot.requests, [1, 3].map(|id| open(id, RequestKind::Deploy, &all)));
    assert_eq!(snapshot.last_request, RequestId(3));
    refusal(&owned.commit(vec![request(3, RequestKind::Deploy, &all)], vec![]).await);
    refusal(&owned.commit(vec![Record::RequestDone(RequestId(2), Timestamp(9))], vec![]).await);

    let all_kinds = (4..).zip(RequestKind::ALL).map(|(id, kind)| request(id, kind, &all));
    owned.record(all_kinds.collect()).await;
    let found = store.load(&owned.fence).await.unwrap().requests;
    assert_eq!(found.into_iter().skip(2).map(|open| open.kind).collect::<Vec<_>>(), RequestKind::ALL);
}

pub(super) async fn unknown_environments_are_empty_or_none(store: AnyStore) {
    Owned::take(&store, "zeta").await;
    Owned::take(&store, "Alpha").await;
    assert_eq!(store.environments().await.unwrap(), [name("Alpha"), name("zeta")]);
    assert!(store.peek("alpha").await.unwrap().is_none());
    assert!(store.versions("alpha", None, 9).await.unwrap().is_empty());
    assert!(store.intents_at("alpha", VersionNumber(0)).await.unwrap().is_none());
    assert!(store.attempts("alpha", None, None, 9).await.unwrap().is_empty());
    assert!(store.dry_run("alpha", DryRunId(1)).await.unwrap().is_empty());
}
