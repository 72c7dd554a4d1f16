//! `homeostat cancel [NAME…]`: what waits to begin, left over from an interrupted run for example, is left alone until a deploy or its time comes.
//!
//! Deliberately absent: reaching into a `deploy` of another process. Ctrl-C there cancels; here the folder is free, or a `run` takes orders.

use crate::cli::arguments::CancelOptions;
use crate::cli::embedded::{Owned, Place, request_of, snapshot_state};
use crate::cli::output::{Output, counted, either, time};
use crate::cli::selection::Selection;
use crate::cli::verbs::confirm;
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Name, RequestKind, ResourceView, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CancelDocument {
    environment: Name,
    /// What no longer waits to begin, by name.
    cancelled: Vec<Name>,
    /// What an executor had when its process ended: whether it began is not known, and the next run finds out.
    granted: Vec<Name>,
    /// When the first of them comes again, where it does by itself.
    until: Option<String>,
    #[serde(skip)]
    at: Option<Timestamp>,
    /// A process has what was granted, and goes on with it.
    #[serde(skip)]
    goes_on: bool,
}

/// Cancels. That nothing waited is no error.
pub(crate) async fn run(options: CancelOptions, output: Output) -> Result<Exit, CliError> {
    let selection = Selection::new(&options.select);
    let prepare = async |place: &Place| {
        let environment = place.environment(options.state.environment.as_deref(), None).await?;
        let state = snapshot_state(&*place.store, &environment).await?;
        selection.check(&state, None)?;
        let selection = selection.within(&state, None, time::now());
        if let Some(nothing) = selection.nothing(&state, None) {
            output.note(&nothing);
        }
        Ok((environment, selection))
    };
    let document = Owned::run(&options.state, output, prepare, async |owned, selection| {
        let waiting = owned.read(queued).await?;
        owned.order(request_of(RequestKind::Cancel, selection.scope(), &options.message)).await?;
        let chosen = selection.clone();
        let read = move |state: &EnvironmentState| {
            let still = queued(state);
            let cancelled: Vec<Name> = waiting.difference(&still).cloned().collect();
            let granted = names(state, |view| view.running.is_some() && chosen.covers(&view.row.intent));
            let due = |name: &Name| state.row(state.find(name)?)?.due_at;
            let at = cancelled.iter().chain(&granted).filter_map(due).min();
            (cancelled, granted.into_iter().collect(), at)
        };
        let (cancelled, granted, at) = owned.read(read).await?;
        let environment = owned.environment.clone();
        Ok(CancelDocument { environment, cancelled, granted, until: at.map(time::iso), at, goes_on: owned.goes_on() })
    })
    .await?;
    output.print(&document, || text(&document))?;
    Ok(Exit::Done)
}

fn names(state: &EnvironmentState, test: impl Fn(&ResourceView) -> bool) -> BTreeSet<Name> {
    state.views().filter(test).map(|view| view.row.intent.name.clone()).collect()
}

fn queued(state: &EnvironmentState) -> BTreeSet<Name> {
    names(state, |view| view.queued.is_some())
}

fn text(document: &CancelDocument) -> String {
    let CancelDocument { environment, cancelled, granted, at, .. } = document;
    if cancelled.is_empty() && granted.is_empty() {
        return format!("nothing of environment {environment} waits to begin");
    }
    let mut parts = vec![format!("cancelled {} of environment {environment}", counted(cancelled.len(), "resource"))];
    if !cancelled.is_empty() {
        parts.push(confirm::list("-", cancelled.iter().map(|name| &**name)));
    }
    if !granted.is_empty() {
        let list = confirm::list("-", granted.iter().map(|name| &**name));
        parts.push(if document.goes_on {
            format!("these have begun, or are being taken back\n{list}")
        } else {
            format!("these may have begun when their process ended; the next run finds out\n{list}")
        });
    }
    let count = cancelled.len() + granted.len();
    let comes = either(count, "by itself it comes", "by themselves they come");
    let when = at.map_or_else(String::new, |at| format!("; {comes} again {}", time::relative(at, time::now())));
    parts.push(format!("`homeostat deploy` goes on with {}{when}", either(count, "it", "them")));
    parts.join("\n")
}
