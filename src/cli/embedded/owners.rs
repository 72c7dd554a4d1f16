//! The ids of the processes that have owned environments from a data folder: whoever holds the folder's lock knows that they have all ended.
//!
//! An id is written, and synced, before it is used as an owner, and taken out when its process has given everything up.

use super::EmbeddedError;
use crate::cli::limits::OWNERS_KEPT;
use crate::core::Name;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file in the folder.
const FILE: &str = "owner";

/// The file of owners of a data folder, with our own id in it.
pub(crate) struct Owners {
    path: PathBuf,
    own: Name,
    ended: Vec<Name>,
}

impl Owners {
    /// Adds a new id of our own. The caller holds the folder's lock.
    pub(crate) fn enter(folder: &Path) -> Result<Self, EmbeddedError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(EmbeddedError::File { path, source });
            }
            text => text.unwrap_or_default(),
        };
        let known: Vec<Name> = text.lines().filter(|line| !line.is_empty()).map(Name::from).collect();
        let ended: Vec<Name> = known.iter().rev().take(OWNERS_KEPT).rev().cloned().collect();
        let own: Name = format!("{:032x}", rand::random::<u128>()).into();
        let owners = Self { path, own, ended };
        owners.write(owners.ended.iter().chain([&owners.own]))?;
        Ok(owners)
    }

    /// When somebody last began or ended to own environments of the folder.
    pub(crate) fn last_change(folder: &Path) -> Option<SystemTime> {
        std::fs::metadata(folder.join(FILE)).and_then(|file| file.modified()).ok()
    }

    /// Our own id.
    pub(crate) fn own(&self) -> Name {
        self.own.clone()
    }

    /// Ids of processes that have provably ended.
    pub(crate) fn ended(&self) -> &[Name] {
        &self.ended
    }

    /// Takes our own id out: everything it owned has been given up.
    pub(crate) fn leave(self) -> Result<(), EmbeddedError> {
        self.write(self.ended.iter())
    }

    fn write<'a>(&self, ids: impl Iterator<Item = &'a Name>) -> Result<(), EmbeddedError> {
        let lines = ids.map(|id| format!("{id}\n")).collect::<Vec<_>>().concat();
        let beside = self.path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|source| EmbeddedError::File { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_owner_that_did_not_leave_is_known_to_have_ended() {
        let folder = tempfile::tempdir().unwrap();
        let crashed = Owners::enter(folder.path()).unwrap().own();
        let next = Owners::enter(folder.path()).unwrap();
        assert_eq!(next.ended(), std::slice::from_ref(&crashed));
        next.leave().unwrap();
        assert_eq!(Owners::enter(folder.path()).unwrap().ended(), [crashed]);
    }
}
