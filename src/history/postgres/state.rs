//! The current row of each resource: replaced in place, many at once, and read back with the intent that its version recorded.

use super::cells::Cells;
use super::codes::Code;
use super::errors::Failure;
use super::table::{self, Columns, Row, Table};
use crate::core::{
    AttemptId, Facts, Hash, Intent, IntentParts, Name, Policy, ReloadDebt, ResourceId, ResourceRow, VersionNumber,
};
use crate::history::limits;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The current rows.
pub(super) const STATES: Table = Table {
    name: "resource_state",
    columns: &[
        ("resource", "bigint"),
        ("version", "bigint"),
        ("after_resource", "bigint"),
        ("due_at_ms", "bigint"),
        ("verified_at_ms", "bigint"),
        ("deployed_at_ms", "bigint"),
        ("last_attempt", "bigint"),
        ("changed_by", "bigint"),
        ("failures", "bigint"),
        ("life", "smallint"),
        ("last_result", "smallint"),
        ("observed", "smallint"),
        ("skipped", "boolean"),
        ("attempted", "bytea"),
        ("succeeded", "bytea"),
        ("set_name", "text"),
        ("error", "text"),
        ("drift", "text"),
        ("remote_identity", "text"),
        ("reload_because", "text"),
        ("reload_after", "bigint"),
        ("maybe_changed", "boolean"),
        ("removal_approved", "boolean"),
        ("facts", "text"),
        ("secret_digest", "bytea"),
        ("facts_in_force", "text"),
        ("once_secret", "text"),
        ("pending_version", "bigint"),
    ],
    replaced_by: Some("resource"),
};

/// What [`read_intent`] reads.
pub(super) const INTENT_COLUMNS: &str = "intent.name, intent.kind, intent.target, intent.identity, intent.attributes,
    intent.requires, intent.policy, intent.inputs, intent.labels";

/// Which states are loaded: live resources, tombstones and what is not released.
pub(super) const LOADED: &str = "life IN (1, 2, 5)";

impl<'a> Row<'a> for ResourceRow {
    const TABLE: Table = STATES;

    fn columns<C: Columns<'a, Self>>(to: C) -> C {
        to.column(|row| i64::from(row.resource.0))
            .column(|row| row.version.0 as i64)
            .column(|row| row.after.map(|resource| i64::from(resource.0)))
            .column(|row| row.due_at.map(|at| at.0))
            .column(|row| row.verified_at.map(|at| at.0))
            .column(|row| row.deployed_at.map(|at| at.0))
            .column(|row| row.last_attempt.map(|attempt| attempt.0 as i64))
            .column(|row| row.changed_by.map(|attempt| attempt.0 as i64))
            .column(|row| i64::from(row.failures))
            .column(|row| row.life.code())
            .column(|row| row.last_result.code())
            .column(|row| row.observed.code())
            .column(|row| row.skipped)
            .column(|row| row.attempted.map(|hash| hash.0))
            .column(|row| row.succeeded.map(|hash| hash.0))
            .column(|row| &*row.set)
            .column(|row| row.error.as_deref())
            .column(|row| row.drift.as_deref())
            .column(|row| row.remote_identity.as_deref())
            .column(|row| row.reload.as_ref().map(|debt| &*debt.because))
            .column(|row| row.reload.as_ref().map(|debt| debt.after.0 as i64))
            .column(|row| row.maybe_changed)
            .column(|row| row.removal_approved)
            .column(|row| row.facts.text())
            .column(|row| row.secret_digest.map(|hash| hash.0))
            .column(|row| row.facts_in_force.as_deref())
            .column(once_secret)
            .column(|row| row.pending.as_ref().map(|pending| pending.version.0 as i64))
    }

    fn weight(&self) -> usize {
        let length = |text: &Option<Name>| text.as_ref().map_or(0, |text| text.len());
        length(&self.error)
            + length(&self.drift)
            + length(&self.remote_identity)
            + self.facts.text().map_or(0, str::len)
            + length(&self.facts_in_force)
    }
}

/// Puts rows in the place of those before them, each resource at most once. Only a version brings new ones (`pushed`), and their numbers only grow:
/// above the highest that is stored there is nothing yet.
pub(super) async fn replace(
    connection: &mut PgConnection,
    environment: i64,
    rows: &[ResourceRow],
    pushed: bool,
) -> Result<(), sqlx::Error> {
    if !pushed || rows.len() < limits::COPIED_ROWS {
        return table::write(connection, environment, rows).await;
    }
    let highest: Option<i64> = sqlx::query_scalar("SELECT max(resource) FROM resource_state WHERE environment = $1")
        .bind(environment)
        .fetch_one(&mut *connection)
        .await?;
    let is_new = |row: &ResourceRow| highest.is_none_or(|highest| i64::from(row.resource.0) > highest);
    for rows in rows.chunk_by(|one, next| is_new(one) == is_new(next)) {
        match rows {
            [first, ..] if is_new(first) => table::append(connection, environment, rows).await?,
            known => table::write(connection, environment, known).await?,
        }
    }
    Ok(())
}

