//! A scheduler on a real database behind the faulty proxy, with real executor processes: the library put together as a program would.

use crate::audit::{self, History};
use crate::proxy::Proxy;
use crate::{eventually, in_time, server};
use homeostat::core::{
    EnvironmentState, Event, Hash, Intent, IntentParts, Message, Name, Policy, PoolName, Push, PushMode, Repair,
    RepairSchedule, ResourceView, Retry, Settings, Target, Windows,
};
use homeostat::executor::process::{Child, ChildOptions, SocketPlace, await_earlier};
use homeostat::executor::{AcceptAll, Endpoint, Times};
use homeostat::history::postgres::{Patience, PostgresStore};
use homeostat::history::{HistoryError, Owner, Store};
use homeostat::scheduler::{Edge, Scheduler, SchedulerError};
use rustix::process::Pid;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const ENVIRONMENT: &str = "town";
const POOL: &str = "local";
const STANDING: &str = "standing";
const TARGET: &str = "here";

/// A call gives up quickly here, so that what hangs is noticed within a test.
pub(crate) const BRIEF: Patience =
    Patience { acquire: Duration::from_secs(2), call: Duration::from_secs(3), long_call: Duration::from_mins(1) };

struct Carrier(Endpoint);

impl Edge for Carrier {
    fn deliver(&self, environment: &Name, messages: Vec<Message>) {
        self.0.deliver(environment, messages);
    }

    fn scale(&self, _: &Name, _: &PoolName, _: u32) {}
}

pub(crate) struct Town {
    pub(crate) proxy: Arc<Proxy>,
    /// The database, without the proxy.
    pub(crate) database: PgConnectOptions,
    pub(crate) store: Arc<PostgresStore>,
    pub(crate) scheduler: Scheduler,
    endpoint: Endpoint,
    socket: PathBuf,
    folder: PathBuf,
    /// Where the folder ends with the town.
    _temporary: Option<TempDir>,
    /// The executor that runs now.
    executor: watch::Receiver<Option<Pid>>,
    keeper: JoinHandle<()>,
}

impl Town {
    /// On a database of the shared server.
    pub(crate) async fn start() -> Self {
        let database = server::shared_database().await;
        let socket = database.get_socket().unwrap().join(".s.PGSQL.5432");
        Self::on(database, &socket).await
    }

    pub(crate) async fn on(database: PgConnectOptions, socket: &Path) -> Self {
        let temporary = TempDir::new().unwrap();
        let town = Self::in_folder(database, socket, temporary.path(), "mayor", &[]).await;
        Self { _temporary: Some(temporary), ..town }
    }

    /// In a folder where there may have been one before, whose owner has ended.
    pub(crate) async fn in_folder(
        database: PgConnectOptions,
        socket: &Path,
        folder: &Path,
        owner: &str,
        ended: &[Name],
    ) -> Self {
        await_earlier(folder).await.unwrap();
        let proxy = Arc::new(Proxy::to(socket));
        let store = PostgresStore::connect_with(proxy.options(&database), 4, BRIEF).await.unwrap();
        let store = Arc::new(store);
        let owner = || Owner { id: owner.into(), description: "a test".into(), lease_ms: 60_000 };
        let endpoint = Endpoint::new(Times::default(), Arc::new(AcceptAll));
        let edge = Arc::new(Carrier(endpoint.clone()));
        let of_store = Arc::clone(&store) as Arc<dyn Store>;
        // A machine with much else to do may not answer within what is brief: whoever begins tries again.
        let scheduler = eventually("the environment", async || {
            match Scheduler::start(ENVIRONMENT.into(), of_store.clone(), owner(), ended, edge.clone()).await {
                Err(SchedulerError::History(HistoryError::Unavailable { .. })) => None,
                started => Some(started.unwrap()),
            }
        });
        let scheduler = scheduler.await;
        let unheard = scheduler.read(EnvironmentState::unheard_executors).await.unwrap();
        endpoint.attach(ENVIRONMENT.into(), scheduler.epoch(), scheduler.inbox(), unheard);
        endpoint.all_ended(ENVIRONMENT);
        let place = SocketPlace::new(folder).unwrap();
        let socket = place.path().to_owned();
        let (executor, keeper) = keep_executor(&endpoint, folder, place);
        let folder = folder.to_owned();
        let town =
            Self { proxy, database, store, scheduler, endpoint, socket, folder, _temporary: None, executor, keeper };
        town.configure().await;
        town
    }

