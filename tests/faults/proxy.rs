//! A faulty way to PostgreSQL: a proxy that reads just enough of the protocol to know a commit when it sees one.
//!
//! It can let everything pass, be slow, be silent (accept, and never answer), lead to another server, and hold one commit: before the server gets it,
//! or after the server has carried it out and before the client hears of it; or the end of a stream of rows. Who holds it decides what becomes of it.

use crate::server;
use sqlx::postgres::PgConnectOptions;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};

/// How a statement begins that is a transaction by itself, and so commits without saying it.
const WHOLE: &str = "WITH counted";
/// `SSLRequest`, in the place of a protocol version.
const SSL_REQUEST: u32 = 80_877_103;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Behaviour {
    Pass,
    /// Every message takes so long.
    Slow(Duration),
    /// Accepts, and moves nothing; what was sent meanwhile arrives when it passes again.
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// The server has not got it.
    Before,
    /// The server has carried it out; the client does not know.
    After,
}

/// Which commits a trap is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trapped {
    Any,
    /// Those that record a grant.
    Grant,
    /// Those that record an outcome.
    Outcome,
    /// None: the end of a stream of rows.
    Stream,
}

impl Trapped {
    /// Whether the commit of a transaction in which these statements ran is one of them.
    fn is_commit_of(self, transaction: &[Arc<str>]) -> bool {
        let ran = |mark| transaction.iter().any(|text| text.contains(mark));
        match self {
            Self::Any => true,
            Self::Grant => ran("INSERT INTO resource_grant"),
            Self::Outcome => ran("INSERT INTO outcome"),
            Self::Stream => false,
        }
    }
}

/// A commit that is held. Dropped, its connection is cut.
pub(crate) struct Held(Option<oneshot::Sender<()>>);

impl Held {
    pub(crate) fn release(mut self) {
        let _ = self.0.take().unwrap().send(());
    }

    pub(crate) fn cut(self) {
        drop(self);
    }
}

struct Trap {
    place: Place,
    of: Trapped,
    /// How many to let pass first.
    skip: usize,
    caught: oneshot::Sender<Held>,
}

pub(crate) struct Proxy {
    folder: TempDir,
    control: Arc<Control>,
}

struct Control {
    behaviour: watch::Sender<Behaviour>,
    /// Connections of an earlier generation are cut.
    generation: watch::Sender<u64>,
    /// Connections that were ever accepted.
    connections: watch::Sender<u64>,
    upstream: Mutex<PathBuf>,
    trap: Mutex<Option<Trap>>,
    slowed: AtomicU64,
}

impl Proxy {
    /// A proxy to the server that listens at this socket.
    pub(crate) fn to(upstream: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let control = Arc::new(Control {
            behaviour: watch::channel(Behaviour::Pass).0,
            generation: watch::channel(0).0,
            connections: watch::channel(0).0,
            upstream: Mutex::new(upstream.to_owned()),
            trap: Mutex::default(),
            slowed: AtomicU64::new(0),
        });
        let serving = Arc::clone(&control);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                serving.connections.send_modify(|connections| *connections += 1);
                tokio::spawn(Arc::clone(&serving).serve(client));
            }
        });
        Self { folder, control }
    }

    /// How to connect through it to this database.
    pub(crate) fn options(&self, database: &PgConnectOptions) -> PgConnectOptions {
        server::options(self.folder.path()).database(database.get_database().unwrap())
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.control.behaviour.send_replace(behaviour);
    }

    /// Waits until somebody connects.
    pub(crate) async fn another_connection(&self) {
        self.control.connections.subscribe().changed().await.unwrap();
    }

    /// Leads somewhere else from now on, and ends what leads elsewhere.
    pub(crate) fn lead_to(&self, upstream: &Path) {
        upstream.clone_into(&mut self.control.upstream.lock().unwrap());
        self.control.generation.send_modify(|generation| *generation += 1);
    }

    /// New connections lead somewhere else; those there are stay where they are, as those to a demoted primary do.
    pub(crate) fn lead_new_to(&self, upstream: &Path) {
        upstream.clone_into(&mut self.control.upstream.lock().unwrap());
    }

    /// Holds the commit after `skip` others.
    pub(crate) fn trap(&self, place: Place, skip: usize) -> oneshot::Receiver<Held> {
        self.set(Trapped::Any, place, skip)
    }

    /// Holds the next of this kind.
    pub(crate) fn trap_of(&self, of: Trapped, place: Place) -> oneshot::Receiver<Held> {
        self.set(of, place, 0)
    }

    fn set(&self, of: Trapped, place: Place, skip: usize) -> oneshot::Receiver<Held> {
        let (caught, held) = oneshot::channel();
        *self.control.trap.lock().unwrap() = Some(Trap { place, of, skip, caught });
        held
    }

    /// Messages that were slowed down.
    pub(crate) fn slowed(&self) -> u64 {
        self.control.slowed.load(Ordering::Relaxed)
    }
}

