//! The cells of a row that came by COPY, one after the other, in the order in which the query lists its columns. What they are is not checked beyond
//! their lengths: the schema is ours.

use super::codes::Code;
use super::errors::Failure;
use crate::core::{Name, Timestamp};

/// The cells of a row that were not read yet.
pub(super) struct Cells<'r> {
    rest: &'r [u8],
    read: usize,
}

impl<'r> Cells<'r> {
    /// Those of a row; `None` for what is in its place at the end of a stream.
    pub(super) fn of(row: &'r [u8]) -> Option<Self> {
        let (count, rest) = row.split_first_chunk()?;
        (i16::from_be_bytes(*count) > 0).then_some(Self { rest, read: 0 })
    }

    pub(super) fn next<T: Cell<'r>>(&mut self) -> Result<T, Failure> {
        self.read += 1;
        let cell = self.bytes().and_then(T::of);
        cell.ok_or_else(|| Failure::unknown(format!("another form of column {}", self.read)))
    }

    /// Those of the next cell; of null, none.
    #[expect(clippy::option_option, reason = "whether there is a cell, and whether anything is in it")]
    fn bytes(&mut self) -> Option<Option<&'r [u8]>> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Some(None);
        };
        let (cell, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(cell))
    }

    pub(super) fn code<T: Code>(&mut self) -> Result<T, Failure> {
        let code = self.next()?;
        T::of(code).ok_or_else(|| Failure::unknown(format!("the value {code} in column {}", self.read)))
    }

    pub(super) fn number(&mut self) -> Result<u64, Failure> {
        self.next().map(|number: i64| number as u64)
    }

    pub(super) fn number_or_null(&mut self) -> Result<Option<u64>, Failure> {
        self.next().map(|number: Option<i64>| number.map(|number| number as u64))
    }

    pub(super) fn time_or_null(&mut self) -> Result<Option<Timestamp>, Failure> {
        self.next().map(|time: Option<i64>| time.map(Timestamp))
    }

    pub(super) fn text(&mut self) -> Result<&'r str, Failure> {
        self.next()
    }

    pub(super) fn text_or_null(&mut self) -> Result<Option<Name>, Failure> {
        self.next().map(|text: Option<&str>| text.map(Into::into))
    }
}

/// A value that can be in a cell.
pub(super) trait Cell<'r>: Sized {
    /// From its bytes, of null from none.
    fn of(bytes: Option<&'r [u8]>) -> Option<Self>;
}

impl Cell<'_> for i64 {
    fn of(bytes: Option<&[u8]>) -> Option<Self> {
        bytes?.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Cell<'_> for i16 {
    fn of(bytes: Option<&[u8]>) -> Option<Self> {
        bytes?.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Cell<'_> for bool {
    fn of(bytes: Option<&[u8]>) -> Option<Self> {
        bytes?.first().map(|&byte| byte != 0)
    }
}

impl Cell<'_> for [u8; 16] {
    fn of(bytes: Option<&[u8]>) -> Option<Self> {
        bytes?.try_into().ok()
    }
}

impl<'r> Cell<'r> for &'r str {
    fn of(bytes: Option<&'r [u8]>) -> Option<Self> {
        std::str::from_utf8(bytes?).ok()
    }
}

impl<'r, T: Cell<'r>> Cell<'r> for Option<T> {
    fn of(bytes: Option<&'r [u8]>) -> Option<Self> {
        bytes.map_or(Some(None), |bytes| T::of(Some(bytes)).map(Some))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
        let mut row = (cells.len() as i16).to_be_bytes().to_vec();
        for cell in cells {
            let length = cell.map_or(-1, |cell| cell.len() as i32);
            row.extend(length.to_be_bytes());
            row.extend(cell.unwrap_or_default());
        }
        row
    }

    #[test]
    fn cells_are_read_in_their_order() {
        let row = row(&[Some(&7_i64.to_be_bytes()), None, Some(&[1]), Some("é".as_bytes()), Some(b"")]);
        let mut cells = Cells::of(&row).unwrap();
        assert_eq!(cells.number().unwrap(), 7);
        assert_eq!(cells.text_or_null().unwrap(), None);
        assert!(cells.next::<bool>().unwrap());
        assert_eq!((cells.text().unwrap(), cells.text().unwrap()), ("é", ""));
        assert!(cells.text().is_err(), "there is no more");
    }

    #[test]
    fn what_no_cell_can_be_is_an_error() {
        assert!(Cells::of(&row(&[Some(b"\xff")])).unwrap().text().is_err(), "no text");
        assert!(Cells::of(&row(&[Some(b"12345")])).unwrap().number().is_err(), "no number");
        let mut cut = row(&[Some(b"whole")]);
        cut.pop();
        assert!(Cells::of(&cut).unwrap().text().is_err(), "a length beyond the end");
        assert!(Cells::of(&row(&[None])).unwrap().number().is_err(), "null");
        assert!(Cells::of(&(-1_i16).to_be_bytes()).is_none(), "the end of a stream");
    }
}
