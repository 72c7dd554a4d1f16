//! Which environments are run: those that the manifests declare. One keeper each.
//!
//! An environment in whose files something is wrong goes on with what was accepted last; one that is in the data folder and not in the files is left
//! alone, and that is said.
//!
//! One that a user ends (`clear environment`, `delete environment`) is given up first and forgotten then. Its files may still declare it: it is run
//! again when they say something else of it than when it was ended, or when the process is started anew, and not before. The newest word counts.

use super::happening::{Happening, What};
use super::keeper::{Keeper, Want};
use super::teller::Teller;
use crate::api::manifest::Reading;
use crate::cli::CliError;
use crate::cli::arguments::RunOptions;
use crate::cli::embedded::control::{EndOrder, Registry};
use crate::cli::embedded::{Signals, end};
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::core::Name;
use crate::history::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What all environments of the process share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) folder: PathBuf,
    /// The process of the private database.
    pub(super) server: Option<u32>,
    /// Whether the database is that of the data folder: all that is in it is ours.
    pub(super) private: bool,
    /// Our id as owner, and those of earlier owners that have ended.
    pub(super) owner: Name,
    pub(super) ended: Vec<Name>,
    pub(super) output: Output,
    pub(super) signals: Signals,
    /// Where other commands find its scheduler.
    pub(super) registry: Registry,
    pub(super) teller: Teller,
}

/// The environments that are run.
pub(super) struct Environments<'a> {
    shared: Shared,
    options: &'a RunOptions,
    running: BTreeMap<Name, Running>,
    /// Keepers of environments that are no longer run, until they have ended.
    ending: BTreeMap<Name, JoinHandle<Result<(), CliError>>>,
    /// Environments of which was said that they are not run.
    left: BTreeSet<Name>,
    /// What the files said last.
    last: Option<Reading>,
    /// Environments that are being ended by an order, each with what its files said of it last.
    closing: JoinSet<Closed>,
    /// The same, and those that have ended: what the files say of these is no news.
    ended: BTreeMap<Name, Ended>,
}

struct Running {
    wants: watch::Sender<Want>,
    keeper: JoinHandle<Result<(), CliError>>,
    /// What its files said of it last, where they could be read.
    declared: Option<Arc<Declared>>,
}

/// An environment that was ended by an order.
struct Ended {
    declared: Option<Arc<Declared>>,
    /// Not yet.
    closing: bool,
}

/// What came of such an order.
pub(super) struct Closed {
    environment: Name,
    done: Result<(), CliError>,
    answer: oneshot::Sender<Result<bool, CliError>>,
}

impl<'a> Environments<'a> {
    pub(super) fn new(shared: Shared, options: &'a RunOptions) -> Self {
        let (running, ending, left) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (closing, ended) = (JoinSet::new(), BTreeMap::new());
        Self { shared, options, running, ending, left, last: None, closing, ended }
    }

    /// Runs what the files declare at first.
    ///
    /// # Errors
    /// There is nothing to run at all.
    pub(super) async fn begin(&mut self, reading: &Reading) -> Result<(), CliError> {
        let known = self.shared.store.environments().await?;
        self.tell_problems(reading);
        self.last = Some(reading.clone());
        self.take(reading, known);
        if self.running.is_empty() { Err(nothing(reading, self.named())) } else { Ok(()) }
    }

    /// Runs what the files declare now; where that is nothing, waits for better files.
    pub(super) async fn follow(&mut self, reading: &Reading) {
        self.tell_problems(reading);
        self.last = Some(reading.clone());
        let known = self.known().await;
        self.take(reading, known);
        if self.running.is_empty() && self.ended.is_empty() {
            self.shared
                .teller
                .tell(Happening::of(What::Trouble).saying("the manifests declare no Environment: nothing is run"));
        }
    }

