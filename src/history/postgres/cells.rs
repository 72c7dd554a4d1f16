//! Reading rows of which there are very many: cell after cell, in the order in which the statement lists its columns. A restart reads millions of
//! them, and finding each by its column's name took longer than decoding it.

use super::codes::Code;
use super::errors::Failure;
use crate::core::{Name, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row};

/// The cells of a row that were not read yet. What they are is not checked: the schema is ours.
pub(super) struct Cells<'r> {
    row: &'r PgRow,
    read: usize,
}

impl<'r> Cells<'r> {
    pub(super) const fn of(row: &'r PgRow) -> Self {
        Self { row, read: 0 }
    }

    pub(super) fn next<T: Decode<'r, Postgres>>(&mut self) -> Result<T, sqlx::Error> {
        let cell = self.row.try_get_unchecked(self.read);
        self.read += 1;
        cell
    }

    pub(super) fn code<T: Code>(&mut self) -> Result<T, Failure> {
        let code = self.next()?;
        T::of(code).ok_or_else(|| Failure::unknown(format!("the value {code} in column {}", self.read)))
    }

    pub(super) fn number(&mut self) -> Result<u64, sqlx::Error> {
        self.next().map(|number: i64| number as u64)
    }

    pub(super) fn number_or_null(&mut self) -> Result<Option<u64>, sqlx::Error> {
        self.next().map(|number: Option<i64>| number.map(|number| number as u64))
    }

    pub(super) fn time_or_null(&mut self) -> Result<Option<Timestamp>, sqlx::Error> {
        self.next().map(|time: Option<i64>| time.map(Timestamp))
    }

    pub(super) fn text(&mut self) -> Result<&'r str, sqlx::Error> {
        self.next()
    }

    pub(super) fn text_or_null(&mut self) -> Result<Option<Name>, sqlx::Error> {
        self.next().map(|text: Option<&str>| text.map(Into::into))
    }
}