impl Control {
    async fn serve(self: Arc<Self>, client: UnixStream) {
        let mut generations = self.generation.subscribe();
        generations.borrow_and_update();
        let upstream = self.upstream.lock().unwrap().clone();
        let serving = async {
            let server = UnixStream::connect(upstream).await.ok()?;
            let (client, server) = (Side::new(client, true), Side::new(server, false));
            Link { control: &self, client, server, statements: HashMap::new(), transaction: Vec::new() }.run().await
        };
        tokio::select! {
            _ = serving => {}
            _ = generations.changed() => {}
        }
    }

    /// The trap, if it is for this.
    fn spring(&self, place: Place, is_one: impl Fn(Trapped) -> bool) -> Option<oneshot::Sender<Held>> {
        let mut trap = self.trap.lock().unwrap();
        let found = trap.as_mut().filter(|trap| trap.place == place && is_one(trap.of))?;
        if found.skip > 0 {
            found.skip -= 1;
            return None;
        }
        trap.take().map(|trap| trap.caught)
    }
}

/// Waits for what the holder decides. `None`: cut.
async fn held(caught: oneshot::Sender<Held>) -> Option<()> {
    let (release, decided) = oneshot::channel();
    let _ = caught.send(Held(Some(release)));
    decided.await.ok()
}

struct Side {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// The next message has no type: a client's first ones.
    untyped: bool,
}

impl Side {
    fn new(stream: UnixStream, untyped: bool) -> Self {
        Self { stream, buffer: Vec::new(), untyped }
    }

    /// The next whole message; `None` at the end. May be cancelled without loss.
    async fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            let head = usize::from(!self.untyped);
            if let Some(length) = self.buffer.get(head..head + 4) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + head;
                if self.buffer.len() >= length {
                    return Some(self.buffer.drain(..length).collect());
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, message: &[u8]) -> Option<()> {
        self.stream.write_all(message).await.ok()
    }
}

struct Link<'a> {
    control: &'a Control,
    client: Side,
    server: Side,
    /// The texts of prepared statements, by name.
    statements: HashMap<Vec<u8>, Arc<str>>,
    /// The statements that have run since the last commit.
    transaction: Vec<Arc<str>>,
}

impl Link<'_> {
    /// Until one side ends, or it is cut.
    async fn run(mut self) -> Option<()> {
        loop {
            tokio::select! {
                message = self.client.message() => self.take_from_client(message?).await?,
                message = self.server.message() => {
                    let message = message?;
                    self.obstruct().await;
                    self.client.send(&message).await?;
                }
            }
        }
    }

    async fn take_from_client(&mut self, message: Vec<u8>) -> Option<()> {
        self.obstruct().await;
        if self.client.untyped {
            if message.get(4..8) == Some(&SSL_REQUEST.to_be_bytes()) {
                return self.client.send(b"N").await;
            }
            self.client.untyped = false;
            return self.server.send(&message).await;
        }
        self.remember(&message);
        let whole =
            message.first() == Some(&b'B') && self.transaction.last().is_some_and(|text| text.starts_with(WHOLE));
        let commits = message.first() == Some(&b'Q') && message.get(5..).unwrap_or_default().starts_with(b"COMMIT");
        if message.first() == Some(&b'c')
            && let Some(caught) = self.control.spring(Place::Before, |of| of == Trapped::Stream)
        {
            held(caught).await?;
        }
        if !whole && !commits {
            return self.server.send(&message).await;
        }
        if let Some(caught) = self.control.spring(Place::Before, |of| of.is_commit_of(&self.transaction)) {
            held(caught).await?;
        }
        self.server.send(&message).await?;
        if whole {
            // Nothing is answered before the end of what belongs to it.
            while let Some(message) = self.client.message().await {
                self.server.send(&message).await?;
                if message.first() == Some(&b'S') {
                    break;
                }
            }
        }
        // All of the answer, up to the server's being ready again.
        let mut answer = Vec::new();
        loop {
            let message = self.server.message().await?;
            let kind = message.first().copied();
            answer.extend(message);
            if kind == Some(b'Z') {
                break;
            }
        }
        let transaction = std::mem::take(&mut self.transaction);
        if let Some(caught) = self.control.spring(Place::After, |of| of.is_commit_of(&transaction)) {
            held(caught).await?;
        }
        self.obstruct().await;
        self.client.send(&answer).await
    }

    /// Takes down which statements run: `Parse` gives one a name, `Bind` uses it.
    fn remember(&mut self, message: &[u8]) {
        let mut texts = message.get(5..).unwrap_or_default().split(|byte| *byte == 0);
        match (message.first(), texts.next(), texts.next()) {
            (Some(b'P'), Some(name), Some(text)) => {
                self.statements.insert(name.to_owned(), String::from_utf8_lossy(text).into());
            }
            (Some(b'B'), Some(_portal), Some(name)) => self.transaction.extend(self.statements.get(name).cloned()),
            (Some(b'Q'), Some(text), _) if text.starts_with(b"ROLLBACK") => self.transaction.clear(),
            _ => {}
        }
    }

    /// Slow is slow per message; silent lasts until it ends.
    async fn obstruct(&self) {
        let mut behaviours = self.control.behaviour.subscribe();
        let passes = behaviours.wait_for(|behaviour| *behaviour != Behaviour::Silent).await.map(|found| *found);
        if let Ok(Behaviour::Slow(delay)) = passes {
            tokio::time::sleep(delay).await;
            self.control.slowed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
