//! A place in the file system: an open folder and a name in it.
//!
//! Everything is done relative to the folder that was opened, and never through a symbolic link in the last part of the path, so that nobody who
//! may write beside it can turn a read or a write elsewhere between two steps. Links in earlier parts of the path are followed: `/var/run` is one
//! on most machines, and who may replace them owns the path anyway.

use crate::adaptors::AdaptorError;
use crate::core::Change;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A name in an open folder.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) name: OsString,
    pub(super) folder: OwnedFd,
}

/// What is at a place.
pub(super) enum Found {
    Nothing,
    File(Stat),
    Folder(Stat),
    /// A symbolic link, and where it leads.
    Link(String),
    /// A device, a socket, a pipe.
    Other(&'static str),
}

impl Found {
    /// For a message that says what is in the way.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::File(_) => "a file".to_owned(),
            Self::Folder(_) => "a folder".to_owned(),
            Self::Link(target) => format!("a symbolic link to {target}"),
            Self::Other(what) => (*what).to_owned(),
        }
    }
}

impl Place {
    /// Opens the folder for a change. `None` where there is none, and nothing is therefore left to delete.
    pub(super) fn open_or_explain(path: &str, change: Change) -> Result<Option<Self>, AdaptorError> {
        let place = Self::open(path)?;
        if place.is_none() && change != Change::Delete {
            let folder = Path::new(path).parent().unwrap_or(Path::new(path)).display();
            return Err(AdaptorError(format!(
                "the folder {folder} does not exist; declare it as a host.Directory and require that"
            )));
        }
        Ok(place)
    }

    /// Opens the folder. `None` where there is none.
    pub(super) fn open(path: &str) -> Result<Option<Self>, AdaptorError> {
        let path = PathBuf::from(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(AdaptorError(format!("{} is not a path inside a folder", path.display())));
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(parent, flags, Mode::empty()) {
            Ok(folder) => Ok(Some(Self { name: name.to_owned(), folder, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(AdaptorError(format!("{} is not a folder", parent.display()))),
            Err(error) => Err(failed("cannot open the folder", parent, error)),
        }
    }

    /// Looks at what is there, without following a link.
    pub(super) fn look(&self) -> Result<Found, AdaptorError> {
        let stat = match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(error) => return Err(failed("cannot look at", &self.path, error)),
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File(stat),
            FileType::Directory => Found::Folder(stat),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&self.folder, &self.name, Vec::new());
                Found::Link(target.map(|target| target.to_string_lossy().into_owned()).unwrap_or_default())
            }
            FileType::Fifo => Found::Other("a pipe"),
            FileType::Socket => Found::Other("a socket"),
            FileType::CharacterDevice | FileType::BlockDevice => Found::Other("a device"),
            FileType::Unknown => Found::Other("something unknown"),
        })
    }

    /// Opens what is there for reading; a link, or a pipe that nobody writes, does not trap it.
    pub(super) fn open_file(&self, more: OFlags) -> Result<File, AdaptorError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
        let file = rustix::fs::openat(&self.folder, &self.name, flags, Mode::empty());
        file.map(File::from).map_err(|error| failed("cannot open", &self.path, error))
    }

    /// Makes the folder's entries durable. Some file systems cannot, and need not.
    pub(super) fn sync_folder(&self) -> Result<(), AdaptorError> {
        match rustix::fs::fsync(&self.folder) {
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(failed("cannot sync the folder of", &self.path, error)),
        }
    }
}

/// An error of the operating system, with what was tried and where.
pub(super) fn failed(doing: &str, path: &Path, error: impl Into<std::io::Error>) -> AdaptorError {
    let error = error.into();
    let advice = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; the executor may not: run it as a user who may",
        std::io::ErrorKind::StorageFull => "; make room and it is tried again",
        std::io::ErrorKind::ReadOnlyFilesystem => "; mount it writable",
        _ => "",
    };
    AdaptorError(format!("{doing} {}: {error}{advice}", path.display()))
}
