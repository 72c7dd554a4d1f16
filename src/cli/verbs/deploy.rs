//! `homeostat deploy`: the manifests become the newest version, and what is not compliant is deployed.

use super::confirm;
use super::summary::RunDocument;
use crate::cli::arguments::DeployOptions;
use crate::cli::embedded::{Access, Place, Purpose, push_of, request_of, snapshot_state};
use crate::cli::manifests::{self, Declared};
use crate::cli::output::{Output, either, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, Exit, SET, refusal};
use crate::core::{
    Effects, EnvironmentState, Event, Hash, Name, OnChange, Push, PushPlan, Refusal, RefusalKind, Request, RequestKind,
    Scope, VersionNumber, step,
};
use std::collections::BTreeSet;

/// Pushes, requests a deploy, waits, and prints what was done.
pub(crate) async fn run(options: DeployOptions, output: Output) -> Result<Exit, CliError> {
    let selection = Selection::new(&options.select);
    if options.prune && (options.manifests.files.is_empty() || !selection.is_all()) {
        let reason =
            "--prune replaces the whole set by the manifests: give them with -f, and nothing that selects some of it";
        return Err(CliError::Usage(reason.to_owned()));
    }
    let declared = manifests::read(&options.manifests.files, options.state.environment.as_deref())?;
    let prepare = async |place: &Place| {
        let named = options.state.environment.as_deref();
        let environment = place.environment(named, declared.as_ref().map(|declared| &declared.name)).await?;
        let prepared = prepare(&options, &selection, declared.as_ref(), place, &environment, output).await?;
        Ok((environment, prepared))
    };
    let purpose = if declared.is_some() { Purpose::Begin } else { Purpose::Work };
    let finished =
        Access::run(purpose, &options.state, output, prepare, async |session, (push, selection, replaced, newest)| {
            if let Some(declared) = &declared {
                session.configure(declared).await?;
            }
            let message = &*options.order.message;
            if let Some(push) = push {
                let version = session.push(push).await?;
                if version == newest && !message.is_empty() {
                    output.note(&no_version(version));
                }
            }
            if !replaced.is_empty() {
                let scope = Scope { target: None, names: Some(replaced) };
                session.request(request_of(RequestKind::ApproveRemovals, scope, message)).await?;
            }
            let deploy = request_of(RequestKind::Deploy, selection.scope(), message);
            session.request(Request { digest: options.digest, ..deploy }).await?;
            session.wait().await
        })
        .await?;
    RunDocument::new(finished).print(output, false)
}

/// Checks what can be checked before anything is owned, and asks where something would go away.
async fn prepare(
    options: &DeployOptions,
    selection: &Selection,
    declared: Option<&Declared>,
    place: &Place,
    environment: &Name,
    output: Output,
) -> Result<(Option<Push>, Selection, Vec<Name>, VersionNumber), CliError> {
    let state = snapshot_state(&*place.store, environment).await?;
    selection.check(&state, declared)?;
    let selection = selection.within(&state, declared, time::now());
    if let Some(nothing) = selection.nothing(&state, declared) {
        output.note(&nothing);
    }
    let settings = declared.map_or(state.settings(), |declared| &declared.settings);
    if options.digest.is_some() && settings.on_change == OnChange::Automatic {
        let reason = format!(
            "environment {environment} releases what it accepts at once, so that nothing waits for a digest\n  \
             with `spec.deploy.onChange: Manual` it waits for a deploy"
        );
        return Err(CliError::Usage(reason));
    }
    if options.digest.is_some() {
        let again = snapshot_state(&*place.store, environment).await?;
        if digest(again, declared, &selection, options.prune) != options.digest {
            let stale = Refusal { name: "".into(), kind: RefusalKind::StalePlan };
            return Err(CliError::Refused(refusal::describe(&[stale])));
        }
    }
    let waiting =
        state.replacements().filter(|name| state.accepted(name).is_some_and(|(_, intent)| selection.covers(intent)));
    let mut replaced: BTreeSet<Name> = waiting.cloned().collect();
    let Some(declared) = declared else {
        confirm_replaced(&replaced, options.order.yes)?;
        return Ok((None, selection, replaced.into_iter().collect(), state.version()));
    };
    let push = push_for(declared, &selection, options.prune);
    let mut push = Push { message: options.order.message.as_str().into(), ..push };
    let plan = preview(&state, &push, options.order.yes)?;
    // What is declared again as it was needs no approval any more.
    replaced.retain(|name| !push.upserts.iter().any(|intent| intent.name == *name));
    replaced.extend(plan.replaced.iter().cloned());
    confirm_replaced(&replaced, options.order.yes)?;
    if options.digest.is_some() || !(plan.removed.is_empty() && replaced.is_empty()) {
        // What was confirmed was shown against this version.
        push.base = Some(state.version());
    }
    Ok((Some(push), selection, replaced.into_iter().collect(), state.version()))
}

