//! `homeostat clear environment NAME` and `homeostat delete environment NAME`: the two ways in which an environment ends.
//!
//! Both end its history too, so both ask. Deliberately absent: ending an environment of which something is left on a target that was to be deleted.

use super::summary::RunDocument;
use super::{confirm, delete};
use crate::cli::arguments::{ClearOptions, DeleteOptions, EnvironmentOrder, StateOptions, WholeEnvironment};
use crate::cli::embedded::control::Control;
use crate::cli::embedded::{Owned, Place, known_names, snapshot_state};
use crate::cli::output::Output;
use crate::cli::{CliError, Exit};
use crate::core::Name;
use serde::Serialize;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
struct ClearDocument {
    environment: Name,
    /// Resources that are left on their targets, as they are.
    left: usize,
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
            "All that is known of environment {environment} will be dropped, its history too; {left} resources stay on their targets:\n{}",
            confirm::list("-", names.iter().map(|name| &**name))
        );
        confirm::confirm(&heading, "Drop it?", options.order.yes)?;
        Ok(environment)
    };
    let environment = Owned::clear(&options.state, output, prepare).await?;
    let document = ClearDocument { environment, left };
    let text = || {
        let ClearDocument { environment, left } = &document;
        format!("nothing is known of environment {environment} any more; {left} resources are left on their targets")
    };
    output.print(&document, text)?;
    Ok(Exit::Done)
}

/// Deletes all resources on their targets, in reverse order; when none is left, what is known of the environment goes too.
pub(super) async fn delete(order: EnvironmentOrder, output: Output) -> Result<Exit, CliError> {
    let EnvironmentOrder { name, order, state } = order;
    let state = StateOptions { environment: Some(name), ..state };
    if let Some(control) = Control::reach(&state).await? {
        return Err(control.in_the_way("the end of an environment"));
    }
    let options = DeleteOptions { whole: None, names: Vec::new(), order, state };
    let finished = delete::remove(&options, true, output).await?;
    let environment = finished.environment.clone();
    let gone = !finished.interrupted && finished.counts.total == 0 && finished.counts.tombstones == 0;
    let exit = RunDocument::new(finished).print(output, false)?;
    if gone {
        Owned::clear(&options.state, output, async |_: &Place| Ok(environment.clone())).await?;
        output.note(&format!("environment {environment} has ended; nothing is known of it any more"));
    } else {
        output
            .note(&format!("environment {environment} goes on: something of it is left; the same command tries again"));
    }
    Ok(exit)
}
