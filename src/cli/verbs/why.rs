//! `homeostat why NAME…`: sentences from each resource down to the root cause, and what to do next.

use super::suspend;
use crate::api::closest;
use crate::cli::arguments::ResourcesOptions;
use crate::cli::document::{ListDocument, State};
use crate::cli::embedded::control::{Answer, Control, Order};
use crate::cli::embedded::{Reading, find};
use crate::cli::output::{Output, state_style, time};
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Hold, Mode, Name, ResourceView, Timestamp, VersionNumber, limits};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhyDocument {
    environment: Name,
    version: VersionNumber,
    /// From the resource asked about to the root cause.
    items: Vec<Link>,
    /// What to do next.
    next: Vec<String>,
    /// It is as declared.
    good: bool,
}

/// One resource on the way to the root cause.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    name: Name,
    state: State,
    holds: Vec<Hold>,
    sentences: Vec<String>,
}

/// Prints why resources are where they are: one that is named as a document of its own, else a list. A process that runs the environment knows
/// better than history: who is connected, and what is full.
pub(crate) async fn run(options: ResourcesOptions, output: Output) -> Result<Exit, CliError> {
    let control = super::reach(&options, output).await?;
    if let ([name], Some(control), true) = (&*options.select.names, &control, super::names_one(&options.select))
        && let Some(environment) = control.environment(&options.state).await?
    {
        return print_one(&beside(control, &environment, name).await?, output);
    }
    super::with_meant(&options, control, output, async |reading, views, control| {
        let mut documents = Vec::new();
        for view in views {
            let name = &*view.row.intent.name;
            documents.push(match control {
                Some(control) => beside(control, &reading.environment, name).await?,
                None => explain(name, reading)?,
            });
        }
        match &*documents {
            [document] if super::names_one(&options.select) => print_one(document, output),
            _ => print_list(documents, reading, output),
        }
    })
    .await
}

/// What the process says that runs the environment.
async fn beside(control: &Control, environment: &Name, name: &str) -> Result<WhyDocument, CliError> {
    match control.order(&Order::Why { environment: environment.clone(), name: name.to_owned() }).await? {
        Answer::Why { document } => Ok(document),
        other => Err(other.unexpected()),
    }
}

fn explain(name: &str, reading: &Reading) -> Result<WhyDocument, CliError> {
    document(&reading.state, name, reading.now, Knows::of(reading))
}

fn print_one(document: &WhyDocument, output: Output) -> Result<Exit, CliError> {
    output.print(document, || text(document))?;
    Ok(if document.good { Exit::Done } else { Exit::NotCompliant })
}

fn print_list(items: Vec<WhyDocument>, reading: &Reading, output: Output) -> Result<Exit, CliError> {
    let good = items.iter().all(|document| document.good);
    let (environment, version) = (reading.environment.clone(), reading.state.version());
    let document = ListDocument { environment, version, counts: None, suspensions: Vec::new(), items };
    output.print(&document, || document.items.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    Ok(if good { Exit::Done } else { Exit::NotCompliant })
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    /// Whoever runs the environment: it knows who is connected, and what is full.
    Owner,
    /// History, and nobody works on the environment.
    NobodyWorks,
    /// History, while a process is at work that takes no questions: who is connected is not known here.
    OnlyHistory,
}

impl Knows {
    const fn of(reading: &Reading) -> Self {
        if reading.at_work { Self::OnlyHistory } else { Self::NobodyWorks }
    }
}

/// Why the resource is where it is.
pub(crate) fn document(
    state: &EnvironmentState,
    name: &str,
    now: Timestamp,
    knows: Knows,
) -> Result<WhyDocument, CliError> {
    let view = find(state, name)?;
    let good = view.good;
    let items = chain(state, view, now, knows);
    let runs = knows != Knows::NobodyWorks;
    let next = items.last().map(|root| next_steps(state, root, now, runs)).unwrap_or_default();
    Ok(WhyDocument { environment: state.name().clone(), version: state.version(), items, next, good })
}

/// Follows the first hold that names another resource, until none does.
fn chain(state: &EnvironmentState, first: ResourceView, now: Timestamp, knows: Knows) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut next = Some(first);
    while let Some(view) = next.take().filter(|_| links.len() < limits::LISTED_NAMES) {
        let holds = state.why(view.row.resource);
        let sentences = sentences(&view, &holds, now, knows);
        let known = |name: &Name| links.iter().any(|link| link.name == *name) || *name == view.row.intent.name;
        next = holds
            .iter()
            .filter_map(culprit)
            .filter(|name| !known(name))
            .find_map(|name| state.find_any(name).and_then(|id| state.view(id)));
        links.push(Link { name: view.row.intent.name.clone(), state: State::of(&view), holds, sentences });
    }
    links
}

