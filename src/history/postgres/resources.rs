//! Reading all resources of an environment: first their states, then the intent that each state speaks of.
//!
//! A restart waits for this. To look up each intent in the index costs the database more than to send it, so where the table holds not much else all of
//! it is read in one go, and what is older than a state is passed over. Where many versions or other environments are in it too, each is looked up.

use super::copied;
use super::errors::Failure;
use super::state::{self, INTENT_COLUMNS, LOADED, STATES, Shared, resource};
use crate::core::{Intent, LoadedRow, Pending, ResourceId, VersionNumber};
use crate::history::limits;
use sqlx::PgConnection;
use std::sync::Arc;

/// Live resources, tombstones and what is not released, by their numbers. A tombstone's intent is the last that was wanted.
pub(super) async fn read(connection: &mut PgConnection, environment: i64) -> Result<Vec<LoadedRow>, Failure> {
    let found = states(connection, environment).await?;
    let bytes: i64 = sqlx::query_scalar("SELECT pg_table_size('intent')").fetch_one(&mut *connection).await?;
    let in_one_go = bytes as u64 <= limits::PROBE_BYTES.saturating_mul(found.rows.len() as u64);
    let mut found = intents(connection, environment, found, in_one_go).await?;
    if found.waits {
        found = pending(connection, environment, found).await?;
    }
    Ok(found.with_intents())
}

#[derive(Default)]
struct Found {
    /// By their numbers.
    rows: Vec<LoadedRow>,
    /// The number of each row, close together: they are searched for every row that comes.
    numbers: Vec<ResourceId>,
    /// In the place of an intent that was not read.
    unread: Arc<Intent>,
    /// Something of them waits for a release.
    waits: bool,
    shared: Shared,
}

impl Found {
    /// Where a resource is.
    fn at(&self, resource: ResourceId) -> Option<usize> {
        self.numbers.binary_search(&resource).ok()
    }

    /// The rows of which history has an intent.
    fn with_intents(self) -> Vec<LoadedRow> {
        let Self { mut rows, unread, .. } = self;
        rows.retain(|row| !Arc::ptr_eq(&row.intent, &unread));
        rows
    }
}

/// The rows without their intents. They come in no order: a database that knows nothing yet of how much there is would sort it all on disk.
async fn states(connection: &mut PgConnection, environment: i64) -> Result<Found, Failure> {
    let columns = STATES.listed("");
    let query = format!("SELECT {columns} FROM resource_state WHERE environment = {environment} AND {LOADED}");
    let read = copied::read(connection, &query, Found::default(), |found, cells| {
        let (row, waits) = state::read(cells, &found.unread, &mut found.shared)?;
        found.waits |= waits;
        found.rows.push(row.into());
        Ok(())
    });
    let mut found = read.await?;
    found.rows.sort_by_cached_key(|row| row.resource);
    found.numbers = found.rows.iter().map(|row| row.resource).collect();
    Ok(found)
}

