//! Cases about what an owner can do when history refuses a text, or has forgotten what it acknowledged.

use super::scenario::*;
use crate::core::{
    AttemptId, Change, Epoch, Finding, OutcomeKind, Record, RequestId, RequestKind, RequestRecord, Scope, Timestamp,
    VersionNumber,
};
use crate::history::memory::MemoryStore;
use crate::history::mending::mend;
use crate::history::postgres::PostgresStore;
use crate::history::{AttemptSummary, Batch, HistoryError, Store, test_database};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::Arc;

pub(super) async fn a_probe_answers_like_a_commit_and_writes_nothing(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1")])]).await;
    let before = format!("{:?}", store.load(&owned.fence).await.unwrap());
    let next = |records| Batch { number: 2, records, rows: vec![] };
    store.probe(&owned.fence, &next(vec![version(2, vec![]), grant(1, 0, "a")])).await.unwrap();
    refusal(&store.probe(&owned.fence, &next(vec![version(3, vec![])])).await);
    refusal(&store.probe(&owned.fence, &next(vec![grant(1, 0, "a"), grant(1, 0, "a")])).await);
    // An empty one asks whether everything is there.
    for number in [1, 2] {
        store.probe(&owned.fence, &Batch { number, ..Batch::default() }).await.unwrap();
    }
    let gap = store.probe(&owned.fence, &Batch { number: 3, ..Batch::default() }).await;
    assert!(matches!(gap, Err(HistoryError::Lost { last: Some(1), .. })), "{gap:?}");
    assert_eq!(format!("{:?}", store.load(&owned.fence).await.unwrap()), before);
    let second = store.take("prod", &owner("second", LONG_MS), &[name("first")]).await.unwrap();
    assert!(is_fenced(&store.probe(&owned.fence, &next(vec![])).await));
    store.probe(&second, &Batch { number: 1, ..Batch::default() }).await.unwrap();
}

fn failed(attempt: u64, message: &str) -> Record {
    ended(attempt, 0, OutcomeKind::Failed { message: message.into(), finding: None })
}

