//! `homeostat facts [NAME…]`: what attempts have learned of resources; with `--refresh`, as they are now.

use crate::cli::arguments::FactsOptions;
use crate::cli::document::{FactsDocument, ListDocument};
use crate::cli::embedded::{Access, Place, Purpose, Reading, find, request_of, snapshot_state};
use crate::cli::output::{Output, Table, counted, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Name, RequestKind, ResourceView, Scope, limits};
use std::collections::BTreeMap;

/// Prints the facts.
pub(crate) async fn run(options: FactsOptions, output: Output) -> Result<Exit, CliError> {
    let failed = if options.refresh { refresh(&options, output).await? } else { Vec::new() };
    let shown = Reading::with(&options.state, output, async |reading| show(&options, reading, output)).await?;
    if failed.is_empty() {
        return Ok(shown);
    }
    let first = failed.iter().take(limits::LISTED_NAMES).cloned().collect::<Vec<_>>().join("\n");
    let more = failed.len().saturating_sub(limits::LISTED_NAMES);
    Err(CliError::NotDone(if more == 0 { first } else { format!("{first}\n… and {more} more") }))
}

/// Looks at resources; nothing else starts. Returns why that failed.
async fn refresh(options: &FactsOptions, output: Output) -> Result<Vec<String>, CliError> {
    let prepare = async |place: &Place| {
        let environment = place.environment(options.state.environment.as_deref(), None).await?;
        let state = snapshot_state(&*place.store, &environment).await?;
        Ok((environment, to_refresh(options, &state, output)?))
    };
    let (finished, names) =
        Access::run(Purpose::Report, &options.state, output, prepare, async |session, names: Vec<Name>| {
            if !names.is_empty() {
                let scope = Scope { target: None, names: Some(names.clone()) };
                session.request(request_of(RequestKind::FactRefresh, scope, "")).await?;
            }
            Ok((session.wait().await?, names))
        })
        .await?;
    if finished.interrupted {
        return Err(CliError::Interrupted);
    }
    // The newest comes first, and counts.
    let attempts = finished.attempts.into_iter().rev().map(|attempt| (attempt.name.clone(), attempt.error));
    let attempts: BTreeMap<Name, Option<Name>> = attempts.collect();
    let failed = |name: &Name| match attempts.get(name) {
        Some(error) => error.as_ref().map(|error| format!("the facts of {name} cannot be read: {error}")),
        None => Some(format!("the facts of {name} were not read; `homeostat why {name}` says what it waits for")),
    };
    Ok(names.iter().filter_map(failed).collect())
}

/// What is meant, and can be looked at. What is named must be.
fn to_refresh(options: &FactsOptions, state: &EnvironmentState, output: Output) -> Result<Vec<Name>, CliError> {
    for name in &options.select.names {
        find(state, name)?;
    }
    let selection = Selection::new(&options.select);
    selection.check_place(state, None)?;
    let selection = selection.within(state, None, time::now());
    let meant = state.views().map(|view| view.row.intent).filter(|intent| selection.covers(intent));
    let (ready, others): (Vec<Name>, Vec<Name>) =
        meant.map(|intent| intent.name.clone()).partition(|name| state.can_be_refreshed(name));
    let Some(name) = others.first() else { return Ok(ready) };
    let reason = format!(
        "the newest intent of {name} is not deployed; its facts come with the next deploy\n  `homeostat why {name}` says what it waits for"
    );
    if !options.select.names.is_empty() {
        return Err(CliError::Usage(reason));
    }
    let more = if others.len() == 1 { String::new() } else { format!("\n  so it is with {} more", others.len() - 1) };
    output.note(&format!("{reason}{more}"));
    Ok(ready)
}

fn show(options: &FactsOptions, reading: &Reading, output: Output) -> Result<Exit, CliError> {
    let asked = !Selection::new(&options.select).is_all();
    let mut views = reading.select(&options.select, output)?;
    views.retain(|view| asked || !view.row.facts.is_empty());
    let document = ListDocument {
        environment: reading.environment.clone(),
        version: reading.state.version(),
        counts: None,
        suspensions: Vec::new(),
        items: views.iter().map(FactsDocument::from).collect(),
    };
    output.print(&document, || text(&document.items, asked))?;
    Ok(Exit::Done)
}

fn text(items: &[FactsDocument], asked: bool) -> String {
    let mut table = Table::new(&["NAME", "FACT", "VALUE"]);
    for item in items {
        for (fact, value) in &item.facts {
            table.row(vec![item.name.to_string(), fact.to_string(), shown(value)]);
        }
    }
    match items {
        _ if !table.is_empty() => table.render(),
        [] if asked => String::new(),
        [one] => format!("nothing is known of {}\n", one.name),
        [one, others @ ..] => format!("nothing is known of {} and {}\n", one.name, counted(others.len(), "other")),
        [] => "no facts are known\n".to_owned(),
    }
}

/// A text without its quotes, anything else as JSON.
pub(crate) fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Names of facts with their values, for documents.
pub(crate) fn values(view: &ResourceView) -> std::collections::BTreeMap<Name, serde_json::Value> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_default();
    view.row.facts.iter().map(|(name, text)| (name.into(), value(text))).collect()
}
