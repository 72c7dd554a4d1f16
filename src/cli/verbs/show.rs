//! `homeostat show NAME`: one resource, its intent, its state and its latest attempts.

use crate::cli::arguments::NameOptions;
use crate::cli::document::{AttemptDocument, ResourceDocument, ShowDocument, State};
use crate::cli::embedded::Reading;
use crate::cli::embedded::control::{Answer, Control, Order};
use crate::cli::limits::SHOWN_ATTEMPTS;
use crate::cli::output::{Output, state_style, styled_diff, time};
use crate::cli::verbs::history::attempts_table;
use crate::cli::{CliError, Exit, redact};
use crate::core::{Hold, ResourceView, Timestamp};
use std::fmt::Write;

/// Prints the resource.
pub(crate) async fn run(options: NameOptions, output: Output) -> Result<Exit, CliError> {
    let known = match Control::reach(&options.state, output).await? {
        Some(control) => holds_beside(&control, &options).await?,
        None => None,
    };
    Reading::with(&options.state, output, async |reading| show(&options, reading, known, output).await).await
}

/// What a process that runs the environment knows of what holds the resource; `None` where it does not run it.
async fn holds_beside(control: &Control, options: &NameOptions) -> Result<Option<Vec<Hold>>, CliError> {
    let Some(environment) = control.environment(&options.state).await? else { return Ok(None) };
    let name = options.name.clone();
    match control.order(&Order::Holds { environment, name }).await? {
        Answer::Holds { holds } => Ok(Some(holds)),
        other => Err(other.unexpected()),
    }
}

async fn show(
    options: &NameOptions,
    reading: &Reading,
    known: Option<Vec<Hold>>,
    output: Output,
) -> Result<Exit, CliError> {
    let view = reading.find(&options.name)?;
    let attempts = reading.store.attempts(&reading.environment, Some(&options.name), None, SHOWN_ATTEMPTS).await?;
    let document = ShowDocument {
        resource: ResourceDocument::from(&view),
        attributes: redact::attributes(&view.row.intent),
        attributes_from: view.row.intent.inputs.clone(),
        facts: super::facts::values(&view),
        holds: known.unwrap_or_else(|| reading.state.why(view.row.resource)),
        attempts: attempts.iter().map(AttemptDocument::from).collect(),
    };
    output.print(&document, || text(&document, &view, reading.now, output.is_wide()))?;
    Ok(Exit::Done)
}

/// The resource for people: fields, attributes, attempts, the newest difference.
fn text(document: &ShowDocument, view: &ResourceView, now: Timestamp, wide: bool) -> String {
    let mut text = String::new();
    for (field, value) in fields(view, now) {
        let _ = writeln!(text, "{:<14}{value}", format!("{field}:"));
    }
    if let Ok(attributes) = serde_saphyr::to_string(&document.attributes) {
        let _ = writeln!(text, "Attributes:\n{}", indent(&attributes));
    }
    if let Ok(inputs) = serde_saphyr::to_string(&document.attributes_from)
        && !document.attributes_from.is_empty()
    {
        let _ = writeln!(text, "Attributes from elsewhere:\n{}", indent(&inputs));
    }
    if !document.facts.is_empty() {
        let facts = document.facts.iter().map(|(name, value)| format!("{name}: {}\n", super::facts::shown(value)));
        let _ = write!(text, "Facts:\n{}", indent(&facts.collect::<String>()));
    }
    if !document.attempts.is_empty() {
        let _ = write!(text, "Attempts:\n{}", indent(&attempts_table(&document.attempts, now, wide).render()));
    }
    if let Some((attempt, diff)) =
        document.attempts.iter().find_map(|attempt| Some((attempt, attempt.diff.as_deref()?)))
    {
        let _ = write!(text, "\nDifference that attempt {} found:\n{}", attempt.attempt, styled_diff(diff, "  "));
    }
    text
}

/// Field names and values, those that are known.
fn fields(view: &ResourceView, now: Timestamp) -> Vec<(&'static str, String)> {
    let row = &view.row;
    let state = State::of(view);
    let moment = |at: Option<Timestamp>| at.map(|at| format!("{} ({})", time::relative(at, now), time::iso(at)));
    let attempt = row.changed_by.map_or_else(String::new, |attempt| format!(" by attempt {attempt}"));
    let labels: Vec<String> = row.intent.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let all = [
        ("Name", Some(row.intent.name.to_string())),
        ("Type", Some(row.intent.kind.to_string())),
        ("Target", Some(row.intent.target.to_string())),
        ("State", Some(state_style(state).apply_to(state).to_string())),
        ("Version", Some(row.version.to_string())),
        (
            "Unreleased",
            view.unreleased()
                .map(|version| format!("version {version} waits for `homeostat deploy {}`", row.intent.name)),
        ),
        ("Requires", Some(row.intent.requires.join(", ")).filter(|names| !names.is_empty())),
        ("Labels", Some(labels.join(", ")).filter(|labels| !labels.is_empty())),
        ("Verified", moment(row.verified_at)),
        ("Changed", moment(row.deployed_at).map(|at| at + &attempt)),
        ("Due", moment(row.due_at)),
        ("Failures", Some(row.failures.to_string()).filter(|_| row.failures > 0)),
        ("Error", row.error.as_deref().map(|error| error.replace('\n', "\n              "))),
        ("Reload", row.reload.as_ref().map(|debt| format!("due: {} has changed", debt.because))),
        ("On target", row.remote_identity.as_deref().map(ToOwned::to_owned)),
    ];
    all.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// Every line two spaces to the right.
fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat()
}