    /// Retries come at once, and verifications never.
    async fn configure(&self) {
        let settings = Settings {
            retry: Retry { base_delay_ms: 50, max_delay_ms: 200, factor: 1.0, jitter: 0.0 },
            repair: Repair { schedule: RepairSchedule::Off, ..Repair::default() },
            ..Settings::default()
        };
        self.scheduler.send(Event::SettingsChanged(settings)).await.unwrap();
        let world = json!({"type": "file", "path": self.world_path()});
        self.scheduler.send(Event::TargetChanged(target(TARGET, &world))).await.unwrap();
    }

    /// The same town, whose history will be somewhere else when it is looked at.
    pub(crate) fn audited_at(self, database: PgConnectOptions) -> Self {
        Self { database, ..self }
    }

    /// A target for things of the host, beside the one whose things are in this town's world.
    pub(crate) async fn add_local_target(&self) {
        self.add_target("local", &json!({"type": "local"})).await;
    }

    /// A target with this connection.
    pub(crate) async fn add_target(&self, name: &str, connection: &Value) {
        self.scheduler.send(Event::TargetChanged(target(name, connection))).await.unwrap();
    }

    /// The target for things of the host, in the pool of an executor that outlives its streams, as those on other machines do.
    pub(crate) async fn add_standing_executor(&self) -> process::Child {
        let target = Target { pool: STANDING.into(), ..target("local", &json!({"type": "local"})) };
        self.scheduler.send(Event::TargetChanged(target)).await.unwrap();
        let socket = format!("unix:{}", self.socket.display());
        let arguments =
            ["executor", "--environment", ENVIRONMENT, "--pool", STANDING, "--id", STANDING, "--connect", &socket];
        process::Command::new(env!("CARGO_BIN_EXE_homeostat")).args(arguments).kill_on_drop(true).spawn().unwrap()
    }

