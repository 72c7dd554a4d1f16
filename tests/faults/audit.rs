//! What must be true of history when everything has healed, read past everything of ours: by SQL, from the tables.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use std::collections::BTreeMap;

/// One environment's history, found exact.
#[derive(Debug)]
pub(crate) struct History {
    /// What each version was made for.
    pub(crate) messages: Vec<String>,
    pub(crate) grants: BTreeMap<u64, Attempt>,
}

/// `outcome.kind`.
pub(crate) const SUCCEEDED: i16 = 1;
pub(crate) const LOST: i16 = 4;
/// `resource_grant.reason`.
pub(crate) const CHANGE: i16 = 2;
pub(crate) const RETRY: i16 = 5;

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) resource: i64,
    pub(crate) epoch: u64,
    pub(crate) reason: i16,
    /// Why and how it ended, as the numbers of the columns.
    pub(crate) ending: Option<i16>,
    /// It did something to its target.
    pub(crate) changed: bool,
}

impl History {
    pub(crate) fn count(&self, ending: i16) -> usize {
        self.grants.values().filter(|attempt| attempt.ending == Some(ending)).count()
    }

    /// Attempts that say that they changed their target.
    pub(crate) fn changes(&self) -> usize {
        self.grants.values().filter(|attempt| attempt.changed).count()
    }

    /// Reason and ending of each attempt, in order.
    pub(crate) fn told(&self) -> Vec<(i16, i16)> {
        self.grants.values().map(|attempt| (attempt.reason, attempt.ending.unwrap_or(0))).collect()
    }
}

/// Reads the history of an environment and refuses it unless versions are gap-free, epochs never go back along the attempts, every outcome is of
/// a grant or a skip, and, where `at_rest`, every grant has its outcome.
pub(crate) async fn history(database: &PgConnectOptions, environment: &str, at_rest: bool) -> History {
    let mut connection = PgConnection::connect_with(database).await.unwrap();
    sqlx::raw_sql("SET search_path = homeostat").execute(&mut connection).await.unwrap();
    let row = sqlx::query("SELECT id, version, epoch FROM environment WHERE name = $1")
        .bind(environment)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let (id, newest, epoch): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));

    let versions = sqlx::query("SELECT number, message FROM version WHERE environment = $1 ORDER BY number").bind(id);
    let versions = versions.fetch_all(&mut connection).await.unwrap();
    let numbers: Vec<i64> = versions.iter().map(|row| row.get(0)).collect();
    assert_eq!(numbers, (1..=newest).collect::<Vec<_>>(), "versions are gap-free");

    let attempts = sqlx::query(
        "SELECT granted.attempt, granted.resource, granted.epoch, granted.reason, outcome.kind, outcome.resource, outcome.change
             FROM resource_grant granted LEFT JOIN outcome USING (environment, attempt)
             WHERE granted.environment = $1 ORDER BY granted.attempt",
    );
    let mut grants = BTreeMap::new();
    let mut last_epoch = 0;
    for row in attempts.bind(id).fetch_all(&mut connection).await.unwrap() {
        let attempt = row.get::<i64, _>(0) as u64;
        let found = Attempt {
            resource: row.get(1),
            epoch: row.get::<i64, _>(2) as u64,
            reason: row.get(3),
            ending: row.get(4),
            changed: row.get::<Option<i16>, _>(6).is_some_and(|change| change > 1),
        };
        assert!(found.epoch >= last_epoch && found.epoch <= epoch as u64, "epochs never go back: {attempt} {found:?}");
        last_epoch = found.epoch;
        assert!(!at_rest || found.ending.is_some(), "attempt {attempt} has no outcome: {found:?}");
        assert!(found.ending.is_none() || row.get::<i64, _>(5) == found.resource, "attempt {attempt} ended as another");
        grants.insert(attempt, found);
    }
    let strays: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM outcome WHERE environment = $1 AND kind <> 5
             AND NOT EXISTS (SELECT FROM resource_grant granted WHERE granted.environment = $1 AND granted.attempt = outcome.attempt)",
    )
    .bind(id)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(strays, 0, "outcomes without a grant");
    let ahead: i64 = sqlx::query_scalar("SELECT count(*) FROM resource_state WHERE environment = $1 AND version > $2")
        .bind(id)
        .bind(newest)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(ahead, 0, "rows of versions that are not there");
    connection.close().await.unwrap();
    History { messages: versions.iter().map(|row| row.get(1)).collect(), grants }
}
