//! The content of a file: read within bounds, compared for people, replaced whole.
//!
//! New content is written beside the file, synced, and renamed over it: readers see the old content or the new, a crash leaves one of them. What
//! a crash leaves beside it has a fixed name per file and is removed by the next write. Hard links and extended attributes of the old file are
//! not carried over.

use super::place::{Place, failed};
use super::rights::Rights;
use crate::adaptors::AdaptorError;
use crate::adaptors::limits::DIFF_TIME;
use crate::core::Hash;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};

/// Lines around a difference that are shown where the whole file is ours.
pub(super) const CONTEXT_LINES: usize = 3;

/// The name beside a place under which its next state is made ready.
pub(super) fn temporary(place: &Place) -> String {
    format!(".homeostat-{}", Hash::of(&[place.name.as_encoded_bytes()]))
}

/// Removes what an interrupted write left.
pub(super) fn remove_temporary(place: &Place, name: &str) -> Result<(), AdaptorError> {
    match rustix::fs::unlinkat(&place.folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed("cannot remove what an interrupted write left beside", &place.path, error)),
    }
}

/// Writes beside the file, and puts that in its place.
pub(super) fn replace(place: &Place, content: &[u8], rights: Rights) -> Result<(), AdaptorError> {
    let temporary = temporary(place);
    let written = write_new(place, &temporary, content, rights).and_then(|()| {
        rustix::fs::renameat(&place.folder, &temporary, &place.folder, &place.name)
            .map_err(|error| failed("cannot put the new content in place of", &place.path, error))
    });
    if written.is_err() {
        // What failed is the error to report, not what is left of it.
        let _ = rustix::fs::unlinkat(&place.folder, &temporary, AtFlags::empty());
    }
    written.and_then(|()| place.sync_folder())
}

fn write_new(place: &Place, name: &str, content: &[u8], rights: Rights) -> Result<(), AdaptorError> {
    remove_temporary(place, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Nobody else reads it before its owner and mode are right.
    let file = rustix::fs::openat(&place.folder, name, flags, Mode::RUSR | Mode::WUSR);
    let mut file = file.map(File::from).map_err(|error| failed("cannot write beside", &place.path, error))?;
    file.write_all(content).map_err(|error| failed("cannot write the new content of", &place.path, error))?;
    rights.set(&file, &place.path)?;
    file.sync_all().map_err(|error| failed("cannot sync", &place.path, error))
}

/// The content; `None` where it is larger than `most`.
pub(super) fn read(place: &Place, size: u64, most: usize) -> Result<Option<Vec<u8>>, AdaptorError> {
    if size > most as u64 {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(size as usize);
    let file = place.open_file(OFlags::empty())?;
    // One byte more than allowed shows that it has grown meanwhile.
    file.take(most as u64 + 1).read_to_end(&mut content).map_err(|error| failed("cannot read", &place.path, error))?;
    Ok(if content.len() > most { None } else { Some(content) })
}

/// Its SHA-256, as hexadecimal digits.
pub(super) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A unified diff of text; of anything else, sizes.
pub(super) fn difference(old: &[u8], new: &[u8], context_lines: usize) -> String {
    let (Some(old_text), Some(new_text)) = (text(old), text(new)) else {
        return format!("content: {} -> {}\n", described(old), described(new));
    };
    let diff = similar::TextDiff::configure().timeout(DIFF_TIME).diff_lines(old_text, new_text);
    let mut lines = "content:\n".to_owned();
    let _ = write!(lines, "{}", diff.unified_diff().context_radius(context_lines));
    lines
}

fn described(content: &[u8]) -> String {
    let kind = if text(content).is_some() { "text" } else { "binary" };
    format!("{kind}, {} bytes", content.len())
}

fn text(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok().filter(|text| !text.contains('\0'))
}
