//! Who owns an environment: epochs, leases, and giving up.

use super::errors::Failure;
use crate::core::{Epoch, Name, VersionNumber};
use crate::history::{Fence, HistoryError, Owner, batch_check, limits};
use sqlx::{Connection, PgConnection, Row};

/// What the row of an environment says to its owner.
pub(super) struct Owned {
    /// The last batch of this epoch.
    pub(super) last_batch: u64,
    /// The newest version.
    pub(super) version: VersionNumber,
}

/// Counts a batch, and the first and the last of its versions, where all of them are the next ones of this owner: what every write does first.
/// `false`: they are not, and nothing has changed.
pub(super) async fn advance(
    connection: &mut PgConnection,
    fence: &Fence,
    batch: u64,
    versions: Option<(VersionNumber, VersionNumber)>,
) -> Result<bool, Failure> {
    let counted = sqlx::query(
        "UPDATE environment SET last_batch = $4, version = COALESCE($6, version)
             WHERE id = $1 AND epoch = $2 AND claim = $3 AND last_batch = $4 - 1 AND version = COALESCE($5 - 1, version)",
    )
    .bind(fence.environment)
    .bind(fence.epoch.0 as i64)
    .bind(fence.claim)
    .bind(batch as i64)
    .bind(versions.map(|(first, _)| first.0 as i64))
    .bind(versions.map(|(_, last)| last.0 as i64))
    .execute(connection)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// Locks the environment's row and compares epoch and claim.
pub(super) async fn lock(connection: &mut PgConnection, fence: &Fence) -> Result<Owned, Failure> {
    owned(connection, fence, "SELECT epoch, claim, last_batch, version FROM environment WHERE id = $1 FOR UPDATE").await
}

/// The same without the lock, and so without a trace.
pub(super) async fn look(connection: &mut PgConnection, fence: &Fence) -> Result<Owned, Failure> {
    owned(connection, fence, "SELECT epoch, claim, last_batch, version FROM environment WHERE id = $1").await
}

async fn owned(connection: &mut PgConnection, fence: &Fence, query: &'static str) -> Result<Owned, Failure> {
    let row = sqlx::query(query).bind(fence.environment).fetch_optional(connection).await?;
    let row = row.ok_or_else(|| fenced(fence))?;
    let epoch = Epoch(row.try_get::<i64, _>("epoch")? as u64);
    batch_check::check_owner(fence, epoch, row.try_get("claim")?)?;
    Ok(Owned {
        last_batch: row.try_get::<i64, _>("last_batch")? as u64,
        version: VersionNumber(row.try_get::<i64, _>("version")? as u64),
    })
}

/// What a caller is told whose epoch is over.
pub(super) const fn fenced(fence: &Fence) -> Failure {
    Failure::History(HistoryError::Fenced { epoch: fence.epoch })
}

pub(super) async fn take(
    connection: &mut PgConnection,
    name: &str,
    owner: &Owner,
    ended: &[Name],
    above: Epoch,
) -> Result<Fence, Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::query("INSERT INTO environment (name) SELECT $1 WHERE NOT EXISTS (SELECT FROM environment WHERE name = $1) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .execute(&mut *transaction)
        .await?;
    let found = sqlx::query("SELECT id, owner FROM environment WHERE name = $1 FOR UPDATE")
        .bind(name)
        .fetch_one(&mut *transaction)
        .await?;
    let holder: Option<&str> = found.try_get("owner")?;
    if let Some(holder) =
        holder.filter(|holder| *holder != &*owner.id && !ended.iter().any(|ended| **ended == **holder))
    {
        refuse_while_held(&mut transaction, name, holder).await?;
    }
    lease(&mut transaction, owner).await?;
    sqlx::query(
        "DELETE FROM lease WHERE expires_at < clock_timestamp() - make_interval(days => $1)
             AND NOT EXISTS (SELECT FROM environment WHERE environment.owner = lease.owner)",
    )
    .bind(limits::OLD_LEASE_DAYS)
    .execute(&mut *transaction)
    .await?;
    let claim = rand::random();
    let taken = sqlx::query(
        "UPDATE environment SET epoch = GREATEST(epoch, $4) + 1, claim = $3, owner = $2, last_batch = 0 WHERE id = $1 RETURNING id, epoch",
    )
    .bind(found.try_get::<i64, _>("id")?)
    .bind(&*owner.id)
    .bind(claim)
    .bind(above.0 as i64)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let epoch = Epoch(taken.try_get::<i64, _>("epoch")? as u64);
    Ok(Fence { environment: taken.try_get("id")?, name: name.into(), epoch, claim })
}

/// By the database's time, whatever the clocks of the processes say.
async fn refuse_while_held(connection: &mut PgConnection, environment: &str, holder: &str) -> Result<(), Failure> {
    let lease = sqlx::query(
        "SELECT description, ceil(extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint AS remaining_ms FROM lease WHERE owner = $1",
    )
    .bind(holder)
    .fetch_optional(connection)
    .await?;
    let Some(lease) = lease else { return Ok(()) };
    let remaining_ms: i64 = lease.try_get("remaining_ms")?;
    if remaining_ms <= 0 {
        return Ok(());
    }
    let holder = lease.try_get("description")?;
    Err(HistoryError::Held { environment: environment.to_owned(), holder, remaining_ms: remaining_ms as u64 }.into())
}

/// For whoever only looks.
pub(super) async fn owner(connection: &mut PgConnection, name: &str) -> Result<Option<String>, Failure> {
    let found = sqlx::query_scalar(
        "SELECT description FROM environment JOIN lease USING (owner) WHERE name = $1 AND expires_at > clock_timestamp()",
    );
    Ok(found.bind(name).fetch_optional(connection).await?)
}

pub(super) async fn lease(connection: &mut PgConnection, owner: &Owner) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO lease (owner, description, expires_at) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
             ON CONFLICT (owner) DO UPDATE SET description = EXCLUDED.description, expires_at = EXCLUDED.expires_at",
    )
    .bind(&*owner.id)
    .bind(&*owner.description)
    .bind(owner.lease_ms as i64)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn release(connection: &mut PgConnection, fence: &Fence) -> Result<(), Failure> {
    let released = sqlx::query(
        "UPDATE environment SET epoch = epoch + 1, owner = NULL WHERE id = $1 AND epoch = $2 AND claim = $3",
    )
    .bind(fence.environment)
    .bind(fence.epoch.0 as i64)
    .bind(fence.claim)
    .execute(connection)
    .await?;
    if released.rows_affected() == 1 { Ok(()) } else { Err(fenced(fence)) }
}

pub(super) async fn forget(connection: &mut PgConnection, fence: &Fence) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    super::allow_long(&mut transaction).await?;
    let forgotten: bool = sqlx::query_scalar("SELECT forget_environment($1, $2, $3)")
        .bind(fence.environment)
        .bind(fence.epoch.0 as i64)
        .bind(fence.claim)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    if forgotten { Ok(()) } else { Err(fenced(fence)) }
}
