//! `homeostat audit`: who did what in an environment, and when: versions and orders, newest first.
//!
//! What the scheduler did of its own accord is in `history --attempts`; settings and targets are not versioned, and not here.

use crate::cli::arguments::AuditOptions;
use crate::cli::document::ListDocument;
use crate::cli::embedded::Reading;
use crate::cli::output::{Output, Table, time};
use crate::cli::{CliError, Exit};
use crate::core::{Name, Scope, Timestamp};
use crate::history::{RequestSummary, VersionSummary};
use serde::Serialize;

/// One thing that somebody did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deed {
    /// When.
    at: String,
    /// Who.
    author: Name,
    /// `version`, or the order.
    action: &'static str,
    /// The version's number; absent: an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// What was meant by it.
    what: String,
    /// The digest of the dry run that was approved by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Why, in the author's words.
    message: Name,
    /// When it was carried out, or lifted; absent: it has not been.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
    #[serde(skip)]
    when: Timestamp,
}

/// Prints what was done.
pub(crate) async fn run(options: AuditOptions, output: Output) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| {
        let versions = reading.store.versions(&reading.environment, None, options.limit).await?;
        let requests = reading.store.requests(&reading.environment, None, options.limit).await?;
        let mut deeds: Vec<Deed> = versions.iter().map(accepted).chain(requests.iter().map(ordered)).collect();
        deeds.sort_by_key(|deed| std::cmp::Reverse(deed.when));
        deeds.truncate(options.limit as usize);
        let document = ListDocument {
            environment: reading.environment.clone(),
            version: reading.state.version(),
            counts: None,
            suspensions: Vec::new(),
            items: deeds,
        };
        output.print(&document, || table(&document.items, reading.now, output.is_wide()).render())?;
        Ok(Exit::Done)
    })
    .await
}

fn accepted(version: &VersionSummary) -> Deed {
    Deed {
        at: time::iso(version.at),
        author: version.author.clone(),
        action: "version",
        version: Some(version.number.0),
        what: format!(
            "{} from {}: {} changed, {} removed",
            version.number, version.source, version.upserts, version.removals
        ),
        digest: None,
        message: version.message.clone(),
        done_at: None,
        when: version.at,
    }
}

fn ordered(RequestSummary { order, done_at }: &RequestSummary) -> Deed {
    Deed {
        at: time::iso(order.at),
        author: order.author.clone(),
        action: order.kind.word(),
        version: None,
        what: meant(&order.scope),
        digest: order.digest.map(|digest| digest.to_string()),
        message: order.message.clone(),
        done_at: done_at.map(time::iso),
        when: order.at,
    }
}

/// `all`, `web, db`, `3 resources on target web`.
fn meant(scope: &Scope) -> String {
    const NAMED: usize = 3;
    let names = scope.names.as_ref().map(|names| match names.as_slice() {
        few if few.len() <= NAMED => few.join(", "),
        many => format!("{} resources", many.len()),
    });
    match (names, &scope.target) {
        (None, None) => "all".to_owned(),
        (Some(names), None) => names,
        (None, Some(target)) => format!("target {target}"),
        (Some(names), Some(target)) => format!("{names} on target {target}"),
    }
}

fn table(deeds: &[Deed], now: Timestamp, wide: bool) -> Table {
    let mut table = Table::new(&["WHEN", "AUTHOR", "ACTION", "WHAT", "MESSAGE"]);
    for deed in deeds {
        table.row(vec![
            if wide { deed.at.clone() } else { time::relative(deed.when, now) },
            deed.author.to_string(),
            deed.action.to_owned(),
            match &deed.digest {
                Some(digest) => format!("{}, digest {digest}", deed.what),
                None => deed.what.clone(),
            },
            deed.message.to_string(),
        ]);
    }
    table
}
