//! The current row of each resource: replaced in place, many at once, and read back with the intent that its version recorded.

use super::codes::Code;
use super::commit::Bound;
use super::errors::Failure;
use super::table::{Table, column};
use crate::core::{
    AttemptId, Facts, Hash, Intent, IntentParts, Life, Name, Pending, ReloadDebt, ResourceId, ResourceRow, Timestamp,
    VersionNumber,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
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
        ("pending_version", "bigint"),
        ("secret_digest", "bytea"),
        ("facts_in_force", "text"),
        ("once_secret", "text"),
    ],
    replaced_by: Some("resource"),
};

/// Live resources, tombstones and what is not released, in no order: a database that knows nothing yet of how much there is would sort it all on
/// disk. A tombstone's intent is the last that was wanted.
pub(super) const SELECT: &str = "
    SELECT state.*, intent.name, intent.kind, intent.target, intent.identity, intent.attributes, intent.requires, intent.policy, intent.inputs, intent.labels
    FROM resource_state state
    CROSS JOIN LATERAL (
        SELECT * FROM intent
        WHERE intent.environment = state.environment AND intent.resource = state.resource AND intent.version <= state.version AND kind IS NOT NULL
        ORDER BY intent.version DESC LIMIT 1
    ) intent
    WHERE state.environment = $1 AND state.life IN (1, 2, 5)";

/// What is accepted of live resources and not released: what their `pending_version` says, and where that removes them, the last intent before.
pub(super) const SELECT_PENDING: &str = "
    SELECT state.resource, state.pending_version, said.kind IS NULL AS removed, said.set_name AS pending_set,
        intent.name, intent.kind, intent.target, intent.identity, intent.attributes, intent.requires, intent.policy,
        intent.inputs, intent.labels
    FROM resource_state state
    JOIN intent said ON said.environment = state.environment AND said.resource = state.resource AND said.version = state.pending_version
    CROSS JOIN LATERAL (
        SELECT * FROM intent
        WHERE intent.environment = state.environment AND intent.resource = state.resource AND intent.version <= state.pending_version
            AND kind IS NOT NULL
        ORDER BY intent.version DESC LIMIT 1
    ) intent
    WHERE state.environment = $1 AND state.life = 1 AND state.pending_version IS NOT NULL";

/// Bytes of a row's texts.
pub(super) fn weight(row: &ResourceRow) -> usize {
    let length = |text: &Option<Name>| text.as_ref().map_or(0, |text| text.len());
    length(&row.error)
        + length(&row.drift)
        + length(&row.remote_identity)
        + row.facts.text().map_or(0, str::len)
        + length(&row.facts_in_force)
}

/// Binds [`STATES`], each resource at most once.
pub(super) fn bind(query: Bound, rows: &[ResourceRow]) -> Bound {
    let query = column(query, rows, |row| i64::from(row.resource.0));
    let query = column(query, rows, |row| row.version.0 as i64);
    let query = column(query, rows, |row| row.after.map(|resource| i64::from(resource.0)));
    let query = column(query, rows, |row| row.due_at.map(|at| at.0));
    let query = column(query, rows, |row| row.verified_at.map(|at| at.0));
    let query = column(query, rows, |row| row.deployed_at.map(|at| at.0));
    let query = column(query, rows, |row| row.last_attempt.map(|attempt| attempt.0 as i64));
    let query = column(query, rows, |row| row.changed_by.map(|attempt| attempt.0 as i64));
    let query = column(query, rows, |row| i64::from(row.failures));
    let query = column(query, rows, |row| row.life.code());
    let query = column(query, rows, |row| row.last_result.code());
    let query = column(query, rows, |row| row.observed.code());
    let query = column(query, rows, |row| row.skipped);
    let query = column(query, rows, |row| row.attempted.map(|hash| hash.0));
    let query = column(query, rows, |row| row.succeeded.map(|hash| hash.0));
    let query = column(query, rows, |row| &*row.set);
    let query = column(query, rows, |row| row.error.as_deref());
    let query = column(query, rows, |row| row.drift.as_deref());
    let query = column(query, rows, |row| row.remote_identity.as_deref());
    let query = column(query, rows, |row| row.reload.as_ref().map(|debt| &*debt.because));
    let query = column(query, rows, |row| row.reload.as_ref().map(|debt| debt.after.0 as i64));
    let query = column(query, rows, |row| row.maybe_changed);
    let query = column(query, rows, |row| row.removal_approved);
    let query = column(query, rows, |row| row.facts.text());
    let query = column(query, rows, |row| row.pending.as_ref().map(|pending| pending.version.0 as i64));
    let query = column(query, rows, |row| row.secret_digest.map(|hash| hash.0));
    let query = column(query, rows, |row| row.facts_in_force.as_deref());
    column(query, rows, once_secret)
}

/// A list of names as JSON; most have none.
fn once_secret(row: &ResourceRow) -> Option<String> {
    let paths: Vec<&str> = row.once_secret.iter().map(|path| &**path).collect();
    (!paths.is_empty()).then(|| serde_json::json!(paths).to_string())
}

