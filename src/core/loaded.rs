//! A row on its way from history into the tables of a scheduler.

use super::ResourceRow;
use super::state::Resource;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A row as it was loaded, in the memory in which the scheduler keeps it from then on. Whoever reads very many of them waits for a database most of
/// the time, and a takeover waits for memory that nobody has touched yet: it is touched while the database works.
pub struct LoadedRow(pub(super) Box<Resource>);

impl LoadedRow {
    /// The row alone.
    pub fn into_row(self) -> ResourceRow {
        self.0.row
    }
}

impl From<ResourceRow> for LoadedRow {
    fn from(row: ResourceRow) -> Self {
        Self(Box::new(Resource::unplaced(row)))
    }
}

impl Deref for LoadedRow {
    type Target = ResourceRow;

    fn deref(&self) -> &ResourceRow {
        &self.0.row
    }
}

impl DerefMut for LoadedRow {
    fn deref_mut(&mut self) -> &mut ResourceRow {
        &mut self.0.row
    }
}

impl Clone for LoadedRow {
    fn clone(&self) -> Self {
        Self::from(self.0.row.clone())
    }
}

impl fmt::Debug for LoadedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.row.fmt(f)
    }
}

impl PartialEq<ResourceRow> for LoadedRow {
    fn eq(&self, other: &ResourceRow) -> bool {
        self.0.row == *other
    }
}
