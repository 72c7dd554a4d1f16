//! One file per verb. Reading verbs look at history without owning the environment; the others run a session (see `embedded`).

pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod compliance;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod dry_run;
pub(crate) mod environment;
pub(crate) mod environments;
pub(crate) mod facts;
pub(crate) mod forget;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod repair;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod suspend;
pub(crate) mod types;
pub(crate) mod why;

mod confirm;
mod summary;

pub(crate) use summary::HeldDocument;
pub(crate) use why::WhyDocument;

use super::arguments::{ResourcesOptions, SelectOptions};
use super::embedded::Reading;
use super::embedded::control::Control;
use super::limits::SHOWN_RESOURCES;
use super::output::Output;
use super::selection::Selection;
use super::{CliError, Exit};
use crate::adaptors::registry;
use crate::core::{Intent, ResourceView};
use serde_json::Value;

/// For a verb that says much of each resource: the process that holds the data folder, where there is one. Refused where no resource is named or
/// selected.
async fn reach(options: &ResourcesOptions, output: Output) -> Result<Option<Control>, CliError> {
    if Selection::new(&options.select).is_all() {
        let reason = "which resources? Name them, or select them: --target, --type, -l, --failed, --stale\n  \
                      `homeostat status` lists them all";
        return Err(CliError::Usage(reason.to_owned()));
    }
    Control::reach(&options.state, output).await
}

/// Lets `work` say much of the resources that are meant, with the process that runs their environment, where there is one. Refused where they are
/// more than anybody reads.
async fn with_meant(
    options: &ResourcesOptions,
    control: Option<Control>,
    output: Output,
    work: impl AsyncFnOnce(&Reading, &[ResourceView], Option<&Control>) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| {
        let views = reading.select(&options.select, output)?;
        if views.len() > SHOWN_RESOURCES {
            return Err(CliError::Usage(format!(
                "{} resources are selected, and at most {SHOWN_RESOURCES} are shown one by one; select fewer\n  \
                 `homeostat status` with the same words lists them all",
                views.len()
            )));
        }
        let control = control.filter(|control| control.runs(&reading.environment));
        work(reading, &views, control.as_ref()).await
    })
    .await
}

/// The attributes of an intent for people and programs, as they stand in its manifest, but for what is secret in them: the values of a Secret, and
/// what an earlier version of this program has accepted. What comes from elsewhere is not among them, only whence.
fn attributes(intent: &Intent) -> Value {
    registry::printed(&intent.kind, given(intent))
}

/// The same with what is secret: never to be printed.
fn given(intent: &Intent) -> Value {
    serde_json::from_str(&intent.attributes).unwrap_or_default()
}

/// Whether one resource is named, and nothing else is said of it.
fn names_one(options: &SelectOptions) -> bool {
    options.names.len() == 1 && Selection::new(options).names_only()
}