    /// Whether a statement in its database waits for a lock.
    pub(crate) async fn waiting_for_a_lock(&self) -> bool {
        let mut connection = PgConnection::connect_with(&self.database).await.unwrap();
        let waits =
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let waits = sqlx::query_scalar(waits).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        waits
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn world_path(&self) -> PathBuf {
        self.folder.join("world.json")
    }

    /// What was done to each thing: its value, and how often it was applied.
    pub(crate) fn world(&self) -> BTreeMap<String, (Option<String>, u64)> {
        let Ok(text) = std::fs::read(self.world_path()) else { return BTreeMap::new() };
        let world: Value = serde_json::from_slice(&text).unwrap();
        let things = world["things"].as_object().unwrap();
        let thing = |thing: &Value| (thing["value"].as_str().map(str::to_owned), thing["applies"].as_u64().unwrap());
        things.iter().map(|(key, found)| (key.clone(), thing(found))).collect()
    }

    /// The process of the executor that runs, once one does.
    pub(crate) async fn executor(&self) -> Pid {
        let mut executor = self.executor.clone();
        in_time("an executor", executor.wait_for(Option::is_some)).await.unwrap().unwrap()
    }

    /// The same, once it waits for work.
    pub(crate) async fn connected_executor(&self) -> Pid {
        let connected = async || self.endpoint.connected(ENVIRONMENT).into_iter().next();
        eventually("an executor that has connected", connected).await;
        self.executor().await
    }

    /// How many executors are connected.
    pub(crate) fn connected(&self) -> usize {
        self.endpoint.connected(ENVIRONMENT).len()
    }

    /// Pushes intents; answers with the version when history has it.
    pub(crate) async fn push(&self, intents: Vec<Arc<Intent>>, message: &str) -> u64 {
        let pushed = in_time("an answer to a push", self.scheduler.push(push_of(intents, message))).await;
        pushed.unwrap().0.0
    }

    /// Waits until nothing is left to do, and all is as wanted.
    pub(crate) async fn settle(&self) {
        let good = |state: &EnvironmentState| state.quiet() && state.counts().compliant == state.counts().total;
        eventually("an environment that is at rest", async || self.scheduler.read(good).await.unwrap().then_some(()))
            .await;
        self.recorded().await;
    }

    /// Waits until what was read so far is in history: it may still be on its way there, and the next commit is behind it.
    async fn recorded(&self) {
        in_time("a commit", self.scheduler.send(Event::Tick)).await.unwrap();
    }

    pub(crate) async fn view(&self, name: &'static str) -> ResourceView {
        self.scheduler.read(move |state| state.view(state.find(name).unwrap()).unwrap()).await.unwrap()
    }

    /// Waits until this resource is so.
    pub(crate) async fn until(&self, name: &'static str, is: impl Fn(&ResourceView) -> bool) -> ResourceView {
        eventually(name, async || Some(self.view(name).await).filter(&is)).await
    }

    /// The history, found exact, of an environment at rest.
    pub(crate) async fn history(&self) -> History {
        self.recorded().await;
        audit::history(&self.database, ENVIRONMENT, true).await
    }

    /// Ends everything in order.
    pub(crate) async fn stop(self) {
        in_time("the end of the scheduler", self.scheduler.stop()).await.unwrap();
        self.keeper.abort();
        self.store.close().await;
    }
}

fn target(name: &str, connection: &Value) -> Target {
    let connection = connection.to_string().as_str().into();
    Target {
        name: name.into(),
        pool: POOL.into(),
        connection,
        concurrency: 1,
        suspend: false,
        windows: Windows::default(),
        rate_limit: None,
    }
}

/// Keeps one executor running; says which one.
fn keep_executor(
    endpoint: &Endpoint,
    folder: &Path,
    socket: SocketPlace,
) -> (watch::Receiver<Option<Pid>>, JoinHandle<()>) {
    let listener = Endpoint::bind_unix(socket.path()).unwrap();
    let server = endpoint.clone();
    let (runs, executor) = watch::channel(None);
    let (endpoint, folder) = (endpoint.clone(), folder.to_owned());
    let keeper = tokio::spawn(async move {
        let serving = tokio::spawn(async move { server.serve_unix(listener, std::future::pending()).await });
        let _guard = AbortOnDrop(serving);
        let (environment, pool): (Name, PoolName) = (ENVIRONMENT.into(), POOL.into());
        loop {
            let options =
                ChildOptions { socket: socket.path(), folder: &folder, environment: &environment, pool: &pool };
            let program = Path::new(env!("CARGO_BIN_EXE_homeostat"));
            let mut child = Child::start_program(program, &options).unwrap();
            runs.send_replace(child.id().and_then(|id| Pid::from_raw(id as i32)));
            child.ended().await;
            runs.send_replace(None);
            endpoint.ended(ENVIRONMENT, &child.name());
        }
    });
    (executor, keeper)
}

struct AbortOnDrop(JoinHandle<Result<(), homeostat::executor::EndpointError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn push_of(intents: Vec<Arc<Intent>>, message: &str) -> Push {
    Push {
        set: "default".into(),
        upserts: intents,
        removals: Vec::new(),
        prune: false,
        approved: true,
        base: None,
        mode: PushMode::Whole,
        author: "a test".into(),
        source: "test".into(),
        message: message.into(),
    }
}

/// A `test.Thing` that wants this value.
pub(crate) fn thing(name: &str, value: &str) -> Arc<Intent> {
    resource(name, TARGET, "test.Thing", &json!({"key": name, "value": value}), Policy::default())
}

pub(crate) fn resource(name: &str, target: &str, kind: &str, attributes: &Value, policy: Policy) -> Arc<Intent> {
    Arc::new(Intent::new(IntentParts {
        name: name.into(),
        kind: kind.into(),
        target: target.into(),
        identity: format!("{{\"name\":\"{name}\"}}").as_str().into(),
        attributes: attributes.to_string().as_str().into(),
        requires: Vec::new(),
        policy,
        ..IntentParts::default()
    }))
}

/// Random numbers that a seed repeats.
pub(crate) struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    /// `FAULT_SEED` repeats a run.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
        println!("FAULT_SEED={seed}");
        Self { seed, thrown: 0 }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.thrown += 1;
        (Hash::fraction([self.seed, self.thrown]) * bound as f64) as u64
    }
}