fn messages(records: &[Record]) -> Vec<String> {
    let message = |record: &Record| match record {
        Record::Outcome { outcome, .. } => match &outcome.kind {
            OutcomeKind::Failed { message, .. } => message.to_string(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    };
    records.iter().map(message).collect()
}

pub(super) async fn of_many_records_only_the_poisoned_ones_are_stripped(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1"), wants(1, "b", "1")])]).await;
    let said = |attempt: u64| match attempt {
        7 | 8 | 90 => format!("☃ {attempt}\0"),
        _ => format!("☃ {attempt}"),
    };
    let mut drifted = full_row(1, intent("b", "1"), 1);
    (drifted.error, drifted.drift) = (None, Some("+ \0".into()));
    let records: Vec<_> = (1..=100).map(|attempt| failed(attempt, &said(attempt))).collect();
    let batch = Batch { number: 2, records, rows: vec![full_row(0, intent("a", "1"), 1), drifted] };
    refusal(&store.commit(&owned.fence, &batch).await);

    let (mended, found) = mend(&*store, &owned.fence, &batch).await.unwrap();
    assert_eq!(found.len(), 4, "{found:?}");
    store.commit(&owned.fence, &mended).await.unwrap();
    for (attempt, message) in (1..).zip(messages(&mended.records)) {
        if matches!(attempt, 7 | 8 | 90) {
            assert!(message.starts_with("[history cannot store what was said here: "), "{message}");
            assert!(message.contains("NUL character") && message.ends_with(&format!("\\u{{2603}} {attempt}\\u{{0}}")));
        } else {
            assert_eq!(message, said(attempt));
        }
    }
    let stored = store.attempts("prod", None, None, 1_000).await.unwrap();
    let stored: Vec<_> = stored.into_iter().rev().map(|attempt| attempt.outcome.unwrap().kind).collect();
    let sent = mended.records.iter().map(|record| match record {
        Record::Outcome { outcome, .. } => outcome.kind.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(stored, sent.collect::<Vec<_>>());
    let rows = store.load(&owned.fence).await.unwrap().resources;
    assert_eq!(rows[0], full_row(0, intent("a", "1"), 1));
    assert!(rows[1].drift.as_ref().unwrap().ends_with("+ \\u{0}"), "{:?}", rows[1].drift);
}

pub(super) async fn a_log_that_cannot_be_stored_is_escaped_and_its_attempt_marked(store: AnyStore) {
    let owned = Owned::take(&store, "prod").await;
    let mut records = vec![failed(3, "oh"), failed(4, "oh")];
    let Record::Outcome { outcome, .. } = &mut records[1] else { unreachable!() };
    outcome.log = Some("one\nt\0o".into());
    let (mended, found) = mend(&*store, &owned.fence, &Batch { number: 1, records, rows: vec![] }).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    store.commit(&owned.fence, &mended).await.unwrap();
    let stored = store.attempts("prod", None, None, 9).await.unwrap();
    let log = |attempt: &AttemptSummary| attempt.outcome.as_ref().and_then(|outcome| outcome.log.clone());
    assert_eq!((log(&stored[0]).as_deref(), log(&stored[1])), (Some("one\nt\\u{0}o"), log_of(3)));
    assert!(messages(&mended.records)[1].contains("NUL character"), "{mended:?}");
}

pub(super) async fn a_request_that_cannot_be_stored_keeps_its_author_and_says_why(store: AnyStore) {
    let owned = Owned::take(&store, "prod").await;
    let request = RequestRecord {
        id: RequestId(1),
        kind: RequestKind::Deploy,
        scope: Scope::default(),
        author: "ana".into(),
        at: Timestamp(1),
        after: AttemptId(4),
        message: "be\0fore".into(),
        digest: None,
    };
    let poisoned = Batch { number: 1, records: vec![Record::Request(request)], rows: vec![] };
    let (mended, _) = mend(&*store, &owned.fence, &poisoned).await.unwrap();
    store.commit(&owned.fence, &mended).await.unwrap();
    let stored = store.requests("prod", None, 9).await.unwrap().remove(0).order;
    assert_eq!(&*stored.author, "ana");
    assert!(stored.message.contains("NUL character") && stored.message.ends_with("be\\u{0}fore"), "{}", stored.message);
}

pub(super) async fn what_decides_something_is_not_stripped(store: AnyStore) {
    let mut owned = Owned::take(&store, "prod").await;
    let poisoned = Batch { number: 1, records: vec![version(1, vec![wants(0, "a\0", "1")])], rows: vec![] };
    let refused = mend(&*store, &owned.fence, &poisoned).await.map(drop);
    assert!(refusal(&refused).contains("NUL"), "{refused:?}");
    owned.record(vec![version(1, vec![])]).await;
}

pub(super) async fn a_mending_ends_with_its_ownership(store: AnyStore) {
    let owned = Owned::take(&store, "prod").await;
    let poisoned = Batch { number: 1, records: vec![failed(1, "\0")], rows: vec![] };
    store.take("prod", &owner("second", LONG_MS), &[name("first")]).await.unwrap();
    assert!(is_fenced(&mend(&*store, &owned.fence, &poisoned).await));
}

/// A reason that nobody but this database has: what is said cannot even be escaped.
#[tokio::test]
async fn a_text_that_the_database_dislikes_as_such_is_dropped() {
    let options = test_database::empty_database().await;
    let store: AnyStore = Arc::new(PostgresStore::connect(options.clone(), 2).await.unwrap());
    let owned = Owned::take(&store, "prod").await;
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let dislike = "ALTER TABLE homeostat.outcome ADD CONSTRAINT manners CHECK (message !~ 'blast' AND diff !~ 'blast')";
    sqlx::raw_sql(dislike).execute(&mut admin).await.unwrap();
    let finding = Finding {
        change: Change::Update,
        diff: "blast".into(),
        remote_identity: Some("id-1".into()),
        ..Finding::same()
    };
    let records = vec![
        failed(1, "oh"),
        failed(2, "blast it"),
        ended(3, 0, OutcomeKind::Succeeded(Finding { diff: "fine".into(), ..finding.clone() })),
        ended(4, 0, OutcomeKind::Succeeded(finding)),
    ];
    let batch = Batch { number: 1, records, rows: vec![] };
    refusal(&store.commit(&owned.fence, &batch).await);
    let (mended, found) = mend(&*store, &owned.fence, &batch).await.unwrap();
    store.commit(&owned.fence, &mended).await.unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let said = messages(&mended.records);
    assert_eq!(said[0], "oh");
    assert!(said[1].contains("manners") && !said[1].contains("blast"), "{said:?}");
    assert!(said[2].contains("fine") && said[3].contains("manners"), "{said:?}");
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let options = test_database::empty_database().await;
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let latin = format!("{}_latin", options.get_database().unwrap());
    let create = format!("CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
    let error = PostgresStore::connect(options.database(&latin), 1).await.unwrap_err().to_string();
    assert!(error.contains("LATIN1") && error.contains("UTF8"), "{error}");
}

/// A store whose database can be set back to what it was.
enum Forgetful {
    Memory(Arc<MemoryStore>),
    Postgres(Arc<PostgresStore>, Box<PgConnectOptions>),
}

/// What it was.
enum Image {
    Memory(crate::history::memory::Image),
    Postgres(String),
}

impl Forgetful {
    fn store(&self) -> AnyStore {
        match self {
            Self::Memory(store) => Arc::clone(store) as AnyStore,
            Self::Postgres(store, _) => Arc::clone(store) as AnyStore,
        }
    }

    async fn image(&self) -> Image {
        match self {
            Self::Memory(store) => Image::Memory(store.image()),
            Self::Postgres(_, options) => {
                let name = options.get_database().unwrap();
                let image = format!("{name}_image");
                alone(options, &[format!("CREATE DATABASE {image} TEMPLATE {name}")]).await;
                Image::Postgres(image)
            }
        }
    }

    async fn go_back(&self, image: Image) {
        match (self, image) {
            (Self::Memory(store), Image::Memory(image)) => store.go_back(image),
            (Self::Postgres(_, options), Image::Postgres(image)) => {
                let name = options.get_database().unwrap();
                let swap = [
                    format!("ALTER DATABASE {name} RENAME TO {name}_lost"),
                    format!("ALTER DATABASE {image} RENAME TO {name}"),
                ];
                alone(options, &swap).await;
            }
            _ => panic!("an image of another kind"),
        }
    }
}

/// Runs statements while nobody else is connected to the database; the store's pool connects again by itself.
async fn alone(options: &PgConnectOptions, statements: &[String]) {
    let name = options.get_database().unwrap();
    let mut admin = PgConnection::connect_with(&options.clone().database("postgres")).await.unwrap();
    let lonely = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    sqlx::raw_sql(AssertSqlSafe(lonely)).execute(&mut admin).await.unwrap();
    loop {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
        let left: i64 = sqlx::query_scalar(end).bind(name).fetch_one(&mut admin).await.unwrap();
        if left == 0 {
            break;
        }
    }
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut admin).await.unwrap();
    }
    let open = format!(
        "UPDATE pg_database SET datallowconn = true WHERE datname IN ('{name}', '{name}_image') AND NOT datallowconn"
    );
    sqlx::raw_sql(AssertSqlSafe(open)).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
}

async fn on_both(case: impl AsyncFn(Forgetful)) {
    case(Forgetful::Memory(Arc::default())).await;
    let options = test_database::empty_database().await;
    let store = Arc::new(PostgresStore::connect(options.clone(), 2).await.unwrap());
    case(Forgetful::Postgres(store, Box::new(options))).await;
}

/// Commits; a connection that was lost with the old database is not what this is about.
async fn commit(store: &AnyStore, fence: &crate::history::Fence, batch: &Batch) -> Result<(), HistoryError> {
    loop {
        match store.commit(fence, batch).await {
            Err(HistoryError::Unavailable { .. }) => {}
            answer => return answer,
        }
    }
}

#[tokio::test]
async fn a_lost_tail_is_noticed_and_can_be_recorded_again() {
    on_both(async |database| {
        let store = database.store();
        let fence = store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
        let batches: Vec<_> = (1..=4)
            .map(|number| Batch { number, records: vec![version(number, vec![]), grant(number, 0, "a")], rows: vec![] })
            .collect();
        store.commit(&fence, &batches[0]).await.unwrap();
        let image = database.image().await;
        for batch in &batches[1..3] {
            commit(&store, &fence, batch).await.unwrap();
        }
        database.go_back(image).await;
        let lost = commit(&store, &fence, &batches[3]).await;
        assert!(matches!(lost, Err(HistoryError::Lost { last: Some(1), .. })), "{lost:?}");
        for batch in &batches[1..] {
            commit(&store, &fence, batch).await.unwrap();
        }
        assert_eq!(store.load(&fence).await.unwrap().version, VersionNumber(4));
    })
    .await;
}

#[tokio::test]
async fn a_lost_take_is_noticed_and_no_number_is_given_twice() {
    on_both(async |database| {
        let store = database.store();
        store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
        let image = database.image().await;
        let taking = async || store.take("prod", &owner("first", LONG_MS), &[]).await;
        let lost = retried(taking).await;
        commit(&store, &lost, &Batch { number: 1, records: vec![grant(7, 0, "a")], rows: vec![] }).await.unwrap();
        database.go_back(image).await;
        let noticed = commit(&store, &lost, &Batch { number: 2, ..Batch::default() }).await;
        assert!(matches!(noticed, Err(HistoryError::Lost { last: None, .. })), "{noticed:?}");
        let next = retried(async || store.take("prod", &owner("first", LONG_MS), &[]).await).await;
        assert_eq!((lost.epoch, next.epoch), (Epoch(2), Epoch(3)));
        let snapshot = store.load(&next).await.unwrap();
        assert_eq!((snapshot.last_attempt.0, snapshot.grants.len()), (7, 0));
    })
    .await;
}

async fn retried<T>(call: impl AsyncFn() -> Result<T, HistoryError>) -> T {
    loop {
        match call().await {
            Err(HistoryError::Unavailable { .. }) => {}
            answer => return answer.unwrap(),
        }
    }
}

/// Two processes, each with the epoch that one database gave: the first one's take was lost.
#[tokio::test]
async fn of_two_owners_of_one_epoch_only_the_one_that_the_database_knows_writes() {
    let options = test_database::empty_database().await;
    let connect = async || Arc::new(PostgresStore::connect(options.clone(), 2).await.unwrap());
    let (one, other) = (connect().await, connect().await);
    let database = Forgetful::Postgres(Arc::clone(&one), Box::new(options.clone()));
    let image = database.image().await;
    let lost = retried(async || one.take("prod", &owner("first", LONG_MS), &[]).await).await;
    database.go_back(image).await;
    let known = retried(async || other.take("prod", &owner("second", LONG_MS), &[]).await).await;
    assert_eq!((lost.epoch, lost.environment), (known.epoch, known.environment));
    let stores: [AnyStore; 2] = [one, other];
    let batch = Batch { number: 1, records: vec![version(1, vec![])], rows: vec![] };
    let attempt = Batch { number: 1, records: vec![grant(1, 0, "a")], rows: vec![] };
    assert!(is_fenced(&commit(&stores[0], &lost, &batch).await));
    assert!(is_fenced(&commit(&stores[0], &lost, &attempt).await));
    assert!(is_fenced(&stores[0].release(&lost).await));
    commit(&stores[1], &known, &batch).await.unwrap();
}
