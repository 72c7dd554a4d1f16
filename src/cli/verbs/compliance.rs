//! `homeostat compliance`: a report for whoever must show that things are as declared: what is, since when that is proven, who wanted it so, and
//! what differs.
//!
//! It reads history alone and attempts nothing: `repair --report` looks at the targets first.

use super::why::first_sentence;
use crate::cli::arguments::ComplianceOptions;
use crate::cli::document::State;
use crate::cli::embedded::Reading;
use crate::cli::limits::COMPLIANCE_PAGE;
use crate::cli::output::{Output, Table, state_style, time};
use crate::cli::{CliError, Exit};
use crate::core::{Mode, Name, ResourceView, Timestamp, VersionNumber};
use crate::history::VersionSummary;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ComplianceDocument {
    environment: Name,
    version: VersionNumber,
    /// When the report was made; what is older than `max_age_ms` then is unproven.
    reported_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age_ms: Option<u64>,
    compliant: usize,
    unproven: usize,
    not_compliant: usize,
    items: Vec<Standing>,
}

/// How a resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    /// As declared, and seen to be.
    Compliant,
    /// As declared, but not looked at for longer than was asked.
    Unproven,
    /// Anything else.
    NotCompliant,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    name: Name,
    #[serde(rename = "type")]
    kind: Name,
    target: Name,
    /// Whether differences are corrected, or only observed.
    mode: Mode,
    verdict: Verdict,
    state: State,
    /// Who declared it so.
    declared: Declaration,
    /// When an attempt last found or made it as declared.
    verified_at: Option<String>,
    /// When an attempt last changed it, and which.
    changed_at: Option<String>,
    changed_by: Option<u64>,
    /// Why it is not compliant.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// The difference that was found and left.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Name>,
    #[serde(skip)]
    verified: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Declaration {
    version: VersionNumber,
    /// Absent where the version is no longer kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// Prints the report, and fails with [`Exit::NotCompliant`] where something is not compliant, or not proven to be.
pub(crate) async fn run(options: ComplianceOptions, output: Output) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| {
        let document = report(&options, reading, output).await?;
        output.print(&document, || text(&document, reading.now, output.is_wide()))?;
        let proven = document.compliant == document.items.len();
        Ok(if proven { Exit::Done } else { Exit::NotCompliant })
    })
    .await
}

async fn report(
    options: &ComplianceOptions,
    reading: &Reading,
    output: Output,
) -> Result<ComplianceDocument, CliError> {
    let versions = versions(reading).await?;
    let max_age_ms = options.max_age.map(crate::api::Duration::as_ms);
    let views = reading.select(&options.select, output)?;
    let items: Vec<Standing> = views.iter().map(|view| standing(reading, view, max_age_ms, &versions)).collect();
    let count = |verdict| items.iter().filter(|item| item.verdict == verdict).count();
    Ok(ComplianceDocument {
        environment: reading.environment.clone(),
        version: reading.state.version(),
        reported_at: time::iso(reading.now),
        max_age_ms,
        compliant: count(Verdict::Compliant),
        unproven: count(Verdict::Unproven),
        not_compliant: count(Verdict::NotCompliant),
        items,
    })
}

/// All that are kept.
async fn versions(reading: &Reading) -> Result<BTreeMap<VersionNumber, VersionSummary>, CliError> {
    let mut known = BTreeMap::new();
    let mut before = None;
    loop {
        let page = reading.store.versions(&reading.environment, before, COMPLIANCE_PAGE).await?;
        before = page.last().map(|version| version.number);
        let full = page.len() == COMPLIANCE_PAGE as usize;
        known.extend(page.into_iter().map(|version| (version.number, version)));
        if !full {
            return Ok(known);
        }
    }
}

fn standing(
    reading: &Reading,
    view: &ResourceView,
    max_age_ms: Option<u64>,
    versions: &BTreeMap<VersionNumber, VersionSummary>,
) -> Standing {
    let row = &view.row;
    let age = row.verified_at.map_or(u64::MAX, |at| reading.now.ms_since(at));
    let verdict = match view.good {
        true if max_age_ms.is_some_and(|most| age > most) => Verdict::Unproven,
        true => Verdict::Compliant,
        false => Verdict::NotCompliant,
    };
    let version = versions.get(&row.version);
    Standing {
        name: row.intent.name.clone(),
        kind: row.intent.kind.clone(),
        target: row.intent.target.clone(),
        mode: row.intent.policy.mode,
        verdict,
        state: State::of(view),
        declared: Declaration {
            version: row.version,
            author: version.map(|version| version.author.clone()),
            at: version.map(|version| time::iso(version.at)),
        },
        verified_at: row.verified_at.map(time::iso),
        changed_at: row.deployed_at.map(time::iso),
        changed_by: row.changed_by.map(|attempt| attempt.0),
        because: (!view.good).then(|| first_sentence(reading, view)),
        drift: row.drift.clone(),
        verified: row.verified_at,
    }
}

fn text(document: &ComplianceDocument, now: Timestamp, wide: bool) -> String {
    let mut headings = vec!["NAME", "TYPE", "TARGET", "STATE", "VERIFIED", "DECLARED BY", "BECAUSE"];
    if wide {
        headings.extend(["MODE", "VERSION", "CHANGED"]);
    }
    let mut table = Table::new(&headings);
    for item in &document.items {
        let state = match item.verdict {
            Verdict::Unproven => "Unproven".to_owned(),
            _ => state_style(item.state).apply_to(item.state).to_string(),
        };
        let mut cells = vec![
            item.name.to_string(),
            item.kind.to_string(),
            item.target.to_string(),
            state,
            item.verified.map_or_else(|| "never".to_owned(), |at| time::relative(at, now)),
            item.declared.author.as_deref().unwrap_or_default().to_owned(),
            item.because.as_deref().unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
        ];
        if wide {
            cells.extend([
                format!("{:?}", item.mode),
                item.declared.version.to_string(),
                item.changed_at.clone().unwrap_or_default(),
            ]);
        }
        table.row(cells);
    }
    let mut counts = vec![format!("{} of {} compliant", document.compliant, document.items.len())];
    let others = [(document.unproven, "unproven"), (document.not_compliant, "not compliant")];
    counts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    format!(
        "{}\nenvironment {}, version {}, reported {}: {}",
        table.render(),
        document.environment,
        document.version,
        document.reported_at,
        counts.join(", ")
    )
}