/// The resource a hold points at.
fn culprit(hold: &Hold) -> Option<&Name> {
    match hold {
        Hold::RequirementUndefined { name }
        | Hold::RequirementUnreleased { name }
        | Hold::FactUnknown { name, reported: None, .. }
        | Hold::RequirementBusy { name }
        | Hold::RequirementNotGood { name, .. }
        | Hold::TombstoneFirst { name } => Some(name),
        Hold::RequiredBy { names } => names.first(),
        _ => None,
    }
}

/// The first thing to be said about a resource.
pub(super) fn first_sentence(reading: &Reading, view: &ResourceView) -> String {
    let holds = reading.state.why(view.row.resource);
    sentences(view, &holds, reading.now, Knows::of(reading)).into_iter().next().unwrap_or_default()
}

/// What is to be said about one resource.
fn sentences(view: &ResourceView, holds: &[Hold], now: Timestamp, knows: Knows) -> Vec<String> {
    let row = &view.row;
    let unreleased = view.unreleased().is_some() || row.facts_in_force.is_some();
    let mut all: Vec<String> = holds.iter().map(|hold| sentence(hold, unreleased, now, knows)).collect();
    // What waits to be tried again has failed all the same.
    let told = holds.iter().any(|hold| matches!(hold, Hold::RetryAt { .. }));
    if let Some(error) = row.error.as_ref().filter(|_| !told && State::of(view) == State::Failed) {
        all.insert(0, format!("its last attempt failed: {error}"));
    }
    if let Some((at, attempt)) = row.verified_at.zip(row.last_attempt).filter(|_| view.good) {
        all.push(format!("attempt {attempt} verified it {} (version {})", time::relative(at, now), row.version));
    }
    if let Some((at, attempt)) = row.deployed_at.zip(row.changed_by).filter(|_| view.good) {
        all.push(format!("attempt {attempt} changed it last, {}", time::relative(at, now)));
    }
    if let Some(debt) = &row.reload {
        all.push(format!("it is to reload, since {} has changed", debt.because));
    }
    if row.failures > 1 {
        all.push(format!("{} attempts in a row failed", row.failures));
    }
    if let Some(drift) = &row.drift {
        all.push(format!("the difference that was found:\n{}", drift.trim_end()));
    }
    if all.is_empty() {
        let when = match knows {
            Knows::NobodyWorks => "it runs as soon as a homeostat process owns the environment",
            Knows::Owner | Knows::OnlyHistory => "its turn comes",
        };
        all.push(format!("nothing holds it: {when}"));
    }
    all
}

/// A hold as a sentence, with the times that only a reader with a clock can tell.
fn sentence(hold: &Hold, unreleased: bool, now: Timestamp, knows: Knows) -> String {
    match hold {
        Hold::ExecutorUnavailable { message: None, .. } if knows == Knows::OnlyHistory => {
            "it waits to be run, by the process that is at work on the environment now".to_owned()
        }
        Hold::Good { .. } if unreleased => "what is in force is deployed".to_owned(),
        Hold::Good { next_repair: Some(at) } => format!("{hold}; verified again {}", time::relative(*at, now)),
        Hold::RetryAt { at: Some(at), .. } if *at > now => format!("{hold}; tried again {}", time::relative(*at, now)),
        Hold::RetryAt { at: Some(_), .. } => {
            format!("{hold}; tried again as soon as a homeostat process owns the environment")
        }
        Hold::OutsideWindow { opens_at: Some(at), .. } => {
            format!("{hold}; the next opens {}", time::relative(*at, now))
        }
        Hold::Suspended(by) => suspend::sentence(by, now),
        Hold::Cancelled { until } if *until > now => format!("{hold}; it comes again {}", time::relative(*until, now)),
        Hold::Cancelled { .. } => format!("{hold}; it comes again as soon as a homeostat process owns the environment"),
        Hold::Rate { until: Some(at), .. } => format!("{hold}; the next may start {}", time::relative(*at, now)),
        Hold::Running(run) if run.interrupted => {
            format!(
                "{hold}, and nobody works on it now; the next homeostat process that owns the environment settles it"
            )
        }
        Hold::Concurrency { .. } | Hold::InFlight { .. } if knows == Knows::NobodyWorks => {
            "it waits for its turn, as soon as a homeostat process owns the environment".to_owned()
        }
        Hold::ExecutorUnavailable { message: None, .. } if knows == Knows::NobodyWorks => {
            "it waits to be run, as soon as a homeostat process owns the environment".to_owned()
        }
        Hold::ExecutorUnavailable { message: None, .. } => {
            "it waits to be run, and no executor is connected".to_owned()
        }
        hold => hold.to_string(),
    }
}

