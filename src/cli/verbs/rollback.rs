//! `homeostat rollback --to-version N`: a new version whose content is that of version N, deployed.

use super::confirm;
use super::summary::RunDocument;
use crate::api::Types;
use crate::cli::arguments::RollbackOptions;
use crate::cli::embedded::{Access, Place, Purpose, content_of, push_of, request_of, snapshot_state};
use crate::cli::output::{Output, either};
use crate::cli::{CliError, Exit, refusal};
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
    refuse_secrets(version, &pushes)?;
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

/// What is refused in a manifest because it would keep a secret in history does not come back into a new version either.
fn refuse_secrets(version: VersionNumber, pushes: &[Push]) -> Result<(), CliError> {
    let types = Types::built_in().map_err(|error| CliError::Defect(error.to_string()))?;
    let intents = pushes.iter().flat_map(|push| &push.upserts);
    let errors =
        intents.flat_map(|intent| types.kept_secrets(intent).into_iter().map(move |error| (&intent.name, error)));
    let lines: Vec<String> = errors.map(|(name, error)| format!("  {name}: {error}")).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let next = "cannot be brought back as it was: write what you want of it into the manifests, and deploy those";
    Err(CliError::Refused(format!("{}\n  version {version} {next}", refusal::listed(lines.into_iter()))))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{FactRef, Input, InputSource, Intent, IntentParts};

    fn refused(attributes: &str, inputs: Vec<Input>) -> String {
        let parts = IntentParts {
            name: "eve".into(),
            kind: "host.User".into(),
            attributes: attributes.into(),
            inputs,
            ..IntentParts::default()
        };
        let push = Push { upserts: vec![Intent::new(parts).into()], ..push_of("default".into(), "rollback", "") };
        refuse_secrets(VersionNumber(3), &[push]).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_an_earlier_release_let_into_history_does_not_come_back() {
        let variable = || InputSource::EnvironmentVariable { name: "HASH".into() };
        let fact = || InputSource::Fact(FactRef { name: "a".into(), fact: "sha256".into() });
        assert_eq!(refused(r#"{"name":"eve"}"#, vec![Input::of("/passwordHash".into(), variable())]), "");
        let next = "\n  version 3 cannot be brought back as it was: write what you want of it into the manifests, and deploy those";
        assert_eq!(
            refused(r#"{"name":"eve","passwordHash":"$6$canary"}"#, Vec::new()),
            "the intent was refused; nothing was accepted\n  eve: spec.attributes.passwordHash: is secret, and would be kept in history as it \
             is written here; take it out, and fill it with attributesFrom, from an environmentVariable or a file"
                .to_owned()
                + next
        );
        let filled = refused(r#"{"name":"eve"}"#, vec![Input::of("/passwordHash".into(), fact())]);
        assert!(filled.contains("\n  eve: spec.attributesFrom[0].factRef: /passwordHash is secret, and "), "{filled}");
        let values = [("rest".into(), variable())].into();
        let format = Input { path: "/passwordHash".into(), format: Some("$6$canary${rest}".into()), values };
        let filled = refused(r#"{"name":"eve"}"#, vec![format]);
        assert!(filled.contains("\n  eve: spec.attributesFrom[0].format: /passwordHash is secret, and "), "{filled}");
        assert!(!filled.contains("canary"), "{filled}");
    }
}
