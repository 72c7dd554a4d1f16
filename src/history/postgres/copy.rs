//! Rows as one stream, in PostgreSQL's binary form of COPY: the server takes in what was sent while the rest is written here, and makes no arrays of
//! it. Worth its two ways to the database and back where there are many rows, and only where none of them is in the place of another.

use super::stuck;
use super::table::{Columns, Row};
use crate::history::limits;
use sqlx::{Encode, PgConnection, Postgres, Type};

/// The signature, no flags, and no extension.
pub(super) const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In the place of the number of a row's cells.
const END: i16 = -1;
/// In the place of a cell's length.
const NULL: i32 = -1;

/// A value of a column.
pub(super) trait Cell {
    /// Appends its length in bytes, and itself.
    fn put(self, to: &mut Vec<u8>);

    fn is_null(&self) -> bool {
        false
    }
}

fn put(bytes: &[u8], to: &mut Vec<u8>) {
    // The texts of a row are bounded far below what a length can say.
    to.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    to.extend_from_slice(bytes);
}

impl Cell for i64 {
    fn put(self, to: &mut Vec<u8>) {
        put(&self.to_be_bytes(), to);
    }
}

impl Cell for i16 {
    fn put(self, to: &mut Vec<u8>) {
        put(&self.to_be_bytes(), to);
    }
}

impl Cell for bool {
    fn put(self, to: &mut Vec<u8>) {
        put(&[u8::from(self)], to);
    }
}

impl Cell for [u8; 16] {
    fn put(self, to: &mut Vec<u8>) {
        put(&self, to);
    }
}

impl Cell for &str {
    fn put(self, to: &mut Vec<u8>) {
        put(self.as_bytes(), to);
    }
}

impl Cell for String {
    fn put(self, to: &mut Vec<u8>) {
        put(self.as_bytes(), to);
    }
}

impl<T: Cell> Cell for Option<T> {
    fn put(self, to: &mut Vec<u8>) {
        match self {
            Some(cell) => cell.put(to),
            None => to.extend_from_slice(&NULL.to_be_bytes()),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

/// How a cell of a row is put.
type Put<'a, R> = Box<dyn Fn(&'a R, &mut Vec<u8>) + Send + 'a>;

/// How each of them is.
struct Cells<'a, R>(Vec<Put<'a, R>>);

impl<'a, R: 'a> Columns<'a, R> for Cells<'a, R> {
    fn column<T>(mut self, value: impl Fn(&'a R) -> T + Send + 'a) -> Self
    where
        T: Cell + 'a,
        Vec<T>: Encode<'a, Postgres> + Type<Postgres>,
    {
        self.0.push(Box::new(move |row, to| value(row).put(to)));
        self
    }
}

impl<'a, R> Cells<'a, R> {
    fn put(&self, environment: i64, row: &'a R, to: &mut Vec<u8>) {
        let cells = 1 + self.0.len(); // the environment comes first
        to.extend_from_slice(&(cells as i16).to_be_bytes());
        environment.put(to);
        for put in &self.0 {
            put(row, to);
        }
    }
}

/// Appends rows to their table.
pub(super) async fn copy<'a, R: Row<'a>>(
    connection: &mut PgConnection,
    environment: i64,
    rows: &'a [R],
) -> Result<(), sqlx::Error> {
    let cells = R::columns(Cells(Vec::new()));
    let (table, columns) = (R::TABLE.name, R::TABLE.listed(""));
    let head = stuck::head();
    let statement = format!("{head}{table} (environment, {columns}) FROM STDIN (FORMAT binary)");
    let mut copy = connection.copy_in_raw(&statement).await?;
    let mut bytes = HEAD.to_vec();
    for row in rows {
        cells.put(environment, row, &mut bytes);
        if bytes.len() >= limits::COPIED_BYTES {
            copy.send(bytes.as_slice()).await?;
            bytes.clear();
        }
    }
    bytes.extend_from_slice(&END.to_be_bytes());
    copy.send(bytes.as_slice()).await?;
    copy.finish().await.map(drop)
}