/// The same where it does not matter who says it.
pub(crate) fn told(hold: &Hold, now: Timestamp) -> String {
    match hold {
        // Who did so, when, and how it is lifted is said once for all.
        Hold::Suspended(_) => hold.to_string(),
        hold => sentence(hold, false, now, Knows::OnlyHistory),
    }
}

/// What a user can do about the root cause.
fn next_steps(state: &EnvironmentState, root: &Link, now: Timestamp, runs: bool) -> Vec<String> {
    let name = &root.name;
    let step = |hold: &Hold| match hold {
        Hold::RetryAt { .. } => {
            let verb = if root.state == State::Deleting { "delete" } else { "deploy" };
            Some(format!(
                "fix the cause, then `homeostat {verb} {name}`; `homeostat history {name}` lists every attempt"
            ))
        }
        Hold::Release { .. } | Hold::FactRelease { .. } => {
            Some(format!("`homeostat deploy {name}` releases and deploys it"))
        }
        Hold::ReplaceApproval { name, .. } => Some(format!(
            "`homeostat deploy {name}` asks for the approval; in a cluster annotate its Environment with {}",
            crate::api::REMOVALS_APPROVED_AT
        )),
        Hold::RequirementUnreleased { name } => Some(format!("`homeostat deploy {name}` releases and deploys it")),
        Hold::RequirementMissing { name: missing } => Some(missing_name(state, name, missing)),
        Hold::FactUnknown { name: source, reported: Some(_), .. } => Some(format!(
            "correct attributesFrom of {name}, and deploy again; `homeostat facts {source}` shows what {source} reports"
        )),
        Hold::TargetMissing { target } => {
            Some(format!("declare Target {target}, or correct targetRef of {name}, and deploy again"))
        }
        Hold::EnvironmentSuspended => Some("set `suspend: false` in the Environment, and deploy again".to_owned()),
        Hold::Suspended(by) => Some(suspend::lift(by)),
        Hold::Protected => Some(format!(
            "`homeostat forget {name}` leaves it where it is; declared again without `protected`, it can be deleted"
        )),
        Hold::RemovalApproval { .. } => Some(format!(
            "annotate its Environment with {} to approve it, or declare the resources again",
            crate::api::REMOVALS_APPROVED_AT
        )),
        Hold::TargetSuspended { target } => Some(format!("set `suspend: false` in Target {target}, and deploy again")),
        Hold::OutsideWindow { target, opens_at: None, .. } => {
            Some(format!("correct `windows` of Target {target}, and deploy again"))
        }
        Hold::OutsideWindow { opens_at: Some(at), .. } => Some(format!("deploy again {}", time::relative(*at, now))),
        Hold::Running(run) if run.interrupted => {
            Some("`homeostat deploy` closes that attempt, and runs it again where that is needed".to_owned())
        }
        Hold::Cancelled { .. } => Some(format!("`homeostat deploy {name}` goes on with it now")),
        Hold::Drifted if observes(state, name) => Some(format!(
            "its policy is to observe: correct it on the target, or declare it with `mode: Enforce`; `homeostat show {name}` shows the difference"
        )),
        Hold::Drifted => Some(format!(
            "correct it on the target, or let the next deploy do so; `homeostat show {name}` shows the difference"
        )),
        // Whoever runs it goes on with it.
        Hold::ExecutorUnavailable { .. } | Hold::Concurrency { .. } | Hold::RequirementBusy { .. } if runs => None,
        Hold::ExecutorUnavailable { .. }
        | Hold::ReportOnly
        | Hold::Stopping
        | Hold::Concurrency { .. }
        | Hold::RequirementBusy { .. } => Some("`homeostat deploy` goes on with it".to_owned()),
        // It is well, or goes on by itself, or its cause is the next link of the chain.
        Hold::Good { .. }
        | Hold::Running(_)
        | Hold::ForgottenRuns
        | Hold::DependentsYielding
        | Hold::InFlight { .. }
        | Hold::Rate { .. }
        | Hold::RequirementUndefined { .. }
        | Hold::FactUnknown { reported: None, .. }
        | Hold::RequirementNotGood { .. }
        | Hold::TombstoneFirst { .. }
        | Hold::SuccessorFirst { .. }
        | Hold::RequiredBy { .. } => None,
    };
    if root.holds.is_empty() {
        if runs {
            return Vec::new();
        }
        return vec!["`homeostat deploy` goes on with it".to_owned()];
    }
    root.holds.iter().find_map(step).into_iter().collect()
}

