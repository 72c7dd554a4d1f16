//! `homeostat run -f DIR`: the autonomous form. Each environment of the manifests is held to its intent until the process is told to end: verified,
//! repaired and retried by its own timers; changed files become versions.
//!
//! ```text
//! files (read again when they change) ─► Environments ─► one Keeper per environment ─► Session
//!                                                                └─► Teller: a line per thing that happens
//! ```
//!
//! Environments share the data folder and its database, and nothing else: what goes wrong in one is told, tried again later, and is none of the
//! others' business. Deliberately absent: removing what is no longer declared, unless `--prune --yes` said so in advance.

mod environments;
mod files;
mod happening;
mod keeper;
mod teller;

use crate::cli::arguments::RunOptions;
use crate::cli::embedded::control::{EndOrder, Listening, Registry};
use crate::cli::embedded::{EmbeddedError, Owners, Place, Signals, has_ended, owner_of};
use crate::cli::limits::SERVER_LOOK;
use crate::cli::output::Output;
use crate::cli::{CliError, Exit};
use crate::executor::process;
use crate::scheduler::keep_lease;
use environments::{Environments, Shared};
use files::Files;
use std::path::Path;
use std::sync::Arc;
use teller::Teller;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Runs until a signal ends it.
pub(crate) async fn run(options: RunOptions, output: Output) -> Result<Exit, CliError> {
    check(&options)?;
    // From here on a signal is an order to end, also while everything is being opened.
    let signals = Signals::catch()?;
    let files = Files::read_first(options.manifests.files.clone()).await?;
    let work = async |place: &Place, owners: &Owners| hold(&options, files, signals, place, owners, output).await;
    Place::owned_openly(&options.state, output, work).await
}

fn check(options: &RunOptions) -> Result<(), CliError> {
    if options.manifests.files.is_empty() {
        let reason = "run needs manifests that it can read again: give files or folders with -f";
        return Err(CliError::Usage(reason.to_owned()));
    }
    if options.manifests.files.iter().any(|path| path == Path::new("-")) {
        let reason = "run reads its manifests again when they change, and standard input cannot be read twice\n  \
                      write them to a file, and name that with -f";
        return Err(CliError::Usage(reason.to_owned()));
    }
    if options.prune && !options.yes {
        let reason = "run --prune deletes on its own what the manifests no longer declare, and asks nobody\n  \
                      add --yes to confirm that in advance";
        return Err(CliError::Usage(reason.to_owned()));
    }
    Ok(())
}

async fn hold(
    options: &RunOptions,
    files: Files,
    mut signals: Signals,
    place: &Place,
    owners: &Owners,
    output: Output,
) -> Result<Exit, CliError> {
    process::await_earlier(&place.folder).await.map_err(EmbeddedError::from)?;
    let _lease = Renewing(keep_lease(Arc::clone(&place.store), owner_of(owners.own())));
    let (teller, telling) = Teller::start(output);
    let (registry, ends) = Registry::new(place.is_private());
    let shared = Shared {
        store: Arc::clone(&place.store),
        folder: place.folder.clone(),
        server: place.server_process(),
        private: place.is_private(),
        owner: owners.own(),
        ended: owners.ended().to_vec(),
        output,
        signals: signals.clone(),
        registry: registry.clone(),
        teller,
    };
    let mut environments = Environments::new(shared, options);
    // It listens until the last of them has ended.
    let mut listening = None;
    let done = async {
        environments.begin(files.first()).await?;
        // Not before: who comes now is told which environments there are, or will be in a moment.
        listening = Some(Listening::begin(&place.folder, registry)?);
        work(&mut environments, files, ends, &mut signals, place).await
    };
    let done = done.await;
    let ended = environments.end().await;
    drop(listening);
    telling.end().await;
    done.and(ended).map(|()| Exit::Done)
}

/// Follows the files until a signal comes; fails when the private database has ended, which nobody here can start again.
async fn work(
    environments: &mut Environments<'_>,
    files: Files,
    mut ends: mpsc::Receiver<EndOrder>,
    signals: &mut Signals,
    place: &Place,
) -> Result<(), CliError> {
    let mut readings = files.follow();
    let mut looks = tokio::time::interval(SERVER_LOOK);
    loop {
        tokio::select! {
            () = signals.first() => return Ok(()),
            Some(reading) = readings.recv() => environments.follow(&reading?).await,
            Some(order) = ends.recv() => environments.end_one(order),
            Some(closed) = environments.closed() => environments.after(closed).await,
            _ = looks.tick() => {
                if place.server_process().is_some_and(has_ended) {
                    return Err(EmbeddedError::ServerEnded { log: place.folder.join("postgres.log") }.into());
                }
            }
        }
    }
}

/// The lease is renewed as long as this lives.
struct Renewing(JoinHandle<()>);

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.abort();
    }
}
