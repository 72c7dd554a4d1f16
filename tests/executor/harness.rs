//! An owner without a scheduler: an endpoint, its inbox, and executor processes.

use homeostat::core::{
    AttemptId, Epoch, Event, Grant, Intent, IntentParts, Message, Name, Operation, Outcome, OutcomeKind, Policy,
    Reason, SessionNumber, Timestamp, VersionNumber,
};
use homeostat::executor::process::SocketPlace;
use homeostat::executor::{AcceptAll, Endpoint, Times};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

pub(crate) const ENVIRONMENT: &str = "default";
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_homeostat");
/// No healthy machine needs so long for anything here.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Owner {
    pub(crate) endpoint: Endpoint,
    pub(crate) folder: TempDir,
    pub(crate) socket: SocketPlace,
    inbox: mpsc::Sender<Vec<Event>>,
    events: mpsc::Receiver<Vec<Event>>,
    seen: VecDeque<Event>,
    sessions: HashMap<String, SessionNumber>,
}

impl Owner {
    pub(crate) fn start(times: Times) -> Self {
        let folder = TempDir::new().unwrap();
        let socket = SocketPlace::new(folder.path()).unwrap();
        let endpoint = Endpoint::new(times, Arc::new(AcceptAll));
        let listener = Endpoint::bind_unix(socket.path()).unwrap();
        let server = endpoint.clone();
        tokio::spawn(async move { server.serve_unix(listener, std::future::pending()).await });
        let (inbox, events) = mpsc::channel(64);
        let owner = Self { endpoint, folder, socket, inbox, events, seen: VecDeque::new(), sessions: HashMap::new() };
        owner.attach(1);
        owner
    }

    /// With an executor that is already connected.
    pub(crate) async fn with_executor(times: Times) -> (Self, Child) {
        let mut owner = Self::start(times);
        let child = owner.executor("e1");
        owner.connected("e1").await;
        (owner, child)
    }

    pub(crate) fn attach(&self, epoch: u64) {
        self.endpoint.attach(ENVIRONMENT.into(), Epoch(epoch), self.inbox.clone(), Vec::new());
    }

    /// An executor that connects again when its stream ends.
    pub(crate) fn executor(&self, id: &str) -> Child {
        let connect = format!("unix:{}", self.socket.path().display());
        executor(id, &connect, &[])
    }

    pub(crate) fn world(&self) -> PathBuf {
        self.folder.path().join("world.json")
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        let world: Value = serde_json::from_slice(&std::fs::read(self.world()).unwrap()).unwrap();
        serde_json::from_value(world["journal"].clone()).unwrap()
    }

    /// A `test.Thing` in this owner's world.
    pub(crate) fn thing(&self, attempt: u64, attributes: Value) -> Work {
        let connection = json!({"type": "file", "path": self.world()});
        Work { connection, ..Work::new(attempt, "test.Thing", attributes) }
    }

    pub(crate) fn grant(&self, executor: &str, work: impl IntoIterator<Item = Work>) {
        let session = self.sessions.get(executor).copied().unwrap_or_default();
        self.grant_on(executor, session, work);
    }

    /// The same, as if it had been decided while this was its stream.
    pub(crate) fn grant_on(&self, executor: &str, session: SessionNumber, work: impl IntoIterator<Item = Work>) {
        let grant = |work: Work| Message::Grant(executor.into(), session, Arc::new(work.grant()));
        self.endpoint.deliver(ENVIRONMENT, work.into_iter().map(grant).collect());
    }

    /// The stream of an executor's newest hello that a test has waited for.
    pub(crate) fn session(&self, executor: &str) -> SessionNumber {
        self.sessions[executor]
    }

    pub(crate) fn revoke(&self, executor: &str, attempt: u64) {
        self.endpoint.deliver(ENVIRONMENT, vec![Message::Revoke(executor.into(), AttemptId(attempt))]);
    }

    pub(crate) fn acknowledge(&self, executor: &str, attempt: u64) {
        self.endpoint.deliver(ENVIRONMENT, vec![Message::Acknowledge(executor.into(), AttemptId(attempt))]);
    }

