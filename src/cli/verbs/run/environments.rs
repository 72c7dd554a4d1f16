//! Which environments are run: those that the manifests declare. One keeper each.
//!
//! An environment in whose files something is wrong goes on with what was accepted last; one that is in the data folder and not in the files is left
//! alone, and that is said.

use super::happening::{Happening, What};
use super::keeper::{Keeper, Want};
use super::teller::Teller;
use crate::api::manifest::Reading;
use crate::cli::CliError;
use crate::cli::arguments::RunOptions;
use crate::cli::embedded::Signals;
use crate::cli::embedded::control::Registry;
use crate::cli::output::Output;
use crate::core::Name;
use crate::history::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
}

struct Running {
    wants: watch::Sender<Want>,
    keeper: JoinHandle<Result<(), CliError>>,
}

impl<'a> Environments<'a> {
    pub(super) fn new(shared: Shared, options: &'a RunOptions) -> Self {
        Self { shared, options, running: BTreeMap::new(), ending: BTreeMap::new(), left: BTreeSet::new() }
    }

    /// Runs what the files declare at first.
    ///
    /// # Errors
    /// There is nothing to run at all.
    pub(super) async fn begin(&mut self, reading: &Reading) -> Result<(), CliError> {
        let known = self.shared.store.environments().await?;
        self.take(reading, known);
        if self.running.is_empty() { Err(nothing(reading, self.named())) } else { Ok(()) }
    }

    /// Runs what the files declare now; where that is nothing, waits for better files.
    pub(super) async fn follow(&mut self, reading: &Reading) {
        let known = self.shared.store.environments().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the environments of the data folder cannot be listed");
            Vec::new()
        });
        self.take(reading, known);
        if self.running.is_empty() {
            self.shared
                .teller
                .tell(Happening::of(What::Trouble).saying("the manifests declare no Environment: nothing is run"));
        }
    }

    fn named(&self) -> Option<&'a str> {
        self.options.state.environment.as_deref()
    }

    fn take(&mut self, reading: &Reading, known: Vec<Name>) {
        let named = self.named();
        let meant = |name: &Name| named.is_none_or(|named| *named == **name);
        if !reading.problems.0.is_empty() {
            self.shared.teller.tell(Happening::of(What::Refused).saying(refused(reading)));
        }
        let known: BTreeSet<Name> = known.into_iter().filter(meant).collect();
        let declared: Vec<_> = reading.environments.iter().filter(|declared| meant(&declared.name)).collect();
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

    /// Tells a keeper what is wanted; starts one where there is none.
    fn want(&mut self, name: &Name, want: Want) {
        self.left.remove(name);
        if let Some(running) = self.running.get(name) {
            running.wants.send_replace(want);
            return;
        }
        let (wants, wanted) = watch::channel(want);
        let keeper = Keeper::new(self.shared.clone(), name.clone(), wanted);
        let earlier = self.ending.remove(name);
        let keeper = tokio::spawn(async move {
            if let Some(earlier) = earlier {
                // A panic in there has been reported, and there is nothing left to end.
                let _ = earlier.await;
            }
            keeper.keep().await
        });
        self.running.insert(name.clone(), Running { wants, keeper });
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

fn nothing(reading: &Reading, named: Option<&str>) -> CliError {
    match named {
        _ if !reading.problems.0.is_empty() => CliError::Manifests(reading.problems.to_string()),
        Some(named) => CliError::Usage(format!("the manifests declare no environment named {named}")),
        None => {
            CliError::Manifests("the manifests declare no Environment; add one (see examples/quickstart)".to_owned())
        }
    }
}
