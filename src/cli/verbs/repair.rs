//! `homeostat repair`: verifies everything against its target now, and corrects what has drifted, or with `--report` leaves it. Brings no new intent.

use super::summary::RunDocument;
use crate::cli::arguments::RepairOptions;
use crate::cli::embedded::{Access, Place, Purpose, push_of, request_of, snapshot_state};
use crate::cli::manifests::{self, Declared};
use crate::cli::output::{Output, counted, either, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, Exit, SET};
use crate::core::{Name, RequestKind};

/// Requests a repair or a report, waits, and prints the drift that was found.
pub(crate) async fn run(options: RepairOptions, output: Output) -> Result<Exit, CliError> {
    let selection = Selection::new(&options.select);
    let declared = manifests::read(&options.manifests.files, options.state.environment.as_deref())?;
    let prepare = async |place: &Place| prepare(&options, &selection, declared.as_ref(), place, output).await;
    let (kind, purpose) =
        if options.report { (RequestKind::Report, Purpose::Report) } else { (RequestKind::Repair, Purpose::Work) };
    let finished = Access::run(purpose, &options.state, output, prepare, async |session, selection| {
        if let Some(declared) = &declared {
            session.configure(declared).await?;
        }
        session.request(request_of(kind, selection.scope(), "")).await?;
        session.wait().await
    })
    .await?;
    let document = RunDocument::new(finished);
    if options.report { document.print_report(output) } else { document.print(output, true) }
}

/// Finds the environment, checks the names, and says where the manifests have moved on: a repair never smuggles a change in.
async fn prepare(
    options: &RepairOptions,
    selection: &Selection,
    declared: Option<&Declared>,
    place: &Place,
    output: Output,
) -> Result<(Name, Selection), CliError> {
    let name = declared.map(|declared| &declared.name);
    let environment = place.environment(options.state.environment.as_deref(), name).await?;
    let state = snapshot_state(&*place.store, &environment).await?;
    selection.check(&state, None)?;
    if let Some(declared) = declared {
        let mut push = push_of(SET.into(), "manifests", "");
        push.upserts.clone_from(&declared.intents);
        let plan = state.plan_push(&push);
        let moved = plan.added.len() + plan.changed.len();
        if moved > 0 {
            output.note(&format!(
                "{} {} from version {}; repair leaves that to `homeostat deploy`",
                counted(moved, "manifest"),
                either(moved, "differs", "differ"),
                state.version()
            ));
        }
    }
    let selection = selection.within(&state, None, time::now());
    if let Some(nothing) = selection.nothing(&state, None) {
        output.note(&nothing);
    }
    Ok((environment, selection))
}