    async fn known(&self) -> Vec<Name> {
        self.shared.store.environments().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the environments of the data folder cannot be listed");
            Vec::new()
        })
    }

    /// Gives an environment up, and drops everything that is known of it; others are not kept waiting for that.
    pub(super) fn end_one(&mut self, order: EndOrder) {
        let EndOrder { environment, empty, answer } = order;
        if self.ended.get(&environment).is_some_and(|ended| ended.closing) {
            // Whoever asks has seen what is known; there is nothing more to drop than the first one drops.
            let text = format!("environment {environment} is already being ended");
            // Whoever asked may have gone.
            let _ = answer.send(Err(CliError::Scheduler(text)));
            return;
        }
        let declared = self.running.get(&environment).and_then(|running| running.declared.clone());
        self.leave(&environment);
        let keeper = self.ending.remove(&environment);
        self.ended.insert(environment.clone(), Ended { declared, closing: true });
        let shared = self.shared.clone();
        self.closing.spawn(async move {
            let kept = match keeper {
                // A panic in there has been reported.
                Some(keeper) => keeper.await.unwrap_or(Ok(())),
                None => Ok(()),
            };
            let owner = (shared.owner.clone(), shared.ended.as_slice());
            let done = match kept {
                Ok(()) => end(&*shared.store, &shared.folder, owner, &environment, empty).await,
                Err(error) => Err(error),
            };
            Closed { environment, done, answer }
        });
    }

    /// Waits until an environment has been ended, or has not. Never comes back where none is.
    pub(super) async fn closed(&mut self) -> Option<Closed> {
        match self.closing.join_next().await {
            Some(closed) => closed.ok(),
            None => std::future::pending().await,
        }
    }

    /// Says what came of it. What its files have said since then is a newer word; where it could not be ended, it goes on.
    pub(super) async fn after(&mut self, closed: Closed) {
        let Closed { environment, done, answer } = closed;
        let reading = self.last.clone();
        let is_declared = |reading: &Reading| reading.environments.iter().any(|one| one.name == environment);
        let declared = reading.as_ref().is_some_and(is_declared);
        let happening = match &done {
            Ok(()) => Happening::of(What::Ended).saying(ended(declared)),
            Err(error) => {
                Happening::of(What::Trouble).saying(format!("it was to be ended, and is not: {}", error.report()))
            }
        };
        self.shared.teller.tell(happening.in_environment(&environment));
        if done.is_ok() {
            if let Some(ended) = self.ended.get_mut(&environment) {
                ended.closing = false;
            }
        } else {
            self.ended.remove(&environment);
        }
        // Whoever asked may have gone.
        let _ = answer.send(done.map(|()| declared));
        if let Some(reading) = reading {
            let known = self.known().await;
            self.take(&reading, known);
        }
    }

    fn named(&self) -> Option<&'a str> {
        self.options.state.environment.as_deref()
    }

    fn take(&mut self, reading: &Reading, known: Vec<Name>) {
        let named = self.named();
        let meant = |name: &Name| named.is_none_or(|named| *named == **name);
        self.forget_ended(reading);
        let ended: BTreeSet<Name> = self.ended.keys().cloned().collect();
        self.shared.registry.set_ended(ended.iter().cloned());
        let known: BTreeSet<Name> = known.into_iter().filter(|name| meant(name) && !ended.contains(name)).collect();
        let is_meant = |declared: &&Declared| meant(&declared.name) && !ended.contains(&declared.name);
        let declared: Vec<_> = reading.environments.iter().filter(is_meant).collect();
        for declared in &declared {
            let prune = self.options.prune && reading.problems.0.is_empty();
            self.want(&declared.name, Want::Declared { declared: Arc::new((*declared).clone()), prune });
        }
        let names: BTreeSet<&Name> = declared.iter().map(|declared| &declared.name).collect();
        // Of these the files say something, and nobody knows what.
        let unclear = |name: &Name| reading.concerned.as_ref().is_none_or(|concerned| concerned.contains(name));
        // Where nothing at all can be told, all that are ours: a database that others use too holds theirs.
        let ours = self.shared.private || named.is_some() || reading.concerned.is_some();
        for name in known.iter().filter(|name| ours && !names.contains(name) && unclear(name)) {
            if !self.running.contains_key(name) {
                self.want(name, Want::AsAccepted);
            }
        }
        let is_gone = |name: &&Name| !names.contains(name) && !unclear(name);
        let gone: Vec<Name> = self.running.keys().filter(is_gone).cloned().collect();
        for name in gone {
            self.leave(&name);
            self.tell_left(&name);
        }
        if self.shared.private {
            let left: Vec<&Name> = known.iter().filter(|name| !self.running.contains_key(*name)).collect();
            for name in left {
                self.tell_left(name);
            }
        }
    }

    /// What is wrong with the files, or that nothing is any more.
    fn tell_problems(&self, reading: &Reading) {
        if !reading.problems.0.is_empty() {
            self.shared.teller.tell(Happening::of(What::Refused).saying(refused(reading)));
        } else if self.last.as_ref().is_some_and(|last| !last.problems.0.is_empty()) {
            let text = "nothing is wrong with the manifests any more; what they say now is wanted";
            self.shared.teller.tell(Happening::of(What::Mended).saying(text));
        }
    }

    /// Of an environment that was ended, its files say something else by now, or nothing: from then on they count as of any other.
    fn forget_ended(&mut self, reading: &Reading) {
        self.ended.retain(|name, ended| {
            let declared = reading.environments.iter().find(|declared| declared.name == *name);
            let unclear = reading.concerned.as_ref().is_none_or(|concerned| concerned.contains(name));
            let same = match (declared, &ended.declared) {
                (Some(now), Some(then)) => *now == **then,
                (now, then) => now.is_none() && (then.is_none() || unclear),
            };
            ended.closing || same
        });
    }

    /// Tells a keeper what is wanted; starts one where there is none.
    fn want(&mut self, name: &Name, want: Want) {
        self.left.remove(name);
        let declared = if let Want::Declared { declared, .. } = &want { Some(Arc::clone(declared)) } else { None };
        if let Some(running) = self.running.get_mut(name) {
            running.declared = declared.or(running.declared.take());
            running.wants.send_replace(want);
            return;
        }
        let (wants, wanted) = watch::channel(want);
        let keeper = Keeper::new(self.shared.clone(), name.clone(), wanted);
        self.shared.registry.announce(name.clone());
        let earlier = self.ending.remove(name);
        let keeper = tokio::spawn(async move {
            if let Some(earlier) = earlier {
                // A panic in there has been reported, and there is nothing left to end.
                let _ = earlier.await;
            }
            keeper.keep().await
        });
        self.running.insert(name.clone(), Running { wants, keeper, declared });
    }

    /// Lets a keeper end; others are not kept waiting for it.
    fn leave(&mut self, name: &Name) {
        let Some(running) = self.running.remove(name) else { return };
        running.wants.send_replace(Want::Nothing);
        self.ending.insert(name.clone(), running.keeper);
    }

    /// Says once that an environment is not run.
    fn tell_left(&mut self, name: &Name) {
        if self.left.insert(name.clone()) {
            let text = "its history is here, and the manifests do not declare it: it is not run";
            self.shared.teller.tell(Happening::of(What::NotRun).in_environment(name).saying(text));
        }
    }

    /// Ends all, and waits until they have.
    ///
    /// # Errors
    /// What kept the first one that did not end in order.
    pub(super) async fn end(mut self) -> Result<(), CliError> {
        let names: Vec<Name> = self.running.keys().cloned().collect();
        for name in names {
            self.leave(&name);
        }
        let mut done = Ok(());
        while let Some(closed) = self.closing.join_next().await {
            let Ok(Closed { done: ended, answer, .. }) = closed else { continue };
            // Whoever asked may have gone.
            let _ = answer.send(ended.map(|()| true));
        }
        while let Some((_, keeper)) = self.ending.pop_first() {
            // A panic in there has been reported, and there is nothing left to end.
            done = done.and(keeper.await.unwrap_or(Ok(())));
        }
        done
    }
}

/// All problems, and what goes on nevertheless.
fn refused(reading: &Reading) -> String {
    let problems = reading.problems.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let goes_on = match &reading.concerned {
        None => "what was accepted before goes on".to_owned(),
        Some(concerned) => {
            let names: Vec<&str> = concerned.iter().map(|name| &**name).collect();
            format!("what was accepted before goes on in {}; other environments are not concerned", names.join(", "))
        }
    };
    let count = reading.problems.0.len();
    format!("{count} problem{} in the manifests; {goes_on}\n{problems}", if count == 1 { "" } else { "s" })
}

/// What becomes of an environment that was ended.
fn ended(declared: bool) -> &'static str {
    if declared {
        "nothing is known of it any more; the manifests still declare it, and it begins anew when what they say of it changes, or when this process \
         is started again"
    } else {
        "nothing is known of it any more"
    }
}

fn nothing(reading: &Reading, named: Option<&str>) -> CliError {
    match named {
        _ if !reading.problems.0.is_empty() => CliError::Manifests(reading.problems.to_string()),
        Some(named) => CliError::Usage(format!("the manifests declare no environment named {named}")),
        None => {
            CliError::Manifests("the manifests declare no Environment; add one (see examples/quickstart)".to_owned())
        }
    }
}