/// A list of names as JSON; most have none.
fn once_secret(row: &ResourceRow) -> Option<String> {
    let paths: Vec<&str> = row.once_secret.iter().map(|path| &**path).collect();
    (!paths.is_empty()).then(|| serde_json::json!(paths).to_string())
}

/// What many rows share, each kept once.
#[derive(Default)]
pub(super) struct Shared {
    names: HashSet<Name>,
    /// By what is stored of them.
    policies: HashMap<String, Policy>,
}

impl Shared {
    /// So many names are still to come: a table that grows is hashed again each time.
    pub(super) fn expect(&mut self, names: usize) {
        self.names.reserve(names);
    }

    pub(super) fn name(&mut self, text: &str) -> Name {
        if let Some(name) = self.names.get(text) {
            return Name::clone(name);
        }
        let name: Name = text.into();
        self.names.insert(Name::clone(&name));
        name
    }

    fn policy(&mut self, text: &str) -> Result<Policy, serde_json::Error> {
        if let Some(policy) = self.policies.get(text) {
            return Ok(*policy);
        }
        let policy = serde_json::from_str(text)?;
        self.policies.insert(text.to_owned(), policy);
        Ok(policy)
    }
}

/// Reads the columns of [`STATES`], and whether something of it waits for a release. That, and its intent, are read by themselves.
pub(super) fn read(
    cells: &mut Cells<'_>,
    unread: &Arc<Intent>,
    shared: &mut Shared,
) -> Result<(ResourceRow, bool), Failure> {
    let row = ResourceRow {
        resource: resource(cells.next()?),
        version: VersionNumber(cells.number()?),
        after: cells.next::<Option<i64>>()?.map(resource),
        due_at: cells.time_or_null()?,
        verified_at: cells.time_or_null()?,
        deployed_at: cells.time_or_null()?,
        last_attempt: cells.number_or_null()?.map(AttemptId),
        changed_by: cells.number_or_null()?.map(AttemptId),
        failures: cells.number()? as u32,
        life: cells.code()?,
        last_result: cells.code()?,
        observed: cells.code()?,
        skipped: cells.next()?,
        attempted: cells.next::<Option<[u8; 16]>>()?.map(Hash),
        succeeded: cells.next::<Option<[u8; 16]>>()?.map(Hash),
        set: shared.name(cells.text()?),
        error: cells.text_or_null()?,
        drift: cells.text_or_null()?,
        remote_identity: cells.text_or_null()?,
        reload: reload(cells, shared)?,
        maybe_changed: cells.next()?,
        removal_approved: cells.next()?,
        facts: Facts::from_text(cells.next()?),
        secret_digest: cells.next::<Option<[u8; 16]>>()?.map(Hash),
        facts_in_force: cells.text_or_null()?,
        once_secret: paths(cells.next()?)?,
        intent: Arc::clone(unread),
        pending: None,
    };
    let waits = cells.number_or_null()?.is_some();
    Ok((row, waits))
}

fn paths(text: Option<&str>) -> Result<BTreeSet<Name>, Failure> {
    let paths: Vec<String> = text.map(serde_json::from_str).transpose()?.unwrap_or_default();
    Ok(paths.into_iter().map(Name::from).collect())
}

fn reload(cells: &mut Cells<'_>, shared: &mut Shared) -> Result<Option<ReloadDebt>, Failure> {
    let (because, after) = (cells.next::<Option<&str>>()?, cells.number_or_null()?);
    let debt = |(because, after)| ReloadDebt { because: shared.name(because), after: AttemptId(after) };
    Ok(because.zip(after).map(debt))
}

/// Reads [`INTENT_COLUMNS`], none of which is null but inputs and labels.
pub(super) fn read_intent(cells: &mut Cells<'_>, shared: &mut Shared) -> Result<Intent, Failure> {
    Ok(Intent::new(IntentParts {
        name: shared.name(cells.text()?),
        kind: shared.name(cells.text()?),
        target: shared.name(cells.text()?),
        identity: cells.text()?.into(),
        attributes: cells.text()?.into(),
        requires: requires(cells.text()?, shared)?,
        policy: shared.policy(cells.text()?)?,
        inputs: cells.next::<Option<&str>>()?.map_or_else(|| Ok(Vec::new()), serde_json::from_str)?,
        labels: cells.next::<Option<&str>>()?.map_or_else(|| Ok(BTreeMap::new()), serde_json::from_str)?,
    }))
}

fn requires(text: &str, shared: &mut Shared) -> Result<Vec<Name>, Failure> {
    let names: Vec<String> = serde_json::from_str(text)?; // owned: a name may have escapes in JSON
    Ok(names.iter().map(|name| shared.name(name)).collect())
}

/// A resource's number from its column.
pub(super) const fn resource(number: i64) -> ResourceId {
    ResourceId(number as u32)
}
