//! `homeostat forget NAME…`: resources that nobody wants any more, and nobody deletes: a target that is gone, a delete that will never succeed,
//! a thing handed over to somebody else.

use super::confirm;
use crate::cli::arguments::ForgetOptions;
use crate::cli::embedded::{Owned, Place, author, find, snapshot_state};
use crate::cli::output::{Output, counted, either, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Forget, Life, Name, ResourceRow, VersionNumber};
use serde::Serialize;
use std::collections::BTreeSet;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForgetDocument {
    environment: Name,
    version: VersionNumber,
    items: Vec<LeftBehind>,
}

/// A resource that is no longer known, and what may still be there of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeftBehind {
    name: Name,
    #[serde(rename = "type")]
    kind: Name,
    target: Name,
    /// What the target calls it; absent where nothing was ever deployed, or where the target gave it no name.
    remote_identity: Option<Name>,
    /// What makes it the same thing on its target.
    identity: Name,
    /// It was being deleted.
    was_deleting: bool,
}

/// Shows what would be left behind, asks, and forgets.
pub(crate) async fn run(options: ForgetOptions, output: Output) -> Result<Exit, CliError> {
    let prepare = async |place: &Place| prepare(&options, place).await;
    let document = Owned::run(&options.state, output, prepare, async |owned, items| {
        let names = items.iter().map(|item| item.name.clone()).collect();
        let forget = Forget { names, author: author(), message: options.order.message.as_str().into() };
        let version = owned.forget(forget).await?;
        Ok(ForgetDocument { environment: owned.environment.clone(), version, items })
    })
    .await?;
    output.print(&document, || text(&document))?;
    Ok(Exit::Done)
}

async fn prepare(options: &ForgetOptions, place: &Place) -> Result<(Name, Vec<LeftBehind>), CliError> {
    let environment = place.environment(options.state.environment.as_deref(), None).await?;
    let state = snapshot_state(&*place.store, &environment).await?;
    let items = left_behind(options, &state)?;
    let lines: Vec<String> = items.iter().map(describe).collect();
    let forgotten = format!(
        "{} of environment {environment} will be forgotten, and left on {}:\n{}",
        confirm::these(items.len()),
        either(items.len(), "its target as it is", "their targets as they are"),
        confirm::list("-", lines.iter().map(String::as_str))
    );
    let requiring = requiring(&state, &items);
    let heading = if requiring.is_empty() {
        forgotten
    } else {
        format!(
            "{forgotten}\nWhat requires {} is undefined until that is declared again, and is neither deployed nor repaired:\n{}",
            either(items.len(), "it", "them"),
            confirm::list("-", requiring.iter().map(|name| &**name))
        )
    };
    confirm::confirm(&heading, either(items.len(), "Forget it?", "Forget them?"), options.order.yes)?;
    Ok((environment, items))
}

fn left_behind(options: &ForgetOptions, state: &EnvironmentState) -> Result<Vec<LeftBehind>, CliError> {
    for name in &options.select.names {
        find(state, name)?;
    }
    let selection = Selection::new(&options.select);
    selection.check_place(state, None)?;
    if selection.is_all() {
        let reason = "forget leaves things behind that nobody knows of any more: name them, or select them\n  \
                      `homeostat clear environment NAME` forgets all of an environment";
        return Err(CliError::Usage(reason.to_owned()));
    }
    let selection = selection.within(state, None, time::now());
    if let Some(nothing) = selection.nothing(state, None) {
        return Err(CliError::Usage(nothing));
    }
    let meant = state.views().map(|view| view.row.intent).filter(|intent| selection.covers(intent));
    let names: BTreeSet<Name> = meant.map(|intent| intent.name.clone()).collect();
    let one = |row: ResourceRow| LeftBehind {
        name: row.intent.name.clone(),
        kind: row.intent.kind.clone(),
        target: row.intent.target.clone(),
        remote_identity: row.remote_identity.clone(),
        identity: row.intent.identity.clone(),
        was_deleting: row.life == Life::Tombstone,
    };
    names.iter().map(|name| Ok(one(find(state, name)?.row))).collect()
}

/// What stays, and requires some of it; sorted.
fn requiring(state: &EnvironmentState, items: &[LeftBehind]) -> BTreeSet<Name> {
    let leaves: BTreeSet<&Name> = items.iter().map(|item| &item.name).collect();
    let live = state.views().filter(|view| view.row.life == Life::Live).map(|view| view.row.intent);
    let stays = live.filter(|intent| !leaves.contains(&intent.name));
    let requiring = stays.filter(|intent| intent.requires.iter().any(|name| leaves.contains(name)));
    requiring.map(|intent| intent.name.clone()).collect()
}

/// `motd (host.File {"/path":"/etc/motd"} on here)`.
fn describe(item: &LeftBehind) -> String {
    let LeftBehind { name, kind, target, identity, remote_identity, .. } = item;
    let thing = remote_identity.as_ref().unwrap_or(identity);
    format!("{name} ({kind} {thing} on {target})")
}

fn text(document: &ForgetDocument) -> String {
    let count = document.items.len();
    format!(
        "forgot {} (version {}); what is on {} stays there\n  \
         what the manifests still declare comes back with the next `homeostat deploy -f`",
        counted(count, "resource"),
        document.version,
        either(count, "its target", "their targets")
    )
}
