//! `homeostat environments`: what the data folder holds, one line per environment.

use crate::cli::arguments::EnvironmentsOptions;
use crate::cli::embedded::{Place, peek};
use crate::cli::output::{Output, Table, counted, time};
use crate::cli::{CliError, Exit};
use crate::core::{Counts, Name, Timestamp, VersionNumber};
use serde::Serialize;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
struct EnvironmentsDocument {
    items: Vec<EnvironmentDocument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvironmentDocument {
    name: Name,
    version: VersionNumber,
    /// When the newest version was accepted.
    accepted_at: Option<String>,
    suspended: bool,
    counts: Counts,
    #[serde(skip)]
    at: Option<Timestamp>,
}

/// Prints them; the code does not depend on how they are.
pub(crate) async fn run(options: EnvironmentsOptions, output: Output) -> Result<Exit, CliError> {
    Place::visited(&options.state, output, async |place| {
        let now = time::now();
        let mut items = Vec::new();
        let known = place.store.environments().await?;
        let one = match options.state.environment.as_deref().filter(|_| !known.is_empty()) {
            Some(named) => Some(place.environment(Some(named), None).await?),
            None => None,
        };
        if let Some(one) = one.as_ref().filter(|_| known.len() > 1) {
            let others = counted(known.len() - 1, "other");
            output.note(&format!("{others} left out: --environment or HOMEOSTAT_ENVIRONMENT says {one}"));
        }
        for name in known.into_iter().filter(|name| one.as_ref().is_none_or(|one| one == name)) {
            items.extend(describe(place, name, now).await?);
        }
        if items.is_empty() {
            return Err(place.nothing().into());
        }
        let document = EnvironmentsDocument { items };
        output.print(&document, || table(&document.items, now, output.is_wide()).render())?;
        Ok(Exit::Done)
    })
    .await
}

/// `None` where it was deleted meanwhile.
async fn describe(place: &Place, name: Name, now: Timestamp) -> Result<Option<EnvironmentDocument>, CliError> {
    let Some(state) = peek(&*place.store, &name, now).await? else { return Ok(None) };
    let newest = place.store.versions(&name, None, 1).await?;
    let at = newest.first().map(|version| version.at);
    Ok(Some(EnvironmentDocument {
        name,
        version: state.version(),
        accepted_at: at.map(time::iso),
        suspended: state.is_suspended(),
        counts: state.counts(),
        at,
    }))
}

fn table(items: &[EnvironmentDocument], now: Timestamp, wide: bool) -> Table {
    let mut headings = vec!["NAME", "VERSION", "ACCEPTED", "RESOURCES", "COMPLIANT", "SUSPENDED"];
    if wide {
        headings.extend(["UPDATING", "FAILED", "SKIPPED", "DRIFTED", "UNDEFINED", "DELETING"]);
    }
    let mut table = Table::new(&headings);
    for item in items {
        let counts = &item.counts;
        let mut cells = vec![
            item.name.to_string(),
            item.version.to_string(),
            item.at.map_or_else(String::new, |at| if wide { time::iso(at) } else { time::relative(at, now) }),
            counts.total.to_string(),
            counts.compliant.to_string(),
            if item.suspended { "yes" } else { "no" }.to_owned(),
        ];
        if wide {
            let others =
                [counts.updating, counts.failed, counts.skipped, counts.drifted, counts.undefined, counts.tombstones];
            cells.extend(others.map(|count| count.to_string()));
        }
        table.row(cells);
    }
    table
}
