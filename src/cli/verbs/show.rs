//! `homeostat show NAME…`: resources, each with its intent, its state and its latest attempts.

use crate::cli::arguments::ResourcesOptions;
use crate::cli::document::{ListDocument, ResourceDocument, ShowDocument, State};
use crate::cli::embedded::Reading;
use crate::cli::embedded::control::{Answer, Control, Order};
use crate::cli::limits::SHOWN_ATTEMPTS;
use crate::cli::output::{Output, state_style, styled_diff, time};
use crate::cli::verbs::history::attempts_table;
use crate::cli::{CliError, Exit};
use crate::core::{Hold, Name, ResourceView, Timestamp};
use std::fmt::Write;

/// Prints the resources: one that is named as a document of its own, else a list.
pub(crate) async fn run(options: ResourcesOptions, output: Output) -> Result<Exit, CliError> {
    let control = super::reach(&options, output).await?;
    super::with_meant(&options, control, output, async |reading, views, control| {
        let mut documents = Vec::new();
        for view in views {
            let holds = match control {
                Some(control) => holds_beside(control, &reading.environment, view).await?,
                None => reading.state.why(view.row.resource),
            };
            documents.push(document(reading, view, holds).await?);
        }
        print(&options, reading, views, documents, output)
    })
    .await
}

/// What the process that runs the environment knows of what holds the resource.
async fn holds_beside(control: &Control, environment: &Name, view: &ResourceView) -> Result<Vec<Hold>, CliError> {
    let name = view.row.intent.name.to_string();
    match control.order(&Order::Holds { environment: environment.clone(), name }).await? {
        Answer::Holds { holds } => Ok(holds),
        other => Err(other.unexpected()),
    }
}

async fn document(reading: &Reading, view: &ResourceView, holds: Vec<Hold>) -> Result<ShowDocument, CliError> {
    let name = [view.row.intent.name.clone()];
    let attempts = reading.store.attempts(&reading.environment, Some(&name), None, SHOWN_ATTEMPTS).await?;
    Ok(ShowDocument {
        resource: ResourceDocument::from(view),
        attributes: super::attributes(&view.row.intent),
        attributes_from: view.row.intent.inputs.clone(),
        facts: super::facts::values(view),
        holds,
        attempts: reading.documents(&attempts),
    })
}

fn print(
    options: &ResourcesOptions,
    reading: &Reading,
    views: &[ResourceView],
    mut documents: Vec<ShowDocument>,
    output: Output,
) -> Result<Exit, CliError> {
    let one = |(document, view): (&ShowDocument, &ResourceView)| text(document, view, reading.now, output.is_wide());
    if let ([view], true) = (views, super::names_one(&options.select))
        && let Some(document) = documents.pop()
    {
        output.print(&document, || one((&document, view)))?;
        return Ok(Exit::Done);
    }
    let document = ListDocument {
        environment: reading.environment.clone(),
        version: reading.state.version(),
        counts: None,
        suspensions: Vec::new(),
        items: documents,
    };
    output.print(&document, || document.items.iter().zip(views).map(one).collect::<Vec<_>>().join("\n"))?;
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
