//! The manifests of a process that runs on: read again when a file has changed and the changes have come to rest.
//!
//! Looking costs one `stat` per file and second, and works on every file system, also where nobody tells of changes (network folders, bind mounts).

use crate::adaptors::registry;
use crate::api::manifest::{Reading, Stamp, Tree};
use crate::api::{Checker, Types};
use crate::cli::CliError;
use crate::cli::limits::{FILES_CLOSER_LOOK, FILES_LOOK, FILES_REST};
use crate::cli::output::time;
use crate::controller::settle::Settle;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The files, and what they said when they were last read.
pub(super) struct Files {
    tree: Arc<Tree>,
    checker: Arc<Checker>,
    /// What the last reading was made of, at the latest.
    read: Stamp,
    seen: Stamp,
    settle: Settle,
    last: Reading,
}

impl Files {
    /// Reads them for the first time.
    pub(super) async fn read_first(paths: Vec<PathBuf>) -> Result<Self, CliError> {
        let schemas = registry::kinds().filter_map(registry::schema).cloned();
        let types = Types::new(schemas).map_err(|error| CliError::Defect(error.to_string()))?;
        let checker = Arc::new(Checker::new(types).map_err(|error| CliError::Defect(error.to_string()))?);
        let tree = Arc::new(Tree::new(paths));
        let read = stamp(&tree).await?;
        let last = read_all(&tree, &checker).await?;
        Ok(Self { tree, checker, seen: read.clone(), read, settle: Settle::default(), last })
    }

    /// What they said at first.
    pub(super) fn first(&self) -> &Reading {
        &self.last
    }

    /// Looks at them from now on, and hands over what they say whenever it has changed. Ends with the receiver.
    pub(super) fn follow(mut self) -> mpsc::Receiver<Result<Reading, CliError>> {
        let (readings, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let reading = tokio::select! {
                    reading = self.changed() => reading,
                    () = readings.closed() => return,
                };
                if readings.send(reading).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    /// Waits until they say something else than last time.
    async fn changed(&mut self) -> Result<Reading, CliError> {
        loop {
            let pause = if self.settle.due(FILES_REST).is_some() { FILES_CLOSER_LOOK } else { FILES_LOOK };
            tokio::time::sleep(pause).await;
            let now = stamp(&self.tree).await?;
            if now != self.seen {
                self.seen = now;
                self.settle.edited(time::now());
            }
            if !self.settle.take(time::now(), FILES_REST) || self.seen == self.read {
                continue;
            }
            // What changes while it is read differs from this stamp, and is read again.
            let stamp = self.seen.clone();
            let reading = read_all(&self.tree, &self.checker).await?;
            self.read = stamp;
            if reading.digest != self.last.digest {
                self.last = reading.clone();
                return Ok(reading);
            }
        }
    }
}

async fn stamp(tree: &Arc<Tree>) -> Result<Stamp, CliError> {
    let tree = Arc::clone(tree);
    tokio::task::spawn_blocking(move || tree.stamp()).await.map_err(|error| CliError::Defect(error.to_string()))
}

async fn read_all(tree: &Arc<Tree>, checker: &Arc<Checker>) -> Result<Reading, CliError> {
    let (tree, checker) = (Arc::clone(tree), Arc::clone(checker));
    let read = tokio::task::spawn_blocking(move || tree.read(&checker));
    read.await.map_err(|error| CliError::Defect(error.to_string()))
}
