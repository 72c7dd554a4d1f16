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
pub(crate) mod why;

mod confirm;
mod summary;

pub(crate) use summary::HeldDocument;
pub(crate) use why::WhyDocument;

use super::CliError;
use super::arguments::SelectOptions;
use super::limits::SHOWN_RESOURCES;
use super::selection::Selection;

/// Refuses a verb that says much of each resource where none is named or selected.
fn require_selection(options: &SelectOptions) -> Result<(), CliError> {
    if !Selection::new(options).is_all() {
        return Ok(());
    }
    let reason = "which resources? Name them, or select them: --target, --type, -l, --failed, --stale\n  \
                  `homeostat status` lists them all";
    Err(CliError::Usage(reason.to_owned()))
}

/// Refuses to say much of more resources than anybody reads.
fn refuse_too_many(resources: usize) -> Result<(), CliError> {
    if resources <= SHOWN_RESOURCES {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{resources} resources are selected, and at most {SHOWN_RESOURCES} are shown one by one; select fewer\n  \
         `homeostat status` with the same words lists them all"
    )))
}

/// Whether one resource is named, and nothing else is said of it.
fn names_one(options: &SelectOptions) -> bool {
    options.names.len() == 1 && Selection::new(options).names_only()
}
