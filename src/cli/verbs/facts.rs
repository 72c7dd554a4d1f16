//! `homeostat facts [NAME]`: what attempts have learned of resources; with `--refresh`, of one resource as it is now.

use crate::cli::arguments::FactsOptions;
use crate::cli::document::{FactsDocument, ListDocument};
use crate::cli::embedded::{Access, Place, Reading, find, snapshot_state};
use crate::cli::output::{Output, Table};
use crate::cli::{CliError, Exit};
use crate::core::{Name, RequestKind, ResourceView, Scope};
use std::fmt::Write as _;

/// Prints the facts.
pub(crate) async fn run(options: FactsOptions, output: Output) -> Result<Exit, CliError> {
    let failed = match (&options.name, options.refresh) {
        (Some(name), true) => refresh(&options, name, output).await?,
        _ => None,
    };
    let shown = Reading::with(&options.state, output, async |reading| show(&options, reading, output)).await?;
    match failed {
        Some(error) => Err(CliError::NotDone(error)),
        None => Ok(shown),
    }
}

/// Looks at one resource; nothing else starts. Returns why that failed.
async fn refresh(options: &FactsOptions, name: &str, output: Output) -> Result<Option<String>, CliError> {
    let prepare = async |place: &Place| {
        let environment = place.environment(options.state.environment.as_deref(), None).await?;
        let state = snapshot_state(&*place.store, &environment).await?;
        let view = find(&state, name)?;
        let scope = Scope { target: None, names: Some(vec![view.row.intent.name.clone()]) };
        if !state.can_be_refreshed(name) {
            let reason = format!(
                "the newest intent of {name} is not deployed; its facts come with the next deploy\n  `homeostat why {name}` says what it waits for"
            );
            return Err(CliError::Usage(reason));
        }
        Ok((environment, scope))
    };
    let finished = Access::run_as(true, &options.state, output, prepare, async |session, scope| {
        session.request(RequestKind::FactRefresh, scope).await?;
        session.wait().await
    })
    .await?;
    if finished.interrupted {
        return Err(CliError::Interrupted);
    }
    let attempt = finished.attempts.into_iter().find(|attempt| *attempt.name == *name);
    Ok(match attempt {
        Some(attempt) => attempt.error.map(|error| format!("the facts of {name} cannot be read: {error}")),
        None => Some(format!("the facts of {name} were not read; `homeostat why {name}` says what it waits for")),
    })
}

fn show(options: &FactsOptions, reading: &Reading, output: Output) -> Result<Exit, CliError> {
    let views: Vec<ResourceView> = match &options.name {
        Some(name) => vec![reading.find(name)?],
        None => reading.state.views().filter(|view| !view.row.facts.is_empty()).collect(),
    };
    let mut items: Vec<FactsDocument> = views.iter().map(FactsDocument::from).collect();
    items.sort_by(|one, other| one.name.cmp(&other.name));
    let document = ListDocument {
        environment: reading.environment.clone(),
        version: reading.state.version(),
        counts: None,
        suspensions: Vec::new(),
        items,
    };
    output.print(&document, || text(&document.items, options.name.as_deref()))?;
    Ok(Exit::Done)
}

fn text(items: &[FactsDocument], asked: Option<&str>) -> String {
    let mut table = Table::new(&["NAME", "FACT", "VALUE"]);
    for item in items {
        for (fact, value) in &item.facts {
            table.row(vec![item.name.to_string(), fact.to_string(), shown(value)]);
        }
    }
    if !table.is_empty() {
        return table.render();
    }
    let mut text = String::new();
    let _ = match asked {
        Some(name) => writeln!(text, "nothing is known of {name}"),
        None => writeln!(text, "no facts are known"),
    };
    text
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
