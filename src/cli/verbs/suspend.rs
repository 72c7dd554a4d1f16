//! `homeostat suspend` and `homeostat resume`: nothing new starts in an environment or on a target, until a user says so.
//!
//! The order stands in history, so that it outlives every process. Deliberately absent: `suspend` in the manifests, which says the same and is lifted
//! there.

use crate::cli::arguments::SuspendOptions;
use crate::cli::document::SuspensionDocument;
use crate::cli::embedded::{Owned, Place, request_of, snapshot_state};
use crate::cli::output::{Output, counted, either, time};
use crate::cli::{CliError, Exit, suggest};
use crate::core::{EnvironmentState, Name, RequestKind, Scope, Suspension, Timestamp};
use serde::Serialize;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SuspendDocument {
    environment: Name,
    /// The target that was meant; absent: the whole environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Name>,
    /// The suspension of the same that this order ended or took the place of.
    before: Option<SuspensionDocument>,
    /// All that is suspended now.
    suspensions: Vec<SuspensionDocument>,
    /// The manifest of what was meant says `suspend: true`.
    declared: bool,
    /// Resources that wait to be run.
    waiting: u32,
    #[serde(skip)]
    was: Option<String>,
    /// A process runs the environment, and goes on with what waits.
    #[serde(skip)]
    goes_on: bool,
}

/// Suspends; again where it is suspended already, so that the newest order says who and why.
pub(crate) async fn suspend(options: SuspendOptions, output: Output) -> Result<Exit, CliError> {
    let document = order(&options, RequestKind::Suspend, output).await?;
    output.print(&document, || suspended(&document))?;
    Ok(Exit::Done)
}

/// Resumes. That nothing was suspended is no error.
pub(crate) async fn resume(options: SuspendOptions, output: Output) -> Result<Exit, CliError> {
    let document = order(&options, RequestKind::Resume, output).await?;
    output.print(&document, || resumed(&document))?;
    Ok(Exit::Done)
}

async fn order(options: &SuspendOptions, kind: RequestKind, output: Output) -> Result<SuspendDocument, CliError> {
    let target = options.target.as_deref().map(Name::from);
    let prepare = async |place: &Place| {
        let environment = place.environment(options.state.environment.as_deref(), None).await?;
        let state = snapshot_state(&*place.store, &environment).await?;
        check_target(&state, target.as_ref())?;
        let before = state.suspensions().find(|one| one.target == target).cloned();
        Ok((environment, before))
    };
    Owned::run(&options.state, output, prepare, async |owned, before| {
        let scope = Scope { target: target.clone(), names: None };
        owned.order(request_of(kind, scope, &options.message)).await?;
        let meant = target.clone();
        let read = move |state: &EnvironmentState| {
            let suspensions = state.suspensions().map(SuspensionDocument::from).collect();
            (suspensions, declared(state, meant.as_ref()), state.counts().queued)
        };
        let (suspensions, declared, waiting) = owned.read(read).await?;
        Ok(SuspendDocument {
            environment: owned.environment.clone(),
            target: target.clone(),
            was: before.as_ref().map(|before| sentence(before, time::now())),
            before: before.as_ref().map(SuspensionDocument::from),
            suspensions,
            declared,
            waiting,
            goes_on: owned.goes_on(),
        })
    })
    .await
}

/// A suspension of a target that nobody has declared is a slip of the pen, unless one is in force and is to be lifted.
fn check_target(state: &EnvironmentState, target: Option<&Name>) -> Result<(), CliError> {
    let Some(target) = target else { return Ok(()) };
    let suspended = state.suspensions().any(|one| one.target.as_ref() == Some(target));
    let names: Vec<&str> = state.targets().map(|target| &*target.name).collect();
    if suspended || names.contains(&&**target) {
        return Ok(());
    }
    let next = format!("there are: {}", if names.is_empty() { "none yet".to_owned() } else { names.join(", ") });
    Err(CliError::Usage(suggest::unknown("target", target, &names, &next)))
}

/// Whether the manifest of what is meant says that it is suspended.
fn declared(state: &EnvironmentState, target: Option<&Name>) -> bool {
    match target {
        Some(name) => state.targets().any(|target| target.name == *name && target.suspend),
        None => state.settings().suspend,
    }
}

/// `ana suspended target web 3m ago: a new disk`.
pub(super) fn sentence(suspension: &Suspension, now: Timestamp) -> String {
    let Suspension { author, message, .. } = suspension;
    let what =
        suspension.target.as_ref().map_or_else(|| "the environment".to_owned(), |target| format!("target {target}"));
    let when = time::relative(suspension.at, now);
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{author} suspended {what} {when}{why}")
}

/// What ends it.
pub(super) fn lift(suspension: &Suspension) -> String {
    let target = suspension.target.as_ref().map_or_else(String::new, |target| format!(" --target {target}"));
    format!("`homeostat resume{target}` lifts it")
}

/// Both.
pub(super) fn told(suspension: &Suspension, now: Timestamp) -> String {
    format!("{}; {}", sentence(suspension, now), lift(suspension))
}

/// `environment house`, `target web of environment house`.
fn what(document: &SuspendDocument) -> String {
    let target = document.target.as_ref().map_or_else(String::new, |target| format!("target {target} of "));
    format!("{target}environment {}", document.environment)
}

fn option(document: &SuspendDocument) -> String {
    document.target.as_ref().map_or_else(String::new, |target| format!(" --target {target}"))
}

fn suspended(document: &SuspendDocument) -> String {
    let mut lines = vec![format!("{} is suspended: nothing new starts, and versions are accepted", what(document))];
    lines.extend(document.was.as_ref().map(|was| format!("before, {was}")));
    lines.push(format!("`homeostat resume{}` lifts it", option(document)));
    lines.join("\n  ")
}

fn resumed(document: &SuspendDocument) -> String {
    let mut lines = match &document.was {
        Some(was) => vec![format!("{} is resumed", what(document)), was.clone()],
        None => vec![format!("nobody has suspended {}", what(document))],
    };
    if document.declared {
        lines.push("its manifest says `suspend: true`: nothing starts until that is changed and deployed".to_owned());
    }
    let others = document.suspensions.iter().map(|other| match &other.target {
        Some(target) => format!("target {target} is still suspended; `homeostat resume --target {target}` lifts it"),
        None => "the environment is still suspended; `homeostat resume` lifts it".to_owned(),
    });
    lines.extend(others);
    if document.waiting > 0 {
        let by = if document.goes_on { "the process that runs the environment" } else { "`homeostat deploy`" };
        let count = document.waiting as usize;
        let (wait, them) = (either(count, "waits", "wait"), either(count, "it", "them"));
        lines.push(format!("{} {wait}; {by} goes on with {them}", counted(count, "resource")));
    }
    lines.join("\n  ")
}