    /// The first event, heard already or still to come, of which `select` makes something. It is taken out.
    pub(crate) async fn event<T>(&mut self, what: &str, mut select: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut looked_at = 0;
        loop {
            while let Some(event) = self.seen.get(looked_at) {
                if let Some(found) = select(event) {
                    self.seen.remove(looked_at);
                    return found;
                }
                looked_at += 1;
            }
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(events)) => self.seen.extend(events.into_iter().flat_map(one_by_one)),
                _ => panic!("no {what}; heard {:?}", self.seen),
            }
        }
    }

    /// The attempts that the next events finish; the stream must not end meanwhile.
    pub(crate) async fn finished(&mut self) -> Vec<u64> {
        let events = tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("results").unwrap();
        let attempt = |event: &Event| match event {
            Event::Finished(_, outcome) => Some(outcome.attempt.0),
            Event::Begun(..) => None,
            other => panic!("{other:?} in the midst of work"),
        };
        events.iter().filter_map(attempt).collect()
    }

    /// Waits for a hello, and returns what it holds.
    pub(crate) async fn connected(&mut self, name: &str) -> Vec<u64> {
        let (session, holds) = self
            .event("hello", |event| match event {
                Event::ExecutorConnected { executor, session, holds, .. } if &**executor == name => {
                    Some((*session, holds.iter().map(|id| id.0).collect()))
                }
                _ => None,
            })
            .await;
        self.sessions.insert(name.to_owned(), session);
        holds
    }

    pub(crate) async fn begun(&mut self, attempt: u64) {
        self.event("begin", |event| match event {
            Event::Begun(_, attempts) => attempts.contains(&AttemptId(attempt)).then_some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn outcome(&mut self, attempt: u64) -> Outcome {
        self.event("outcome", |event| match event {
            Event::Finished(_, outcome) if outcome.attempt.0 == attempt => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    /// The message of a failure.
    pub(crate) async fn failure(&mut self, attempt: u64) -> Name {
        match self.outcome(attempt).await.kind {
            OutcomeKind::Failed { message, .. } => message,
            other => panic!("{other:?} is not a failure"),
        }
    }

    pub(crate) async fn success(&mut self, attempt: u64) {
        let outcome = self.outcome(attempt).await;
        assert!(matches!(outcome.kind, OutcomeKind::Succeeded(_)), "{outcome:?}");
    }

    /// Whether a begin of that attempt has been heard and not taken.
    pub(crate) fn has_begun(&self, attempt: u64) -> bool {
        let id = AttemptId(attempt);
        self.seen.iter().any(|event| matches!(event, Event::Begun(_, attempts) if attempts.contains(&id)))
    }
}

/// Begins are told several at once, and waited for one by one.
fn one_by_one(event: Event) -> Vec<Event> {
    match event {
        Event::Begun(executor, attempts) => {
            attempts.into_iter().map(|id| Event::Begun(executor.clone(), vec![id])).collect()
        }
        other => vec![other],
    }
}

/// Starts `homeostat executor`.
pub(crate) fn executor(id: &str, connect: &str, more: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .args(["executor", "--environment", ENVIRONMENT, "--pool", "local", "--id", id, "--connect", connect])
        .args(more);
    command.kill_on_drop(true).spawn().unwrap()
}

/// One attempt to grant.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) attempt: u64,
    pub(crate) kind: &'static str,
    pub(crate) attributes: Value,
    pub(crate) connection: Value,
    pub(crate) concurrency: u32,
    pub(crate) deadline_ms: u64,
    pub(crate) epoch: u64,
}

impl Work {
    pub(crate) fn new(attempt: u64, kind: &'static str, attributes: Value) -> Self {
        Self {
            attempt,
            kind,
            attributes,
            connection: json!({"type": "local"}),
            concurrency: 1,
            deadline_ms: 60_000,
            epoch: 1,
        }
    }

    pub(crate) fn grant(self) -> Grant {
        let name = Name::from(format!("r{}", self.attempt));
        let intent = Intent::new(IntentParts {
            identity: format!("{{\"name\":\"{name}\"}}").into(),
            name,
            kind: self.kind.into(),
            target: "t1".into(),
            attributes: self.attributes.to_string().into(),
            requires: Vec::new(),
            policy: Policy { deadline_ms: self.deadline_ms, ..Policy::default() },
            ..IntentParts::default()
        });
        Grant {
            attempt: AttemptId(self.attempt),
            epoch: Epoch(self.epoch),
            resource: None,
            hash: intent.hash(),
            facts: Vec::new(),
            secret_digest: None,
            once_secret: std::collections::BTreeSet::new(),
            intent: Arc::new(intent),
            version: VersionNumber(1),
            reason: Reason::Change,
            operation: Operation::Enforce,
            connection: self.connection.to_string().into(),
            concurrency: self.concurrency,
            remote_identity: None,
            reload: None,
            granted_at: Timestamp(0),
        }
    }
}

/// A pipe that is open for writing exactly as long as a `host.Command` and its children live.
pub(crate) struct Alive {
    path: PathBuf,
    pipe: tokio::net::unix::pipe::Receiver,
}

impl Alive {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("alive");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let pipe = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&path).unwrap();
        Self { path, pipe }
    }

    /// A command that holds the pipe and never ends.
    pub(crate) fn command(&self, attempt: u64) -> Work {
        let script = format!("exec 3>'{}'; echo . >&3; sleep 100000 & wait", self.path.display());
        Work::new(attempt, "host.Command", json!({"argv": ["sh", "-c", script], "creates": "/no/such/thing"}))
    }

    /// Waits until the command runs.
    pub(crate) async fn running(&mut self) {
        tokio::time::timeout(PATIENCE, self.pipe.readable()).await.expect("the command runs").unwrap();
    }

    /// Waits until the command and its children are gone.
    pub(crate) async fn ended(mut self) {
        let mut text = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(&mut self.pipe, &mut text);
        tokio::time::timeout(PATIENCE, read).await.expect("the command is ended").unwrap();
    }
}