/// Whether no deploy changes it on its target.
fn observes(state: &EnvironmentState, name: &Name) -> bool {
    let row = state.find_any(name).and_then(|id| state.row(id));
    row.is_some_and(|row| row.intent.policy.mode == Mode::Observe)
}

fn missing_name(state: &EnvironmentState, name: &Name, missing: &Name) -> String {
    let names: Vec<Name> = state.views().map(|view| view.row.intent.name.clone()).collect();
    let hint = closest(missing, names.iter().map(|name| &**name))
        .map_or_else(String::new, |close| format!(" (did you mean {close}?)"));
    format!("declare {missing}, or correct requires of {name}{hint}, and deploy again")
}

/// The chain for people, each cause one step to the right.
fn text(document: &WhyDocument) -> String {
    let mut text = String::new();
    for (depth, link) in document.items.iter().enumerate() {
        let indent = "  ".repeat(depth);
        let _ = writeln!(text, "{indent}{} is {}", link.name, state_style(link.state).apply_to(link.state));
        for sentence in &link.sentences {
            let lines = sentence.replace('\n', &format!("\n{indent}    "));
            let _ = writeln!(text, "{indent}  {lines}");
        }
    }
    for step in &document.next {
        let _ = write!(text, "\nnext: {step}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::embedded::push_of;
    use crate::core::{Effects, Epoch, Event, Intent, IntentParts, OnChange, Push, Settings, Target, Windows, step};
    use std::sync::Arc;

    fn intent(name: &str, requires: &[&str]) -> Arc<Intent> {
        Arc::new(Intent::new(IntentParts {
            name: name.into(),
            kind: "test.Thing".into(),
            target: "here".into(),
            identity: name.into(),
            attributes: "{}".into(),
            requires: requires.iter().map(|name| (*name).into()).collect(),
            ..IntentParts::default()
        }))
    }

    #[test]
    fn what_waits_for_its_release_says_how_to_release_it() {
        let mut state = EnvironmentState::new("house".into(), Epoch(1), Timestamp(0));
        let mut take = |event| step(&mut state, event, Timestamp(0), &mut Effects::default());
        take(Event::TargetChanged(Target {
            name: "here".into(),
            pool: "default".into(),
            connection: "{}".into(),
            concurrency: 1,
            suspend: false,
            windows: Windows::default(),
            rate_limit: None,
        }));
        let push = |upserts| Event::Push(Push { upserts, ..push_of("default".into(), "manifests", "") });
        take(push(vec![intent("site", &["disk"])]));
        take(Event::SettingsChanged(Settings { on_change: OnChange::Manual, ..Settings::default() }));
        take(push(vec![intent("disk", &[])]));
        let view = state.view(state.find_any("site").unwrap()).unwrap();
        let items = chain(&state, view, Timestamp(0), Knows::NobodyWorks);
        let next = next_steps(&state, items.last().unwrap(), Timestamp(0), false);
        let document = WhyDocument { environment: "house".into(), version: state.version(), items, next, good: false };
        let told = "site is Undefined\n  it requires disk, which waits for release\n  disk is Unreleased\n    \
                    its newest intent (version 2) waits for release: it comes into force when a user deploys it\n\n\
                    next: `homeostat deploy disk` releases and deploys it\n";
        assert_eq!(text(&document), told);
    }
}
