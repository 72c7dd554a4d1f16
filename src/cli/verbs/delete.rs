//! `homeostat delete [NAME…]`: removes resources from their targets, in reverse order of what they require.

use super::confirm;
use super::summary::RunDocument;
use crate::cli::arguments::{DeleteOptions, WholeEnvironment};
use crate::cli::embedded::{Access, Finished, Place, Purpose, find, push_of, request_of, snapshot_state};
use crate::cli::output::{Output, either, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Name, Push, RequestKind, Scope};
use std::collections::BTreeMap;

/// Pushes the removals, waits until they are deleted, and prints what was done.
pub(crate) async fn run(options: DeleteOptions, output: Output) -> Result<Exit, CliError> {
    match options.whole {
        Some(WholeEnvironment::Environment(order)) => super::environment::delete(order, output).await,
        None => {
            let prepare = async |place: &Place| prepare(&options, false, place, output).await;
            let work =
                async |session: &mut Access<'_>, prepared| remove(session, prepared, &options.order.message).await;
            RunDocument::new(Access::run(Purpose::Work, &options.state, output, prepare, work).await?)
                .print(output, false)
        }
    }
}

/// Removes what is meant, and waits until it is deleted.
pub(super) async fn remove(
    session: &mut Access<'_>,
    (pushes, scope): (Vec<Push>, Scope),
    message: &str,
) -> Result<Finished, CliError> {
    for push in pushes {
        session.push(push).await?;
    }
    // Deletes that failed in an earlier run are tried again now (P2), not when their retry is due.
    session.request(request_of(RequestKind::Deploy, scope, message)).await?;
    session.wait().await
}

/// Chooses what is removed, and asks; `whole`: everything, because the environment ends.
pub(super) async fn prepare(
    options: &DeleteOptions,
    whole: bool,
    place: &Place,
    output: Output,
) -> Result<(Name, (Vec<Push>, Scope)), CliError> {
    let environment = place.environment(options.state.environment.as_deref(), None).await?;
    let state = snapshot_state(&*place.store, &environment).await?;
    for name in &options.select.names {
        find(&state, name)?;
    }
    let selection = Selection::new(&options.select);
    selection.check_place(&state, None)?;
    let selection = selection.within(&state, None, time::now());
    if let Some(nothing) = selection.nothing(&state, None) {
        output.note(&nothing);
    }
    let (pushes, removed) = removals(options, &selection, &state);
    if whole || !removed.is_empty() {
        let names = confirm::list("-", removed.iter().map(|name| &**name));
        let after = if whole { ", and then all that is known of it, its history too" } else { "" };
        let heading = if removed.is_empty() {
            format!(
                "environment {environment} declares nothing any more; all that is known of it will be deleted, its history too"
            )
        } else {
            format!(
                "{} of environment {environment} will be deleted on {}{after}:\n{names}",
                confirm::these(removed.len()),
                either(removed.len(), "its target", "their targets")
            )
        };
        let question =
            if whole { "Delete the environment?" } else { either(removed.len(), "Delete it?", "Delete them?") };
        confirm::confirm(&heading, question, options.order.yes)?;
    }
    Ok((environment, (pushes, selection.scope())))
}

/// One push per resource set, and the names that leave.
fn removals(options: &DeleteOptions, selection: &Selection, state: &EnvironmentState) -> (Vec<Push>, Vec<Name>) {
    let mut sets: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for (set, intent) in state.declared().filter(|(_, intent)| selection.covers(intent)) {
        sets.entry(set.clone()).or_default().push(intent.name.clone());
    }
    let mut removed: Vec<Name> = sets.values().flatten().cloned().collect();
    removed.sort_unstable();
    let push = |(set, names)| Push { removals: names, ..push_of(set, "delete", &options.order.message) };
    (sets.into_iter().map(push).collect(), removed)
}