/// Gives each row its intent.
async fn intents(
    connection: &mut PgConnection,
    environment: i64,
    mut found: Found,
    in_one_go: bool,
) -> Result<Found, Failure> {
    found.shared.expect(found.rows.len());
    let query = if in_one_go { all_intents(environment) } else { sought_intents(environment) };
    let said = vec![None; found.rows.len()];
    let (found, _) = copied::read(connection, &query, (found, said), |(found, said), cells| {
        let (resource, version) = (resource(cells.next()?), VersionNumber(cells.number()?));
        let Some(at) = found.at(resource) else { return Ok(()) };
        if let (Some(row), Some(newest)) = (found.rows.get_mut(at), said.get_mut(at))
            && version <= row.version
            && *newest < Some(version)
        {
            *newest = Some(version);
            row.intent = Arc::new(state::read_intent(cells, &mut found.shared)?);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Every intent of an environment, of whatever version.
fn all_intents(environment: i64) -> String {
    format!(
        "SELECT resource, version, {INTENT_COLUMNS} FROM intent WHERE environment = {environment} AND kind IS NOT NULL"
    )
}

/// Of each resource the last intent up to the version of its state.
fn sought_intents(environment: i64) -> String {
    format!(
        "SELECT state.resource, intent.version, {INTENT_COLUMNS}
         FROM resource_state state
         CROSS JOIN LATERAL (
             SELECT * FROM intent
             WHERE intent.environment = state.environment AND intent.resource = state.resource AND intent.version <= state.version AND kind IS NOT NULL
             ORDER BY intent.version DESC LIMIT 1
         ) intent
         WHERE state.environment = {environment} AND {LOADED}"
    )
}

/// What is accepted of live resources and not released: what their `pending_version` says, and where that removes them, the last intent before.
async fn pending(connection: &mut PgConnection, environment: i64, found: Found) -> Result<Found, Failure> {
    let query = format!(
        "SELECT state.resource, state.pending_version, said.kind IS NULL, said.set_name, {INTENT_COLUMNS}
         FROM resource_state state
         JOIN intent said ON said.environment = state.environment AND said.resource = state.resource AND said.version = state.pending_version
         CROSS JOIN LATERAL (
             SELECT * FROM intent
             WHERE intent.environment = state.environment AND intent.resource = state.resource AND intent.version <= state.pending_version
                 AND kind IS NOT NULL
             ORDER BY intent.version DESC LIMIT 1
         ) intent
         WHERE state.environment = {environment} AND state.life = 1 AND state.pending_version IS NOT NULL"
    );
    copied::read(connection, &query, found, |found, cells| {
        let resource = resource(cells.next()?);
        let pending = Pending {
            version: VersionNumber(cells.number()?),
            removed: cells.next()?,
            set: found.shared.name(cells.text()?),
            intent: Arc::new(state::read_intent(cells, &mut found.shared)?),
        };
        let row = found.at(resource).and_then(|at| found.rows.get_mut(at));
        if let Some(row) = row {
            row.pending = Some(Box::new(pending));
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::test_database;
    use sqlx::{AssertSqlSafe, Executor};

    #[tokio::test]
    async fn each_state_is_given_its_intents_in_one_go_as_one_by_one() {
        let mut connection = test_database::empty_history().await;
        for name in ["other", "prod"] {
            let insert = format!("INSERT INTO environment (name) VALUES ('{name}')");
            connection.execute(AssertSqlSafe(insert)).await.unwrap();
        }
        // Resource, version, and what that wants.
        for (environment, resource, version, wants) in [
            (1, 1, 1, Some("of another environment")),
            (2, 1, 1, Some("first")),
            (2, 2, 3, Some("third")),
            (2, 2, 1, Some("first")),
            (2, 2, 4, Some("not released")),
            (2, 3, 1, Some("first")),
            (2, 3, 2, None),
            (2, 4, 2, Some("of nobody any more")),
            (2, 5, 2, None),
            (2, 0, 1, None),
        ] {
            let parts = wants.map_or("NULL, NULL, NULL, NULL, NULL, NULL".to_owned(), |wants| {
                format!(
                    "'host.File', 't1', '{{}}', '{wants}', '[]', '{}'",
                    serde_json::json!(crate::core::Policy::default())
                )
            });
            let insert = format!(
                "INSERT INTO intent (environment, resource, version, name, set_name, kind, target, identity, attributes, requires, policy)
                 VALUES ({environment}, {resource}, {version}, 'r{resource}', '', {parts})"
            );
            connection.execute(AssertSqlSafe(insert)).await.unwrap();
        }
        for (resource, version, life) in [(5, 2, 2), (3, 2, 2), (1, 1, 1), (2, 3, 1), (4, 2, 4), (0, 1, 2)] {
            let insert = format!(
                "INSERT INTO resource_state (environment, resource, version, failures, life, last_result, observed, skipped, set_name, maybe_changed, removal_approved)
                 VALUES (2, {resource}, {version}, 0, {life}, 1, 1, false, '', false, false)"
            );
            connection.execute(AssertSqlSafe(insert)).await.unwrap();
        }
        let waits = "UPDATE resource_state SET pending_version = 4 WHERE resource = 2";
        connection.execute(waits).await.unwrap();
        for in_one_go in [true, false] {
            let found = states(&mut connection, 2).await.unwrap();
            assert!(found.waits);
            let found = intents(&mut connection, 2, found, in_one_go).await.unwrap();
            let rows = pending(&mut connection, 2, found).await.unwrap().with_intents();
            let waiting =
                rows.iter().filter_map(|row| Some((row.resource.0, &*row.pending.as_ref()?.intent.attributes)));
            assert_eq!(waiting.collect::<Vec<_>>(), [(2, "not released")]);
            let wanted = rows.iter().map(|row| (row.resource.0, &*row.intent.attributes));
            let expected = [(1, "first"), (2, "third"), (3, "first")];
            assert!(wanted.eq(expected), "in one go: {in_one_go}");
        }
    }
}
