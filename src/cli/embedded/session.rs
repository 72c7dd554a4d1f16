//! An environment that this process owns for one run: scheduler, endpoint, executors.

use super::away;
use super::executors::{Executors, Failure, PoolEdge};
use super::signals::Signals;
use super::{EmbeddedError, Finished, Owners, Place, author, readme};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::limits::{LEASE_MS, SESSION_STOP, SESSION_TRIM};
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::core::{
    AttemptId, DryRunItem, DryRunRequest, EnvironmentState, Event, Name, Push, PushMode, Request, RequestKind, Scope,
    VersionNumber,
};
use crate::executor::process;
use crate::executor::{AcceptAll, Endpoint, Times};
use crate::history::{DryRunResult, Owner, Store};
use crate::scheduler::{Committed, Scheduler, SchedulerError, keep_lease};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinHandle;

/// A running environment.
pub(crate) struct Session {
    pub(crate) scheduler: Scheduler,
    pub(super) store: Arc<dyn Store>,
    pub(super) environment: Name,
    pub(super) executors: Executors,
    pub(super) signals: Signals,
    pub(super) began: Instant,
    /// Attempts above this number belong to this run.
    pub(super) before: AttemptId,
    pub(super) output: Output,
    /// The private database's process, and its log.
    pub(super) server: Option<u32>,
    pub(super) log: PathBuf,
    lease: Option<JoinHandle<()>>,
}

/// What a session is opened with.
pub(crate) struct Opening<'a> {
    /// History.
    pub(crate) store: Arc<dyn Store>,
    /// Where executors keep their state, and their socket.
    pub(crate) folder: &'a Path,
    /// The process of the private database, where there is one.
    pub(crate) server: Option<u32>,
    /// The environment's name.
    pub(crate) environment: Name,
    /// Who owns it from now on.
    pub(crate) owner: Name,
    /// Who has provably ended.
    pub(crate) ended: &'a [Name],
    /// What is told to people, and how.
    pub(crate) output: Output,
    /// Only reports may start.
    pub(crate) report_only: bool,
    /// Of a process that runs several environments: it has caught the signals, and renews its lease itself.
    pub(crate) signals: Option<Signals>,
}

impl Session {
    /// Locks the data folder, lets `prepare` choose the environment and check what can be checked before anything is owned, runs `work` in a
    /// session on it, and closes everything afterwards, whatever came of it.
    pub(crate) async fn run<P, T>(
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&mut Self, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        Self::run_as(false, options, output, prepare, work).await
    }

    /// The same; a session that is there for reports only starts nothing else, whatever is due or was left over.
    pub(crate) async fn run_as<P, T>(
        report_only: bool,
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&mut Self, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let on =
            async |place: &Place, owners: &Owners| Self::on(place, owners, report_only, output, prepare, work).await;
        Place::owned(options, output, on).await
    }

    /// The same in a folder that this process has locked.
    pub(super) async fn on<P, T>(
        place: &Place,
        owners: &Owners,
        report_only: bool,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&mut Self, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let (environment, prepared) = prepare(place).await?;
        let opening = Opening {
            store: Arc::clone(&place.store),
            folder: &place.folder,
            server: place.server_process(),
            environment,
            owner: owners.own(),
            ended: owners.ended(),
            output,
            report_only,
            signals: None,
        };
        process::await_earlier(&place.folder).await.map_err(EmbeddedError::from)?;
        Self::within(opening, async |session| work(session, prepared).await).await
    }

    /// Runs `work` in a session, and ends its executors and its ownership afterwards.
    pub(crate) async fn within<T>(
        opening: Opening<'_>,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let mut session = Self::open(opening).await?;
        // A process that runs several environments says so itself, and ends when it is told to.
        let away = session.lease.is_some().then(|| away::Watch {
            away: session.scheduler.away(),
            signals: Some(session.signals.clone()),
            server: session.server,
            log: session.log.clone(),
        });
        let done = tokio::select! {
            done = work(&mut session) => done,
            error = away::given_up(away) => {
                session.abandon().await;
                return Err(error);
            }
        };
        if done.is_ok() {
            session.trim().await;
        }
        let closed = session.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }

    async fn open(opening: Opening<'_>) -> Result<Self, CliError> {
        let Opening { store, folder, server, environment, owner, ended, output, report_only, signals } = opening;
        readme::write_environment(folder, &environment)?;
        let alone = signals.is_none();
        let signals = signals.map_or_else(Signals::catch, Ok)?;
        let before = store.attempts(&environment, None, None, 1).await?.first().map(|newest| newest.attempt);
        let endpoint = Endpoint::new(Times::default(), Arc::new(AcceptAll));
        let (edge, wanted) = PoolEdge::new(endpoint.clone());
        let owner = owner_of(owner);
        let scheduler =
            Scheduler::start(environment.clone(), Arc::clone(&store), owner.clone(), ended, Arc::new(edge)).await?;
        if report_only {
            // No executor can connect yet, so nothing else has started.
            scheduler.send(Event::ReportOnly).await?;
        }
        let lease = alone.then(|| keep_lease(Arc::clone(&store), owner));
        let unheard = scheduler.read(EnvironmentState::unheard_executors).await?;
        endpoint.attach(environment.clone(), scheduler.epoch(), scheduler.inbox(), unheard);
        let executors = match Executors::start(endpoint, environment.clone(), folder, wanted) {
            Ok(executors) => executors,
            Err(error) => {
                lease.inspect(JoinHandle::abort);
                scheduler.stop().await?;
                return Err(error.into());
            }
        };
        Ok(Self {
            scheduler,
            store,
            environment,
            executors,
            signals,
            began: Instant::now(),
            before: before.unwrap_or_default(),
            output,
            server,
            log: folder.join("postgres.log"),
            lease,
        })
    }