/// Where a reason was given for a version that is none.
fn no_version(newest: VersionNumber) -> String {
    format!(
        "no new version: the manifests want what version {newest} wants; the message is kept with this deploy (`homeostat audit`)"
    )
}

/// What a deploy pushes of the manifests.
pub(super) fn push_for(declared: &Declared, selection: &Selection, prune: bool) -> Push {
    let upserts = declared.intents.iter().filter(|intent| selection.covers(intent)).cloned().collect();
    Push { upserts, prune, ..push_of(SET.into(), "manifests", "") }
}

/// A digest of what a deploy would release, tried on a copy of what is known. `None`: nothing waits for a release.
pub(super) fn digest(
    mut state: EnvironmentState,
    declared: Option<&Declared>,
    selection: &Selection,
    prune: bool,
) -> Option<Hash> {
    let take = |state: &mut EnvironmentState, event| step(state, event, time::now(), &mut Effects::default());
    if let Some(declared) = declared {
        take(&mut state, Event::SettingsChanged(declared.settings.clone()));
        take(&mut state, Event::Push(push_for(declared, selection, prune)));
    }
    // A deploy asks for the approval of these first.
    let covered = |name: &&Name| state.accepted(name).is_some_and(|(_, intent)| selection.covers(intent));
    let names: Vec<Name> = state.replacements().filter(covered).cloned().collect();
    if !names.is_empty() {
        let scope = Scope { target: None, names: Some(names) };
        take(&mut state, Event::Request(request_of(RequestKind::ApproveRemovals, scope, "")));
    }
    state.release_digest(&selection.scope())
}

/// Asks before a name becomes another thing whose policy wants that approved.
fn confirm_replaced(names: &BTreeSet<Name>, yes: bool) -> Result<(), CliError> {
    if names.is_empty() {
        return Ok(());
    }
    let listed = confirm::list("-", names.iter().map(|name| &**name));
    let heading = format!(
        "{} {}:\n{listed}",
        confirm::these(names.len()),
        either(
            names.len(),
            "becomes another thing: what it is now will be deleted on its target",
            "become other things: what they are now will be deleted on their targets"
        )
    );
    confirm::confirm(&heading, either(names.len(), "Replace it?", "Replace them?"), yes)
}

/// Refuses early what would be refused, and asks before anything is removed.
fn preview(state: &EnvironmentState, push: &Push, yes: bool) -> Result<PushPlan, CliError> {
    let plan = state.plan_push(push);
    if !plan.refusals.is_empty() {
        return Err(CliError::Refused(refusal::describe(&plan.refusals)));
    }
    if plan.removed.is_empty() {
        return Ok(plan);
    }
    let names = confirm::list("-", plan.removed.iter().map(|name| &**name));
    let count = plan.removed.len();
    let heading = format!(
        "{} {}:\n{names}",
        confirm::these(count),
        either(
            count,
            "is no longer declared, and will be deleted on its target",
            "are no longer declared, and will be deleted on their targets"
        )
    );
    confirm::confirm(&heading, either(count, "Delete it?", "Delete them?"), yes)?;
    Ok(plan)
}
