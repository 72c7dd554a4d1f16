//! Tables of which very many rows are written at once: one array per column, one statement whatever the number of rows; and where nothing can be in
//! their place yet, as a stream (`copy.rs`).

use super::copy::{self, Cell};
use crate::history::limits;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Encode, PgConnection, Postgres, Type};

/// What is written of a row, beside its environment.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Names and types, in the order in which they are given.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// The key after the environment, where a row takes the place of the one before it.
    pub(super) replaced_by: Option<&'static str>,
}

/// A row of such a table.
pub(super) trait Row<'a>: Sized + Sync + 'a {
    const TABLE: Table;

    /// Gives the value of each column, in the table's order.
    fn columns<C: Columns<'a, Self>>(to: C) -> C;

    /// Bytes of its long texts.
    fn weight(&self) -> usize {
        0
    }
}

/// Takes the columns of a row.
pub(super) trait Columns<'a, R: 'a>: Sized {
    fn column<T>(self, value: impl Fn(&'a R) -> T + Send + 'a) -> Self
    where
        T: Cell + 'a,
        Vec<T>: Encode<'a, Postgres> + Type<Postgres>;
}

/// A statement, and what has been bound to it.
pub(super) type Bound = Query<'static, Postgres, PgArguments>;

impl Table {
    /// The statement, its arrays bound from parameter `first` on. `environment` is what gives the environment's number, and `from` where that is
    /// read: nothing is written where it gives no row.
    pub(super) fn statement(&self, first: usize, environment: &str, from: &str) -> String {
        let Self { name, columns, replaced_by } = self;
        let arrays: Vec<String> =
            (first..).zip(*columns).map(|(parameter, (_, kind))| format!("${parameter}::{kind}[]")).collect();
        let (columns, arrays) = (self.listed(""), arrays.join(", "));
        let replaced = replaced_by.map_or_else(String::new, |key| {
            format!(
                " ON CONFLICT (environment, {key}) DO UPDATE SET ({columns}) = ({excluded})",
                excluded = self.listed("EXCLUDED.")
            )
        });
        format!(
            "INSERT INTO {name} (environment, {columns}) SELECT {environment}, rows.* FROM {from}UNNEST({arrays}) AS rows{replaced}"
        )
    }

    /// Its columns, in the order in which they are given and read.
    pub(super) fn listed(&self, prefix: &str) -> String {
        let names: Vec<String> = self.columns.iter().map(|(column, _)| format!("{prefix}{column}")).collect();
        names.join(", ")
    }
}

/// Binds each column of these rows as an array.
pub(super) fn bind<'a, R: Row<'a>>(query: Bound, rows: &'a [R]) -> Bound {
    R::columns(Arrays { query, rows }).query
}

struct Arrays<'a, R> {
    query: Bound,
    rows: &'a [R],
}

impl<'a, R: 'a> Columns<'a, R> for Arrays<'a, R> {
    fn column<T>(self, value: impl Fn(&'a R) -> T + Send + 'a) -> Self
    where
        T: Cell + 'a,
        Vec<T>: Encode<'a, Postgres> + Type<Postgres>,
    {
        let cells: Vec<T> = self.rows.iter().map(value).collect();
        // To have PostgreSQL make an array of NULLs and take it apart again costs as much as one of values. Beside the other arrays none is as good.
        let cells = cells.iter().any(|cell| !cell.is_null()).then_some(cells);
        Self { query: self.query.bind(cells), ..self }
    }
}

/// Writes rows, each in the place of the one before it where the table says so.
pub(super) async fn write<'a, R: Row<'a>>(
    connection: &mut PgConnection,
    environment: i64,
    rows: &'a [R],
) -> Result<(), sqlx::Error> {
    if R::TABLE.replaced_by.is_none() && rows.len() >= limits::COPIED_ROWS {
        return append(connection, environment, rows).await;
    }
    for rows in chunks(rows, R::weight) {
        let query = sqlx::query(AssertSqlSafe(R::TABLE.statement(2, "$1", ""))).bind(environment);
        bind(query, rows).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes very many rows in whose place there is nothing.
pub(super) async fn append<'a, R: Row<'a>>(
    connection: &mut PgConnection,
    environment: i64,
    rows: &'a [R],
) -> Result<(), sqlx::Error> {
    for rows in chunks(rows, R::weight) {
        copy::copy(connection, environment, rows).await?;
    }
    Ok(())
}

/// Cuts a list into pieces that fit a statement. `weight` gives the bytes of an item's texts.
pub(super) fn chunks<T>(mut items: &[T], weight: fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = items.iter().take(limits::STATEMENT_ROWS).take_while(|item| {
            bytes += weight(item);
            bytes <= limits::STATEMENT_BYTES
        });
        let count = fits.count().max(1);
        let (chunk, rest) = items.split_at_checked(count)?;
        items = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(weights: &[usize]) -> Vec<usize> {
        chunks(weights, |weight| *weight).map(<[usize]>::len).collect()
    }

    #[test]
    fn chunks_are_bounded_by_rows_and_by_bytes() {
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&vec![1; limits::STATEMENT_ROWS + 1]), [limits::STATEMENT_ROWS, 1]);
        let half = limits::STATEMENT_BYTES / 2;
        assert_eq!(lengths(&[half, half, 1, half * 3, 1]), [2, 1, 1, 1]);
    }
}
