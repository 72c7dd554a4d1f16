//! Very many rows as one stream from the database, in PostgreSQL's binary form of COPY: read on a thread of its own while the next of them come. As
//! answers to a statement they would be found, typed and checked cell by cell before anything is made of them; that took longer than to send them.

use super::cells::Cells;
use super::copy::HEAD;
use super::errors::Failure;
use crate::history::limits;
use crate::joined::joined;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgConnection;
use std::io;
use tokio::sync::mpsc;

/// Has each row of a query read into `all`, in order, and gives that back. A COPY takes no parameters: they stand in the query.
pub(super) async fn read<A: Send + 'static>(
    connection: &mut PgConnection,
    query: &str,
    all: A,
    row: impl FnMut(&mut A, &mut Cells<'_>) -> Result<(), Failure> + Send + 'static,
) -> Result<A, Failure> {
    let mut messages = connection.copy_out_raw(&format!("COPY ({query}) TO STDOUT (FORMAT binary)")).await?;
    let (sender, receiver) = mpsc::channel(limits::COPIED_AHEAD);
    let reader = tokio::task::spawn_blocking(move || read_all(receiver, all, row));
    let mut some = messages.by_ref().try_chunks(limits::COPIED_READ);
    while let Some(messages) = some.next().await {
        // A reader that has failed takes no more, and says why below. The rest is fetched all the same: then the connection is of use again.
        let _ = sender.send(messages.map_err(|failed| failed.1)?).await;
    }
    drop(sender);
    joined(reader).await.map_err(|ending| sqlx::Error::Io(io::Error::other(ending)))?
}

/// One row is one message; what the stream begins with comes with the first, and what it ends with by itself.
fn read_all<M: AsRef<[u8]>, A>(
    mut receiver: mpsc::Receiver<Vec<M>>,
    mut all: A,
    mut row: impl FnMut(&mut A, &mut Cells<'_>) -> Result<(), Failure>,
) -> Result<A, Failure> {
    let mut begun = false;
    while let Some(messages) = receiver.blocking_recv() {
        for message in messages.iter().map(AsRef::as_ref) {
            let bytes = if begun { Some(message) } else { message.strip_prefix(HEAD) };
            let bytes = bytes.ok_or_else(|| Failure::unknown("another beginning of a stream of rows".into()))?;
            begun = true;
            if let Some(mut cells) = Cells::of(bytes) {
                row(&mut all, &mut cells)?;
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::test_database;

    async fn numbers(connection: &mut PgConnection, query: &str) -> Result<Vec<u64>, Failure> {
        let number = |all: &mut Vec<u64>, cells: &mut Cells<'_>| cells.number().map(|number| all.push(number));
        read(connection, query, Vec::new(), number).await
    }

    #[tokio::test]
    async fn every_row_is_read_in_its_order() {
        let mut connection = test_database::empty_history().await;
        let many = limits::COPIED_READ as u64 * (limits::COPIED_AHEAD as u64 + 3) + 1;
        for count in [0, 1, many] {
            let query = format!("SELECT number::bigint FROM generate_series(1, {count}) number");
            assert_eq!(numbers(&mut connection, &query).await.unwrap(), (1..=count).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn after_a_failure_on_either_side_the_connection_is_of_use() {
        let mut connection = test_database::empty_history().await;
        let ours = numbers(&mut connection, "SELECT 'no number' FROM generate_series(1, 100000)").await;
        assert!(matches!(ours, Err(Failure::History(_))), "{ours:?}");
        assert_eq!(numbers(&mut connection, "SELECT 7::bigint").await.unwrap(), [7]);
        let its = "SELECT (1 / (300 - number))::bigint FROM generate_series(1, 300) number";
        let its = numbers(&mut connection, its).await;
        assert!(matches!(its, Err(Failure::Sql(_))), "{its:?}");
        assert_eq!(numbers(&mut connection, "SELECT 7::bigint").await.unwrap(), [7]);
    }
}
