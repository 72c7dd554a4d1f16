//! A scheduler over history in memory, with an executor that answers at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::{Edge, Scheduler};
use crate::core::{
    Event, Finding, Intent, IntentParts, Message, Name, Outcome, OutcomeKind, PoolName, Push, PushMode, Record,
    Request, RequestKind, Retention, Scope, SessionNumber, Settings, Target, Windows,
};
use crate::history::memory::MemoryStore;
use crate::history::postgres::PostgresStore;
use crate::history::private_server::PrivateServer;
use crate::history::{Owner, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// Succeeds at everything it is granted, in order; but for what it has yet to say of some.
#[derive(Default)]
struct Obedient {
    inbox: Mutex<Option<mpsc::Sender<Vec<Event>>>>,
    /// How attempts of these resources fail, each once.
    failures: Mutex<BTreeMap<Name, Name>>,
}

impl Edge for Obedient {
    fn deliver(&self, _: &Name, messages: Vec<Message>) {
        let Some(inbox) = self.inbox.lock().unwrap().clone() else { return };
        let mut events = Vec::new();
        for message in messages {
            if let Message::Grant(executor, _, grant) = message {
                let kind = match self.failures.lock().unwrap().remove(&grant.intent.name) {
                    Some(message) => OutcomeKind::Failed { message, finding: None },
                    None => OutcomeKind::Succeeded(Finding::same()),
                };
                let outcome =
                    Outcome { attempt: grant.attempt, began_at: None, finished_at: super::now(), kind, log: None };
                events.push(Event::Finished(executor, outcome));
            }
        }
        tokio::spawn(async move { inbox.send(events).await });
    }

    fn scale(&self, _: &Name, _: &PoolName, _: u32) {}
}

fn owner() -> Owner {
    Owner { id: "one".into(), description: "a test".into(), lease_ms: 10_000 }
}

fn chain(length: usize) -> Push {
    let intent = |n: usize| {
        let requires = if n == 0 { Vec::new() } else { vec![format!("r{}", n - 1).into()] };
        Arc::new(Intent::new(IntentParts {
            name: format!("r{n}").into(),
            kind: "test.Nothing".into(),
            target: "here".into(),
            identity: format!("{n}").into(),
            attributes: "{}".into(),
            requires,
            ..IntentParts::default()
        }))
    };
    Push {
        set: "default".into(),
        upserts: (0..length).map(intent).collect(),
        removals: Vec::new(),
        prune: false,
        approved: false,
        base: None,
        mode: PushMode::Whole,
        author: "me".into(),
        source: "manifests".into(),
        message: "".into(),
    }
}

async fn start(store: &Arc<MemoryStore>) -> Scheduler {
    start_on(Arc::clone(store) as Arc<dyn Store>).await
}

async fn start_on(store: Arc<dyn Store>) -> Scheduler {
    start_with(store, Obedient::default()).await
}

async fn start_with(store: Arc<dyn Store>, edge: Obedient) -> Scheduler {
    let edge = Arc::new(edge);
    let edge_of = Arc::clone(&edge) as Arc<dyn Edge>;
    let scheduler = Scheduler::start("env".into(), store, owner(), &["one".into()], edge_of).await.unwrap();
    *edge.inbox.lock().unwrap() = Some(scheduler.inbox());
    scheduler
}

async fn connect(scheduler: &Scheduler) {
    let connection = r#"{"type":"local"}"#.into();
    let target = Target {
        name: "here".into(),
        pool: "default".into(),
        connection,
        concurrency: 1,
        suspend: false,
        windows: Windows::default(),
        rate_limit: None,
    };
    scheduler.send(Event::TargetChanged(target)).await.unwrap();
    let hello = Event::ExecutorConnected {
        executor: "e".into(),
        pool: "default".into(),
        session: SessionNumber(1),
        credits: 1_000,
        holds: Vec::new(),
    };
    scheduler.send(hello).await.unwrap();
}

async fn settle(scheduler: &Scheduler) {
    let mut committed = scheduler.subscribe();
    let quiet = async {
        while !scheduler.read(crate::core::EnvironmentState::quiet).await.unwrap() {
            let _ = committed.recv().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), quiet).await.unwrap();
    // What was read may still be on its way to history; this is answered behind it.
    scheduler.send(Event::Tick).await.unwrap();
}

#[tokio::test]
async fn a_chain_deploys_in_order_and_is_in_history() {
    let store = Arc::new(MemoryStore::new(super::now));
    let scheduler = start(&store).await;
    connect(&scheduler).await;
    let (version, refusals) = scheduler.push(chain(5)).await.unwrap();
    assert_eq!((version.0, refusals.len()), (1, 0));
    settle(&scheduler).await;
    let counts = scheduler.read(crate::core::EnvironmentState::counts).await.unwrap();
    assert_eq!((counts.total, counts.compliant), (5, 5));
    let names: Vec<_> =
        store.attempts("env", None, None, 10).await.unwrap().into_iter().rev().map(|attempt| attempt.name).collect();
    assert_eq!(names, ["r0", "r1", "r2", "r3", "r4"].map(Name::from));
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_owner_finds_everything_good_and_does_nothing() {
    let store = Arc::new(MemoryStore::new(super::now));
    let first = start(&store).await;
    connect(&first).await;
    first.push(chain(3)).await.unwrap();
    settle(&first).await;
    first.stop().await.unwrap();
    let second = start(&store).await;
    connect(&second).await;
    let (_, covered) = second.request(RequestKind::Deploy, Scope::default(), "me".into()).await.unwrap();
    assert_eq!(covered, 0);
    settle(&second).await;
    assert_eq!(store.attempts("env", None, None, 10).await.unwrap().len(), 3);
}

/// Nobody asks for it, and nothing starts again: the look comes by itself.
#[tokio::test]
async fn s7_what_is_no_longer_kept_goes_while_the_owner_runs_on() {
    let store = Arc::new(MemoryStore::new(super::now));
    let every = Duration::from_millis(1);
    let started: Arc<dyn Store> = Arc::clone(&store) as _;
    let edge = Arc::new(Obedient::default());
    let scheduler =
        Scheduler::start_trimming("env".into(), started, owner(), &["one".into()], edge, every).await.unwrap();
    for length in 1..=3 {
        scheduler.push(chain(length)).await.unwrap();
    }
    assert_eq!(store.versions("env", None, 10).await.unwrap().len(), 3, "all are kept at first");
    let kept = Retention { versions: 1, ..Retention::default() };
    scheduler.send(Event::SettingsChanged(Settings { retention: kept, ..Settings::default() })).await.unwrap();
    let trimmed = async {
        while store.versions("env", None, 10).await.unwrap().len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trimmed).await.unwrap();
    assert_eq!(store.versions("env", None, 10).await.unwrap()[0].number.0, 3, "the newest stays");
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_over_owner_ends_and_says_why() {
    let store = Arc::new(MemoryStore::new(super::now));
    let first = start(&store).await;
    let _second = start(&store).await;
    assert!(first.push(chain(1)).await.is_err());
    assert!(first.ended().await.contains("taken over"));
}

#[tokio::test]
async fn a6_without_its_database_it_accepts_nothing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(folder.path(), &|_| {}).await.unwrap();
    let store = Arc::new(PostgresStore::connect(server.connect_options(), 4).await.unwrap());
    let scheduler = start_on(Arc::clone(&store) as Arc<dyn Store>).await;
    connect(&scheduler).await;
    scheduler.push(chain(2)).await.unwrap();
    settle(&scheduler).await;

    server.stop().await.unwrap();
    let mut committed = scheduler.subscribe();
    let pushed = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.push(chain(4)).await }
    });
    // The loop has taken the push in, and goes on answering; the caller is not told that it was accepted, and nothing is sent.
    let taken = async { while scheduler.read(|state| state.version().0).await.unwrap() != 2 {} };
    tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap();
    assert!(!pushed.is_finished());
    assert!(committed.try_recv().is_err());
    let mut away = scheduler.away();
    let told = tokio::time::timeout(Duration::from_secs(20), away.wait_for(Option::is_some)).await;
    assert!(told.is_ok(), "whoever waits can know why");
    drop(told);

    let server = PrivateServer::start(folder.path(), &|_| {}).await.unwrap();
    let (version, _) = tokio::time::timeout(Duration::from_mins(1), pushed).await.unwrap().unwrap().unwrap();
    assert_eq!(version.0, 2);
    assert!(away.borrow().is_none());
    settle(&scheduler).await;
    let counts = scheduler.read(crate::core::EnvironmentState::counts).await.unwrap();
    assert_eq!((counts.total, counts.compliant), (4, 4));
    let attempts = store.attempts("env", None, None, 10).await.unwrap();
    assert_eq!(attempts.len(), 4);
    scheduler.stop().await.unwrap();
    store.close().await;
    server.stop().await.unwrap();
}

