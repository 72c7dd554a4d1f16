//! `homeostat dry-run`: what a deploy would do, with differences, and nothing changed anywhere.
//!
//! It works on a copy of the environment in memory, suspended: what runs there can reach neither history nor, since executors only read in a
//! dry run, a target. So it needs no ownership, and can run beside a deploy.

use super::deploy::digest;
use crate::cli::arguments::DryRunOptions;
use crate::cli::embedded::{Copy, Session, push_of};
use crate::cli::manifests::{self, Declared};
use crate::cli::output::{Output, styled_diff, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, Exit, SET, refusal};
use crate::core::{DryRunItem, EnvironmentState, Mode, Name, Push};
use crate::history::DryRunResult;
use console::Style;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DryRunDocument {
    environment: Name,
    /// The version on which the manifests were tried.
    version: crate::core::VersionNumber,
    /// Of what a deploy would release; nothing where nothing waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// How many resources have which result.
    results: BTreeMap<Name, usize>,
    items: Vec<DryRunResultDocument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DryRunResultDocument {
    #[serde(flatten)]
    result: DryRunResult,
    /// Its intent is deployed already: what differs has drifted, and a repair corrects it.
    drift: bool,
    /// Its policy is to observe: no deploy does that.
    observed: bool,
}

impl DryRunResultDocument {
    /// Whether a deploy or a repair would change the target.
    fn would_change(&self) -> bool {
        !self.observed && would_change(&self.result.result)
    }
}

/// Tries everything, prints the differences, and says by the exit code whether something would change.
pub(crate) async fn run(options: DryRunOptions, output: Output) -> Result<Exit, CliError> {
    let selection = Selection::new(&options.select);
    let declared = manifests::read(&options.manifests.files, options.state.environment.as_deref())?;
    let copy = Copy::of(&options.state, declared.as_ref(), output).await?;
    selection.check(&copy.state, declared.as_ref())?;
    let selection = selection.within(&copy.state, declared.as_ref(), time::now());
    if let Some(nothing) = selection.nothing(&copy.state, declared.as_ref()) {
        output.note(&nothing);
    }
    let items = items(&copy.state, declared.as_ref(), &selection, options.prune)?;
    let compliant = compliant(&copy.state, &items);
    let observes = |item: &&DryRunItem| !item.removed && item.intent.policy.mode == Mode::Observe;
    let observed: BTreeSet<Name> = items.iter().filter(observes).map(|item| item.intent.name.clone()).collect();
    let digest = digest(copy.known(), declared.as_ref(), &selection, options.prune).map(|digest| digest.to_string());
    let (environment, version) = (copy.environment.clone(), copy.state.version());
    let results = copy
        .run(output, async |session: &mut Session| {
            if let Some(declared) = &declared {
                session.configure_suspended(declared).await?;
            }
            session.dry_run(items).await
        })
        .await?;
    let mut counts: BTreeMap<Name, usize> = BTreeMap::new();
    for result in &results {
        *counts.entry(result.result.clone()).or_default() += 1;
    }
    let document = |result: DryRunResult| DryRunResultDocument {
        // What is known only after another's deploy need not differ.
        drift: would_change(&result.result)
            && &*result.result != "known after apply"
            && compliant.contains(&result.name),
        observed: would_change(&result.result) && observed.contains(&result.name),
        result,
    };
    let document = DryRunDocument {
        environment,
        version,
        digest,
        results: counts,
        items: results.into_iter().map(document).collect(),
    };
    output.print(&document, || text(&document, output.is_wide()))?;
    Ok(exit(&document))
}

/// What is tried: the manifests, or without any what was accepted; and what a prune would remove.
fn items(
    state: &EnvironmentState,
    declared: Option<&Declared>,
    selection: &Selection,
    prune: bool,
) -> Result<Vec<DryRunItem>, CliError> {
    let Some(declared) = declared else {
        let accepted = state.declared().map(|(_, intent)| DryRunItem { intent: Arc::clone(intent), removed: false });
        return Ok(accepted.chain(leaving(state)).filter(|item| selection.covers(&item.intent)).collect());
    };
    let push = Push { upserts: declared.intents.clone(), prune, ..push_of(SET.into(), "manifests", "") };
    let plan = state.plan_push(&push);
    if !plan.refusals.is_empty() {
        return Err(CliError::Refused(refusal::describe(&plan.refusals)));
    }
    let kept = push.upserts.iter().filter(|intent| selection.covers(intent));
    let mut items: Vec<DryRunItem> =
        kept.map(|intent| DryRunItem { intent: Arc::clone(intent), removed: false }).collect();
    let removed = plan.removed.iter().filter_map(|name| state.accepted(name));
    let removed = removed.map(|(_, intent)| DryRunItem { intent: Arc::clone(intent), removed: true });
    let declared: BTreeSet<Name> = push.upserts.iter().map(|intent| intent.name.clone()).collect();
    let leaving = leaving(state).filter(|item| !declared.contains(&item.intent.name));
    items.extend(removed.chain(leaving).filter(|item| selection.covers(&item.intent)));
    Ok(items)
}

/// What a deploy releases the removal of.
fn leaving(state: &EnvironmentState) -> impl Iterator<Item = DryRunItem> {
    let rows = state.views().map(|view| view.row).filter(crate::core::ResourceRow::leaves);
    let gone = rows.filter(|row| state.accepted(&row.intent.name).is_none());
    gone.map(|row| DryRunItem { intent: row.intent, removed: true })
}

/// Names whose intent is deployed as it would be.
fn compliant(state: &EnvironmentState, items: &[DryRunItem]) -> BTreeSet<Name> {
    let deployed = |item: &&DryRunItem| {
        let view = state.find(&item.intent.name).and_then(|id| state.view(id));
        !item.removed && view.is_some_and(|view| view.good && view.row.intent.hash() == item.intent.hash())
    };
    items.iter().filter(deployed).map(|item| item.intent.name.clone()).collect()
}

fn would_change(result: &str) -> bool {
    matches!(result, "create" | "update" | "replace" | "delete" | "known after apply")
}

fn exit(document: &DryRunDocument) -> Exit {
    // What is only observed stays as it is, and that is not as declared.
    let stays = |item: &DryRunResultDocument| !item.would_change() && &*item.result.result != "none";
    if document.items.iter().any(stays) {
        Exit::NotCompliant
    } else if document.items.iter().any(DryRunResultDocument::would_change) {
        Exit::WouldChange
    } else {
        Exit::Done
    }
}

fn text(document: &DryRunDocument, wide: bool) -> String {
    let mut text = String::new();
    for DryRunResultDocument { result, drift, observed } in
        document.items.iter().filter(|item| wide || &*item.result.result != "none")
    {
        let word = result_style(&result.result).apply_to(&result.result);
        let note = if *observed {
            "  (its policy is to observe: no deploy does that)"
        } else if *drift {
            "  (drift: `homeostat repair` corrects it)"
        } else {
            ""
        };
        let _ = write!(text, "{word} {}{note}\n{}", result.name, styled_diff(&result.detail, "    "));
    }
    let total = document.items.len();
    let changes = document.items.iter().filter(|item| item.would_change()).count();
    if changes == 0 && exit(document) == Exit::Done {
        let _ = write!(
            text,
            "nothing would change: {total} of {total} resources as declared (version {})",
            document.version
        );
    } else {
        let counted: Vec<String> = document.results.iter().map(|(result, count)| format!("{count} {result}")).collect();
        let _ = write!(
            text,
            "{changes} of {total} resources would change: {} (on version {})",
            counted.join(", "),
            document.version
        );
    }
    if let Some(digest) = &document.digest {
        let _ =
            write!(text, "\n  `homeostat deploy --digest {digest}`, with what this was given, releases exactly that");
    }
    text
}

fn result_style(result: &str) -> Style {
    match result {
        "create" => Style::new().green(),
        "update" | "replace" | "known after apply" => Style::new().yellow(),
        "none" => Style::new(),
        _ => Style::new().red(),
    }
}
