//! `homeostat rollback --to-version N`: a new version whose content is that of version N, deployed.

use super::confirm;
use super::summary::RunDocument;
use crate::cli::arguments::RollbackOptions;
use crate::cli::embedded::{Access, Place, Purpose, content_of, push_of, request_of, snapshot_state};
use crate::cli::output::{Output, either};
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, IntentRecord, Name, Push, PushMode, RequestKind, Scope, VersionNumber};
use std::collections::{BTreeMap, BTreeSet};

/// Pushes the old content, waits, and prints what was done.
pub(crate) async fn run(options: RollbackOptions, output: Output) -> Result<Exit, CliError> {
    let prepare = async |place: &Place| prepare(&options, place).await;
    let finished = Access::run(Purpose::Work, &options.state, output, prepare, async |session, pushes| {
        for push in pushes {
            session.push(push).await?;
        }
        session.request(request_of(RequestKind::Deploy, Scope::default(), &options.order.message)).await?;
        session.wait().await
    })
    .await?;
    RunDocument::new(finished).print(output, false)
}

/// One push per resource set that has content now or had then.
async fn prepare(options: &RollbackOptions, place: &Place) -> Result<(Name, Vec<Push>), CliError> {
    let environment = place.environment(options.state.environment.as_deref(), None).await?;
    let state = snapshot_state(&*place.store, &environment).await?;
    let version = VersionNumber(options.to_version);
    let content = content_of(&*place.store, &state, version).await?;
    let told = &options.order.message;
    let message = if told.is_empty() { format!("rollback to version {version}") } else { told.clone() };
    let pushes = pushes(&state, content, &message);
    let removed: Vec<Name> = pushes.iter().flat_map(|push| state.plan_push(push).removed).collect();
    if !removed.is_empty() {
        let names = confirm::list("-", removed.iter().map(|name| &**name));
        let heading = format!(
            "Version {version} does not have {}:\n{names}",
            either(
                removed.len(),
                "this resource; it will be deleted on its target",
                &format!("these {} resources; they will be deleted on their targets", removed.len())
            )
        );
        confirm::confirm(&heading, "Roll back?", options.order.yes)?;
    }
    Ok((environment, pushes))
}

fn pushes(state: &EnvironmentState, content: Vec<IntentRecord>, message: &str) -> Vec<Push> {
    let live: BTreeSet<Name> = state.declared().map(|(set, _)| set.clone()).collect();
    let mut sets: BTreeMap<Name, Vec<_>> = live.into_iter().map(|set| (set, Vec::new())).collect();
    for record in content {
        sets.entry(record.set).or_default().extend(record.intent);
    }
    let push =
        |(set, upserts)| Push { upserts, prune: true, mode: PushMode::Whole, ..push_of(set, "rollback", message) };
    sets.into_iter().map(push).collect()
}
