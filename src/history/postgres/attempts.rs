//! The commit that is made all the time, in one statement: attempts that begin and end, and nothing else.
//!
//! Whoever waits for its attempt waits for every way to the database and back; a statement that is a transaction by itself takes one, where counting,
//! each table, begin and commit take one each.
//!
//! Deliberately absent: why a batch was not counted. That is asked only where it was not (`commit.rs`).

use super::commit::Sorted;
use super::errors::Failure;
use super::table::{Row, Table, bind, chunks};
use crate::core::{Grant, Name, Outcome, ResourceId, ResourceRow};
use crate::history::Fence;
use sqlx::{AssertSqlSafe, PgConnection};
use std::fmt::Write as _;

/// As `ownership::advance` for a batch without versions; everything else is written only where it found the row.
const COUNT: &str = "WITH counted AS (UPDATE environment SET last_batch = $4
    WHERE id = $1 AND epoch = $2 AND claim = $3 AND last_batch = $4 - 1 RETURNING id)";

/// What such a batch writes.
pub(super) struct Attempts<'a> {
    grants: &'a [(&'a Name, &'a Grant)],
    outcomes: &'a [(ResourceId, &'a Outcome)],
    rows: &'a [ResourceRow],
}

/// Whether all of it fits a statement.
fn fits<'a, R: Row<'a>>(rows: &[R]) -> bool {
    chunks(rows, R::weight).nth(1).is_none()
}

impl<'a> Attempts<'a> {
    /// `None`: there is more to it, or too much of it.
    pub(super) fn of(sorted: &'a Sorted<'a>, rows: &'a [ResourceRow]) -> Option<Self> {
        let Sorted { versions, intents, grants, outcomes, late_results, requests, .. } = sorted;
        let Sorted { requests_done, dry_runs, dry_run_results, settings, targets, .. } = sorted;
        let only_attempts = versions.is_empty()
            && intents.is_empty()
            && late_results.is_empty()
            && requests.is_empty()
            && requests_done.is_empty()
            && dry_runs.is_empty()
            && dry_run_results.is_empty()
            && settings.is_none()
            && targets.is_empty();
        let fit = fits(grants) && fits(outcomes) && fits(rows);
        (only_attempts && fit).then_some(Self { grants, outcomes, rows })
    }

    /// `false`: the batch is not the next one of this owner, and nothing has been written.
    pub(super) async fn commit(
        &self,
        connection: &mut PgConnection,
        fence: &Fence,
        number: u64,
    ) -> Result<bool, Failure> {
        let query = sqlx::query(AssertSqlSafe(self.statement()))
            .bind(fence.environment)
            .bind(fence.epoch.0 as i64)
            .bind(fence.claim)
            .bind(number as i64);
        let query = if self.grants.is_empty() { query } else { bind(query, self.grants) };
        let query = if self.outcomes.is_empty() { query } else { bind(query, self.outcomes) };
        let query = if self.rows.is_empty() { query } else { bind(query, self.rows) };
        Ok(query.execute(connection).await?.rows_affected() == 1)
    }

    /// What is empty is not in it; what is comes in the order in which it is bound.
    fn statement(&self) -> String {
        let tables: [(Table, bool); 3] = [
            (<(&Name, &Grant)>::TABLE, self.grants.is_empty()),
            (<(ResourceId, &Outcome)>::TABLE, self.outcomes.is_empty()),
            (ResourceRow::TABLE, self.rows.is_empty()),
        ];
        let mut statement = COUNT.to_owned();
        let mut first = 5; // after those of COUNT
        for (table, _) in tables.into_iter().filter(|(_, empty)| !empty) {
            let written = table.statement(first, "counted.id", "counted, ");
            let _ = write!(statement, ", {}_rows AS ({written})", table.name);
            first += table.columns.len();
        }
        statement + " SELECT FROM counted"
    }
}