    /// Makes the declared settings and targets those of the environment, where they differ.
    pub(crate) async fn configure(&self, declared: &Declared) -> Result<(), CliError> {
        Ok(configure(&self.scheduler, declared.settings.clone(), declared.targets.clone()).await?)
    }

    /// The same, but nothing starts by itself.
    pub(crate) async fn configure_suspended(&self, declared: &Declared) -> Result<(), CliError> {
        let settings = super::copy::suspended(declared.settings.clone());
        let targets = declared.targets.iter().cloned().map(super::copy::unrated).collect();
        self.configure(&Declared { settings, targets, ..declared.clone() }).await
    }

    /// Tries these intents, and waits for their results, sorted by name.
    pub(crate) async fn dry_run(&mut self, items: Vec<DryRunItem>) -> Result<Vec<DryRunResult>, CliError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let id = self.scheduler.dry_run(DryRunRequest { items, author: author() }).await?;
        if super::wait::until_quiet(self).await?.interrupted {
            return Err(CliError::Interrupted);
        }
        Ok(self.store.dry_run(&self.environment, id).await?)
    }

    /// Pushes intent as a whole.
    pub(crate) async fn push(&self, push: Push) -> Result<VersionNumber, CliError> {
        Ok(self.scheduler.push(push).await?.0)
    }

    /// Asks for something; returns how many resources it covers.
    pub(crate) async fn request(&self, request: Request) -> Result<usize, CliError> {
        Ok(self.scheduler.order(request).await?.1)
    }

    /// Waits until nothing is left to do, or a signal ends the run early.
    pub(crate) async fn wait(&mut self) -> Result<Finished, CliError> {
        super::wait::until_quiet(self).await
    }

    /// Waits for the first pool whose executors do not run; says which, and their last words.
    pub(crate) async fn executors_failed(&mut self) -> (String, String) {
        let Failure { pool, message } = self.executors.failed().await;
        (pool, message)
    }

    /// Reads the state, between two steps.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&EnvironmentState) -> T + Send + 'static,
    ) -> Result<T, CliError> {
        Ok(self.scheduler.read(read).await?)
    }

    /// Waits until it is so, looking after every commit.
    pub(crate) async fn until(
        &self,
        is_so: impl Fn(&EnvironmentState) -> bool + Clone + Send + 'static,
    ) -> Result<(), CliError> {
        let mut commits = self.commits();
        while !self.read(is_so.clone()).await? {
            if let Err(RecvError::Closed) = commits.recv().await {
                return Err(SchedulerError::Ended(self.scheduler.ended().await).into());
            }
        }
        Ok(())
    }

    /// What is committed from now on.
    pub(crate) fn commits(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.scheduler.subscribe()
    }

    /// Drops what history no longer keeps: most sessions are over before their first look at it is, and what they have accepted came after that.
    /// What cannot be dropped in time is left to the next.
    async fn trim(&self) {
        let _ = tokio::time::timeout(SESSION_TRIM, self.scheduler.trim()).await;
    }

    /// Ends the executors. What they have done cannot be recorded, nor the ownership given up: the next run knows that we have ended.
    async fn abandon(self) {
        self.executors.abandon().await;
        self.lease.inspect(JoinHandle::abort);
    }

    /// Ends the executors, then the ownership.
    async fn close(self) -> Result<(), CliError> {
        self.executors.stop().await;
        let stopped = tokio::time::timeout(SESSION_STOP, self.scheduler.stop()).await;
        self.lease.inspect(JoinHandle::abort);
        // Without a database ownership cannot be given up; the next run knows that we have ended.
        Ok(stopped.unwrap_or_else(|_| Err(SchedulerError::Ended("the database is away".to_owned())))?)
    }
}

/// This process as an owner.
pub(crate) fn owner_of(id: Name) -> Owner {
    let description = format!("{} (process {})", author(), std::process::id()).into();
    Owner { id, description, lease_ms: LEASE_MS }
}

/// A push of this process's user that stands or falls as one.
pub(crate) fn push_of(set: Name, source: &str, message: &str) -> Push {
    Push {
        set,
        upserts: Vec::new(),
        removals: Vec::new(),
        prune: false,
        // What a command removes, it has shown and had confirmed before.
        approved: true,
        base: None,
        mode: PushMode::Whole,
        author: author(),
        source: source.into(),
        message: message.into(),
    }
}

/// A request of this process's user.
pub(crate) fn request_of(kind: RequestKind, scope: Scope, message: &str) -> Request {
    Request { kind, digest: None, scope, author: author(), message: message.into() }
}

/// Makes settings and targets those of an environment, where they differ.
pub(super) async fn configure(
    scheduler: &Scheduler,
    settings: crate::core::Settings,
    targets: Vec<crate::core::Target>,
) -> Result<(), SchedulerError> {
    let events = scheduler.read(move |state| differing(state, settings, targets)).await?;
    for event in events {
        scheduler.send(event).await?;
    }
    Ok(())
}

/// Events that make the state's settings and targets what is wanted. Nothing is written where nothing differs.
fn differing(
    state: &EnvironmentState,
    settings: crate::core::Settings,
    targets: Vec<crate::core::Target>,
) -> Vec<Event> {
    let mut events = Vec::new();
    if *state.settings() != settings {
        events.push(Event::SettingsChanged(settings));
    }
    let is_new = |target: &crate::core::Target| !state.targets().any(|known| known == target);
    events.extend(targets.into_iter().filter(is_new).map(Event::TargetChanged));
    events
}
