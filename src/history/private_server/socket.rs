//! The folder of the server's unix socket: in the data folder where the path is short enough, else in one of our own that is.

use super::{ServerError, limits};
use crate::core::Hash;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only part of the socket's name; nothing listens on the network.
pub(super) const PORT: u16 = 5432;
/// What the server appends to the folder: `/.s.PGSQL.5432`.
const SOCKET_NAME_BYTES: usize = "/.s.PGSQL.5432".len();

/// Makes the folder for the socket of the server of `folder`, the same one at every run.
pub(super) fn folder_for(folder: &Path) -> Result<PathBuf, ServerError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let path = choose(folder, runtime.as_deref(), rustix::process::geteuid().as_raw());
    make_private(&path)?;
    Ok(path)
}

fn choose(folder: &Path, runtime: Option<&Path>, user: u32) -> PathBuf {
    let inside = folder.join("socket");
    if fits(&inside) {
        return inside;
    }
    let short = format!("homeostat-{user}-{}", Hash::of(&[folder.as_os_str().as_bytes()]));
    let in_runtime =
        runtime.filter(|runtime| runtime.is_absolute() && runtime.is_dir()).map(|runtime| runtime.join(&short));
    in_runtime.filter(|path| fits(path)).unwrap_or_else(|| Path::new("/tmp").join(short))
}

fn fits(folder: &Path) -> bool {
    // The server's list of folders is text, and so is the client's option.
    folder.to_str().is_some() && folder.as_os_str().len() + SOCKET_NAME_BYTES <= limits::SOCKET_PATH_BYTES
}

/// Under `/tmp` anybody may have made a folder of that name first; then it is not used.
fn make_private(path: &Path) -> Result<(), ServerError> {
    let unusable = |source| ServerError::Folder { path: path.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unusable(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(unusable)?;
    let ours = found.is_dir()
        && found.uid() == rustix::process::geteuid().as_raw()
        && found.permissions().mode().trailing_zeros() >= 6;
    if ours { Ok(()) } else { Err(ServerError::SocketFolder { path: path.to_owned() }) }
}

/// Removes what a killed server left in its folder, when none is left: the number in its lock may belong to somebody else by now, or to a process
/// that nobody has waited for, and then the next server would refuse to start.
pub(super) fn remove_leftover(folder: &Path) -> Result<(), ServerError> {
    for left in [format!(".s.PGSQL.{PORT}.lock"), format!(".s.PGSQL.{PORT}")] {
        let path = folder.join(left);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(ServerError::Folder { path, source }),
            _ => {}
        }
    }
    Ok(())
}

/// A connection URL whose host is a folder.
pub(super) fn url(folder: &Path, user: &str, database: &str) -> String {
    let mut host = String::new();
    for &byte in folder.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            host.push(char::from(byte));
        } else {
            let _ = write!(host, "%{byte:02X}"); // writing to a string cannot fail
        }
    }
    format!("postgres:///{database}?host={host}&port={PORT}&user={user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_keeps_its_socket_inside() {
        assert_eq!(choose(Path::new("/srv/a b/deploy"), None, 7), Path::new("/srv/a b/deploy/socket"));
    }

    #[test]
    fn a_deep_path_gets_a_short_folder_of_its_own() {
        let (deep, deeper) = (Path::new("/").join("d".repeat(100)), Path::new("/").join("d".repeat(101)));
        let path = choose(&deep, None, 7);
        assert!(path.starts_with("/tmp") && fits(&path), "{path:?}");
        assert_eq!(path, choose(&deep, Some(Path::new("/does/not/exist")), 7));
        assert_ne!(path, choose(&deeper, None, 7));
    }

    #[test]
    fn a_url_says_the_folder_in_escaped_form() {
        assert_eq!(url(Path::new("/a b"), "u", "d"), "postgres:///d?host=%2Fa%20b&port=5432&user=u");
    }
}
