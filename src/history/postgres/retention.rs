//! Dropping what is no longer kept. What that is, `trim_environment` says (`migrations/`): it works with the rights of the schema's owner, because
//! ours may delete nothing.

use super::errors::Failure;
use super::ownership::fenced;
use crate::core::{Retention, Timestamp, VersionNumber};
use crate::history::{Fence, limits};
use sqlx::{Connection, PgConnection};

/// Drops some rows; holds the environment's row, and so its writer, for as long as that takes.
pub(super) async fn trim(
    connection: &mut PgConnection,
    fence: &Fence,
    retention: Retention,
    now: Timestamp,
) -> Result<u64, Failure> {
    let mut transaction = connection.begin().await?;
    super::allow_long(&mut transaction).await?;
    let dropped: i64 = sqlx::query_scalar("SELECT trim_environment($1, $2, $3, $4, $5, $6)")
        .bind(fence.environment)
        .bind(fence.epoch.0 as i64)
        .bind(fence.claim)
        .bind(i64::from(retention.versions.max(1)))
        .bind(now.before_ms(retention.attempts_ms).0)
        .bind(limits::TRIMMED_ROWS as i64)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    u64::try_from(dropped).map_err(|_| fenced(fence))
}

pub(super) async fn oldest_version(connection: &mut PgConnection, environment: &str) -> Result<VersionNumber, Failure> {
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT min(number) FROM version WHERE environment = (SELECT id FROM environment WHERE name = $1)",
    )
    .bind(environment)
    .fetch_one(connection)
    .await?;
    Ok(VersionNumber(oldest.unwrap_or_default() as u64))
}
