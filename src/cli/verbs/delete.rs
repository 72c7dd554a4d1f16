//! `homeostat delete [NAME…]`: removes resources from their targets, in reverse order of what they require.

use super::confirm;
use super::summary::RunDocument;
use crate::cli::arguments::{DeleteOptions, WholeEnvironment};
use crate::cli::embedded::{Access, Finished, Place, find, push_of, snapshot_state};
use crate::cli::manifests::Selection;
use crate::cli::output::Output;
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Name, Push, RequestKind};
use std::collections::BTreeMap;

/// Pushes the removals, waits until they are deleted, and prints what was done.
pub(crate) async fn run(options: DeleteOptions, output: Output) -> Result<Exit, CliError> {
    match options.whole {
        Some(WholeEnvironment::Environment(order)) => super::environment::delete(order, output).await,
        None => {
            let prepare = async |place: &Place| prepare(&options, false, place).await;
            let work = async |session: &mut Access<'_>, pushes| remove(session, pushes, &options).await;
            RunDocument::new(Access::run(&options.state, output, prepare, work).await?).print(output, false)
        }
    }
}

/// Removes what is meant, and waits until it is deleted.
pub(super) async fn remove(
    session: &mut Access<'_>,
    pushes: Vec<Push>,
    options: &DeleteOptions,
) -> Result<Finished, CliError> {
    for push in pushes {
        session.push(push).await?;
    }
    // Deletes that failed in an earlier run are tried again now, not when their retry is due.
    session.request(RequestKind::Deploy, Selection::named(&options.names).scope()).await?;
    session.wait().await
}

/// Chooses what is removed, and asks; `whole`: everything, because the environment ends.
pub(super) async fn prepare(
    options: &DeleteOptions,
    whole: bool,
    place: &Place,
) -> Result<(Name, Vec<Push>), CliError> {
    let environment = place.environment(options.state.environment.as_deref(), None).await?;
    let state = snapshot_state(&*place.store, &environment).await?;
    let (pushes, removed) = removals(options, &state)?;
    if whole || !removed.is_empty() {
        let names = confirm::list("-", removed.iter().map(|name| &**name));
        let after = if whole { ", and then all that is known of it, its history too" } else { "" };
        let heading = format!(
            "These {} resources of environment {environment} will be deleted on their targets{after}:\n{names}",
            removed.len()
        );
        let question = if whole { "Delete the environment?" } else { "Delete them?" };
        confirm::confirm(&heading, question, options.order.yes)?;
    }
    Ok((environment, pushes))
}

/// One push per resource set, and the names that leave.
fn removals(options: &DeleteOptions, state: &EnvironmentState) -> Result<(Vec<Push>, Vec<Name>), CliError> {
    for name in &options.names {
        find(state, name)?;
    }
    let chosen = |name: &Name| options.names.is_empty() || options.names.iter().any(|wanted| **wanted == **name);
    let mut sets: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for (set, intent) in state.declared().filter(|(_, intent)| chosen(&intent.name)) {
        sets.entry(set.clone()).or_default().push(intent.name.clone());
    }
    let mut removed: Vec<Name> = sets.values().flatten().cloned().collect();
    removed.sort_unstable();
    let push = |(set, names)| Push { removals: names, ..push_of(set, "delete", &options.order.message) };
    Ok((sets.into_iter().map(push).collect(), removed))
}
