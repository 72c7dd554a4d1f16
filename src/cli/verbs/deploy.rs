//! `homeostat deploy`: the manifests become the newest version, and what is not compliant is deployed.

use super::confirm;
use super::summary::RunDocument;
use crate::cli::arguments::DeployOptions;
use crate::cli::embedded::{Access, Place, known_names, push_of, snapshot_state};
use crate::cli::manifests::{self, Declared, Selection};
use crate::cli::output::{Output, time};
use crate::cli::{CliError, Exit, SET, refusal};
use crate::core::{EnvironmentState, Push, RequestKind};

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
        let prepared = prepare(&options, &selection, declared.as_ref(), place, &environment).await?;
        Ok((environment, prepared))
    };
    let finished = Access::run(&options.state, output, prepare, async |session, (push, selection)| {
        if let Some(declared) = &declared {
            session.configure(declared).await?;
        }
        if let Some(push) = push {
            session.push(push).await?;
        }
        session.request(RequestKind::Deploy, selection.scope()).await?;
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
    environment: &crate::core::Name,
) -> Result<(Option<Push>, Selection), CliError> {
    let state = snapshot_state(&*place.store, environment).await?;
    selection.check(known_names(&state), declared)?;
    let selection = selection.within(&state, declared, time::now());
    let Some(declared) = declared else { return Ok((None, selection)) };
    let mut push = push_of(SET.into(), "manifests", &options.order.message);
    push.upserts = declared.intents.iter().filter(|intent| selection.covers(intent)).cloned().collect();
    push.prune = options.prune;
    preview(&state, &push, options.order.yes)?;
    Ok((Some(push), selection))
}

/// Refuses early what would be refused, and asks before anything is removed.
fn preview(state: &EnvironmentState, push: &Push, yes: bool) -> Result<(), CliError> {
    let plan = state.plan_push(push);
    if !plan.refusals.is_empty() {
        return Err(CliError::Refused(refusal::describe(&plan.refusals)));
    }
    if plan.removed.is_empty() {
        return Ok(());
    }
    let names = confirm::list("-", plan.removed.iter().map(|name| &**name));
    let heading = format!(
        "These {} resources are no longer declared, and will be deleted on their targets:\n{names}",
        plan.removed.len()
    );
    confirm::confirm(&heading, "Delete them?", yes)
}
