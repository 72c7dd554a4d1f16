//! `homeostat clear environment NAME` and `homeostat delete environment NAME`: the two ways in which an environment ends.
//!
//! Both end its history too, so both ask. Where a `homeostat run` holds the environment, that gives it up, and holds it again when what its files say
//! of it changes, or when it is started anew.
//! Deliberately absent: ending an environment of which something is left on a target that was to be deleted.

use super::summary::RunDocument;
use super::{confirm, delete};
use crate::cli::arguments::{
    ClearOptions, DeleteOptions, EnvironmentOrder, SelectOptions, StateOptions, WholeEnvironment,
};
use crate::cli::embedded::{Access, Place, known_names, snapshot_state};
use crate::cli::output::{Output, counted, either};
use crate::cli::{CliError, Exit};
use crate::core::Name;
use serde::Serialize;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClearDocument {
    environment: Name,
    /// Resources that are left on their targets, as they are.
    left: usize,
    /// The files of the `homeostat run` that held it still declare it.
    still_declared: bool,
}

/// Drops what is known, after a confirmation; what is on the targets stays.
pub(crate) async fn clear(options: ClearOptions, output: Output) -> Result<Exit, CliError> {
    let WholeEnvironment::Environment(options) = options.whole;
    let mut left = 0;
    let prepare = async |place: &Place| {
        let environment = place.environment(Some(&options.name), None).await?;
        let state = snapshot_state(&*place.store, &environment).await?;
        let names = known_names(&state);
        left = names.len();
        let heading = format!(
            "All that is known of environment {environment} will be dropped, its history too; {}:\n{}",
            stays(left),
            confirm::list("-", names.iter().map(|name| &**name))
        );
        confirm::confirm(&heading, "Drop it?", options.order.yes)?;
        Ok(environment)
    };
    let (environment, still_declared) = Access::clear(&options.state, output, prepare).await?;
    let document = ClearDocument { environment, left, still_declared };
    let text = || {
        let ClearDocument { environment, left, .. } = &document;
        format!("nothing is known of environment {environment} any more; {}", stays(*left))
    };
    output.print(&document, text)?;
    note_declared(&document.environment, still_declared, output);
    Ok(Exit::Done)
}

/// `1 resource stays on its target`.
fn stays(left: usize) -> String {
    format!("{} {}", counted(left, "resource"), either(left, "stays on its target", "stay on their targets"))
}

/// Deletes all resources on their targets, in reverse order; when none is left, what is known of the environment goes too.
pub(super) async fn delete(order: EnvironmentOrder, output: Output) -> Result<Exit, CliError> {
    let EnvironmentOrder { name, order, state } = order;
    let state = StateOptions { environment: Some(name), ..state };
    let options = DeleteOptions { whole: None, select: SelectOptions::default(), order, state };
    let prepare = async |place: &Place| delete::prepare(&options, true, place, output).await;
    let message = options.order.message.clone();
    let work = async |session: &mut Access<'_>, prepared| delete::remove(session, prepared, &message).await;
    let (finished, ended) = Access::run_and_end(&options.state, output, prepare, work).await?;
    let environment = finished.environment.clone();
    let exit = RunDocument::new(finished).print(output, false)?;
    if let Some(still_declared) = ended {
        output.note(&format!("environment {environment} has ended; nothing is known of it any more"));
        note_declared(&environment, still_declared, output);
    } else {
        output
            .note(&format!("environment {environment} goes on: something of it is left; the same command tries again"));
    }
    Ok(exit)
}

/// What becomes of it, where a process still has files that declare it.
fn note_declared(environment: &Name, still_declared: bool, output: Output) {
    if still_declared {
        output.note(&format!(
            "the files of the `homeostat run` that held it still declare {environment}: take it out of them, or it begins anew\n  \
             when what they say of it changes, and when that `homeostat run` is started again"
        ));
    }
}