/// An executor's message that no store can keep: the protocol escapes it, so only a hostile edge says it.
async fn one_poisoned_message(store: Arc<dyn Store>) {
    let failures = Mutex::new(BTreeMap::from([("r1".into(), "no \0 route".into())]));
    let scheduler = start_with(Arc::clone(&store), Obedient { failures, ..Obedient::default() }).await;
    connect(&scheduler).await;
    scheduler.push(chain(3)).await.unwrap();
    settle(&scheduler).await;
    let marked = "[history cannot store what was said here: ";
    let attempts = store.attempts("env", Some(&["r1".into()]), None, 10).await.unwrap();
    let ended = attempts[0].outcome.as_ref().map(|outcome| &outcome.kind);
    let Some(OutcomeKind::Failed { message, .. }) = ended else { panic!("{attempts:?}") };
    assert!(message.starts_with(marked) && message.ends_with("no \\u{0} route"), "{message}");
    let rows = store.peek("env").await.unwrap().unwrap().resources;
    assert!(rows[1].error.as_ref().unwrap().starts_with(marked), "{:?}", rows[1].error);

    scheduler.request(RequestKind::Deploy, Scope::default(), "me".into()).await.unwrap();
    settle(&scheduler).await;
    let counts = scheduler.read(crate::core::EnvironmentState::counts).await.unwrap();
    assert_eq!((counts.total, counts.compliant), (3, 3));
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn q8_a_message_that_can_never_be_stored_stops_nothing() {
    one_poisoned_message(Arc::new(MemoryStore::new(super::now))).await;
    one_poisoned_message(Arc::new(crate::history::test_database::store().await)).await;
}

#[tokio::test]
async fn q8_an_intent_or_a_request_that_can_never_be_stored_is_refused_and_nothing_follows_from_it() {
    let store = Arc::new(MemoryStore::new(super::now));
    let scheduler = start(&store).await;
    connect(&scheduler).await;
    let mut poisoned = chain(2);
    poisoned.message = "\0".into();
    let error = scheduler.push(poisoned).await.unwrap_err();
    assert!(error.to_string().contains("NUL"), "{error}");
    let (kind, scope, author) = (RequestKind::Deploy, Scope::default(), "ana".into());
    let poisoned = Request { kind, scope, author, message: "\0".into(), digest: None };
    let error = scheduler.order(poisoned).await.unwrap_err();
    assert!(error.to_string().contains("NUL"), "{error}");
    let (version, _) = scheduler.push(chain(1)).await.unwrap();
    assert_eq!(version.0, 1);
}

#[tokio::test]
async fn r8_what_the_database_lost_is_recorded_again() {
    let store = Arc::new(MemoryStore::new(super::now));
    let scheduler = start(&store).await;
    connect(&scheduler).await;
    scheduler.push(chain(1)).await.unwrap();
    settle(&scheduler).await;
    let image = store.image();
    scheduler.push(chain(2)).await.unwrap();
    settle(&scheduler).await;
    store.go_back(image);
    scheduler.push(chain(3)).await.unwrap();
    settle(&scheduler).await;
    let versions = store.versions("env", None, 10).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.number.0).collect::<Vec<_>>(), [3, 2, 1]);
    let attempts = store.attempts("env", None, None, 10).await.unwrap();
    assert_eq!(attempts.iter().rev().map(|attempt| &*attempt.name).collect::<Vec<_>>(), ["r0", "r1", "r2"]);
    assert!(attempts.iter().all(|attempt| attempt.outcome.is_some()));
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn r8_a_lost_take_ends_the_loop_and_the_next_one_gives_no_number_again() {
    let store = Arc::new(MemoryStore::new(super::now));
    start(&store).await.stop().await.unwrap();
    let image = store.image();
    let scheduler = start(&store).await;
    connect(&scheduler).await;
    scheduler.push(chain(3)).await.unwrap();
    settle(&scheduler).await;
    store.go_back(image);
    assert!(scheduler.push(chain(4)).await.is_err());
    let reason = scheduler.ended().await;
    assert!(reason.contains("lost commits that it had acknowledged"), "{reason}");
    let next = start(&store).await;
    assert!(next.epoch() > scheduler.epoch());
    connect(&next).await;
    next.push(chain(1)).await.unwrap();
    settle(&next).await;
    let attempts = store.attempts("env", None, None, 10).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.attempt.0).collect::<Vec<_>>(), [4]);
    next.stop().await.unwrap();
}

#[tokio::test]
async fn r14_one_who_never_reads_holds_up_nobody_and_learns_how_much_was_missed() {
    let store = Arc::new(MemoryStore::new(super::now));
    let scheduler = start(&store).await;
    let mut asleep = scheduler.subscribe();
    let commits = super::COMMITS_KEPT + 10;
    for number in 0..commits {
        let message = format!("{number}").as_str().into();
        let push = if number % 2 == 0 { chain(2) } else { chain(1) };
        scheduler.push(Push { prune: true, message, ..push }).await.unwrap();
    }
    let missed = asleep.recv().await;
    assert!(matches!(missed, Err(RecvError::Lagged(10))), "{missed:?}");
    let mut last = asleep.recv().await.unwrap();
    while let Ok(committed) = asleep.try_recv() {
        last = committed;
    }
    let Some(Record::Version(version)) = last.records.first() else { panic!("{last:?}") };
    assert_eq!(version.number.0 as usize, commits, "the newest is there");
    scheduler.stop().await.unwrap();
}