/// Names that many rows share, each kept once.
#[derive(Default)]
pub(super) struct Names(HashSet<Name>);

impl Names {
    pub(super) fn share(&mut self, text: &str) -> Name {
        if let Some(name) = self.0.get(text) {
            return Name::clone(name);
        }
        let name: Name = text.into();
        self.0.insert(Name::clone(&name));
        name
    }
}

/// Reads one row of [`SELECT`]; what waits for a release comes by [`SELECT_PENDING`].
pub(super) fn read(row: &PgRow, names: &mut Names) -> Result<ResourceRow, Failure> {
    Ok(ResourceRow {
        resource: resource(row.try_get("resource")?),
        set: names.share(row.try_get("set_name")?),
        intent: Arc::new(read_intent(row, names)?),
        version: VersionNumber(row.try_get::<i64, _>("version")? as u64),
        life: Life::read(row, "life")?,
        after: row.try_get::<Option<i64>, _>("after_resource")?.map(resource),
        attempted: row.try_get::<Option<[u8; 16]>, _>("attempted")?.map(Hash),
        succeeded: row.try_get::<Option<[u8; 16]>, _>("succeeded")?.map(Hash),
        last_result: Code::read(row, "last_result")?,
        skipped: row.try_get("skipped")?,
        observed: Code::read(row, "observed")?,
        failures: row.try_get::<i64, _>("failures")? as u32,
        due_at: time(row, "due_at_ms")?,
        verified_at: time(row, "verified_at_ms")?,
        deployed_at: time(row, "deployed_at_ms")?,
        last_attempt: row.try_get::<Option<i64>, _>("last_attempt")?.map(|attempt| AttemptId(attempt as u64)),
        changed_by: row.try_get::<Option<i64>, _>("changed_by")?.map(|attempt| AttemptId(attempt as u64)),
        error: text(row, "error")?,
        drift: text(row, "drift")?,
        remote_identity: text(row, "remote_identity")?,
        facts: Facts::from_text(row.try_get("facts")?),
        facts_in_force: text(row, "facts_in_force")?,
        secret_digest: row.try_get::<Option<[u8; 16]>, _>("secret_digest")?.map(Hash),
        once_secret: paths(row.try_get("once_secret")?)?,
        reload: reload(row, names)?,
        maybe_changed: row.try_get("maybe_changed")?,
        removal_approved: row.try_get("removal_approved")?,
        pending: None,
    })
}

/// Reads one row of [`SELECT_PENDING`].
pub(super) fn read_pending(row: &PgRow, names: &mut Names) -> Result<(ResourceId, Pending), Failure> {
    let pending = Pending {
        version: VersionNumber(row.try_get::<i64, _>("pending_version")? as u64),
        set: names.share(row.try_get("pending_set")?),
        intent: Arc::new(read_intent(row, names)?),
        removed: row.try_get("removed")?,
    };
    Ok((resource(row.try_get("resource")?), pending))
}

fn paths(text: Option<&str>) -> Result<BTreeSet<Name>, Failure> {
    let paths: Vec<String> = text.map(serde_json::from_str).transpose()?.unwrap_or_default();
    Ok(paths.into_iter().map(Name::from).collect())
}

fn reload(row: &PgRow, names: &mut Names) -> Result<Option<ReloadDebt>, Failure> {
    let because: Option<&str> = row.try_get("reload_because")?;
    let after: Option<i64> = row.try_get("reload_after")?;
    let debt = |(because, after)| ReloadDebt { because: names.share(because), after: AttemptId(after as u64) };
    Ok(because.zip(after).map(debt))
}

/// Reads an intent from a row that has its columns, none of them null.
pub(super) fn read_intent(row: &PgRow, names: &mut Names) -> Result<Intent, Failure> {
    let requires: Vec<String> = serde_json::from_str(row.try_get("requires")?)?; // owned: a name may have escapes in JSON
    Ok(Intent::new(IntentParts {
        name: names.share(row.try_get("name")?),
        kind: names.share(row.try_get("kind")?),
        target: names.share(row.try_get("target")?),
        identity: row.try_get::<&str, _>("identity")?.into(),
        attributes: row.try_get::<&str, _>("attributes")?.into(),
        requires: requires.iter().map(|name| names.share(name)).collect(),
        inputs: row.try_get::<Option<&str>, _>("inputs")?.map_or_else(|| Ok(Vec::new()), serde_json::from_str)?,
        labels: row.try_get::<Option<&str>, _>("labels")?.map_or_else(|| Ok(BTreeMap::new()), serde_json::from_str)?,
        policy: serde_json::from_str(row.try_get("policy")?)?,
    }))
}

/// A resource's number from its column.
pub(super) const fn resource(number: i64) -> ResourceId {
    ResourceId(number as u32)
}

/// A text column that may be null.
pub(super) fn text(row: &PgRow, column: &'static str) -> Result<Option<Name>, sqlx::Error> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Into::into))
}

/// A time column that may be null.
pub(super) fn time(row: &PgRow, column: &'static str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp))
}
