//! `host.File`: a regular file with its content and rights.
//!
//! New content is written beside the file, synced, and renamed over it: readers see the old content or the new, a crash leaves one of them. What
//! a crash leaves beside it has a fixed name per file and is removed by the next write. Hard links and extended attributes of the old file are
//! not carried over.

use super::place::{Found, Place, failed};
use super::rights::{self, Rights};
use super::{assessment, attributes, path_complaint};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, TypeSchema};
use crate::core::{Change, Hash, limits};
use base64::Engine as _;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

pub(super) const KIND: &str = "host.File";

/// The mode of a new file when nothing is said.
const DEFAULT_MODE: u32 = 0o644;
/// How long the search for a short diff may take; then a longer one is shown.
const DIFF_TIME: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    path: String,
    content: Option<String>,
    content_base64: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    #[serde(default)]
    ensure: Ensure,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ensure {
    #[default]
    Present,
    Absent,
}

pub(super) fn schema() -> TypeSchema {
    let properties = rights::with_rights(json!({
        "path": {"type": "string", "minLength": 2, "maxLength": 4095, "description": "Absolute path."},
        "content": {"type": "string", "maxLength": limits::ATTRIBUTES_BYTES, "description": "The whole content, as text."},
        "contentBase64": {"type": "string", "maxLength": limits::ATTRIBUTES_BYTES, "description": "The whole content, base64."},
        "ensure": {"type": "string", "enum": ["present", "absent"], "description": "Whether the file is to be there. Default: present."},
    }));
    TypeSchema {
        kind: KIND,
        description: "A regular file: content, mode, owner and group. Without content, an existing file keeps its own.",
        attributes: json!({"type": "object", "additionalProperties": false, "required": ["path"], "properties": properties}),
        identity: &["/path"],
        identity_part: None,
        sensitive: &[],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let mut complaints: Vec<Complaint> =
        text("path").and_then(|path| path_complaint("/path", path)).into_iter().collect();
    complaints.extend(rights::mode_complaint(attributes));
    if text("content").is_some() && text("contentBase64").is_some() {
        complaints.push(Complaint::new("/contentBase64", "only one of content and contentBase64 can be given"));
    }
    if text("contentBase64").is_some_and(|content| decoded(content).is_none()) {
        complaints
            .push(Complaint::new("/contentBase64", "is not base64 (RFC 4648, with padding, line breaks allowed)"));
    }
    complaints
}

fn decoded(content: &str) -> Option<Vec<u8>> {
    let content: String = content.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(content).ok()
}

/// What is wanted, made ready.
struct Wanted {
    path: String,
    /// `None` leaves the content that is there.
    content: Option<Vec<u8>>,
    rights: Rights,
    absent: bool,
}

fn wanted(desired: &Desired) -> Result<Wanted, AdaptorError> {
    let attributes: Attributes = attributes(desired)?;
    if let Some(complaint) = path_complaint("/path", &attributes.path) {
        return Err(AdaptorError(format!("path {:?} {}", attributes.path, complaint.message)));
    }
    let content = match (attributes.content, attributes.content_base64) {
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(base64)) => {
            Some(decoded(&base64).ok_or_else(|| AdaptorError("contentBase64 is not base64".to_owned()))?)
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(AdaptorError("only one of content and contentBase64 can be given".to_owned()));
        }
    };
    let rights = Rights::parse(attributes.mode.as_deref(), attributes.owner.as_deref(), attributes.group.as_deref())?;
    Ok(Wanted { path: attributes.path, content, rights, absent: attributes.ensure == Ensure::Absent })
}

pub(super) fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let wanted = wanted(desired)?;
    // Who wanted a file absent and no longer does wants nothing of it.
    if deleting && wanted.absent {
        return Ok(assessment(Change::None, String::new()));
    }
    let Some(place) = Place::open(&wanted.path)? else {
        return Ok(if deleting || wanted.absent { assessment(Change::None, String::new()) } else { created(&wanted) });
    };
    let found = place.look()?;
    if deleting || wanted.absent {
        return match found {
            Found::Nothing => Ok(assessment(Change::None, String::new())),
            Found::File(stat) => Ok(assessment(Change::Delete, format!("delete the file ({} bytes)\n", stat.st_size))),
            Found::Link(target) => Ok(assessment(Change::Delete, format!("delete the symbolic link to {target}\n"))),
            Found::Folder(_) | Found::Other(_) => Err(not_a_file(&place, &found)),
        };
    }
    match found {
        Found::Nothing => Ok(created(&wanted)),
        Found::Link(target) => {
            let created = created(&wanted);
            Ok(assessment(Change::Replace, format!("symbolic link to {target} -> file\n{}", created.difference.diff)))
        }
        Found::File(stat) => {
            let mut diff = wanted.rights.differences(&stat);
            if let Some(content) = &wanted.content {
                diff.push_str(&content_difference(&place, stat.st_size.unsigned_abs(), content)?);
            }
            Ok(assessment(if diff.is_empty() { Change::None } else { Change::Update }, diff))
        }
        Found::Folder(_) | Found::Other(_) => Err(not_a_file(&place, &found)),
    }
}

pub(super) fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let wanted = wanted(desired)?;
    let path = Path::new(&wanted.path);
    let Some(place) = Place::open(&wanted.path)? else {
        if change == Change::Delete {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(path).display();
        return Err(AdaptorError(format!(
            "the folder {folder} does not exist; declare it as a host.Directory and require that"
        )));
    };
    let found = place.look()?;
    match (change, found) {
        (Change::None, _) | (Change::Delete, Found::Nothing) => Ok(()),
        (_, found @ (Found::Folder(_) | Found::Other(_))) => Err(not_a_file(&place, &found)),
        (Change::Delete, _) => {
            rustix::fs::unlinkat(&place.folder, &place.name, AtFlags::empty())
                .map_err(|error| failed("cannot delete", path, error))?;
            place.sync_folder()
        }
        (_, Found::File(stat)) => {
            let differs = match &wanted.content {
                Some(content) => read(&place, stat.st_size.unsigned_abs(), content.len())?.as_deref() != Some(content),
                None => false,
            };
            match &wanted.content {
                Some(content) if differs => replace(&place, content, wanted.rights.or(&stat)),
                _ => {
                    let file = place.open_file(OFlags::empty())?;
                    wanted.rights.set(&file, path)?;
                    file.sync_all().map_err(|error| failed("cannot sync", path, error))
                }
            }
        }
        (_, Found::Nothing | Found::Link(_)) => {
            replace(&place, wanted.content.as_deref().unwrap_or_default(), wanted.rights.for_new(DEFAULT_MODE))
        }
    }
}

/// Writes beside the file, and puts that in its place.
fn replace(place: &Place, content: &[u8], rights: Rights) -> Result<(), AdaptorError> {
    let temporary = format!(".homeostat-{}", Hash::of(&[place.name.as_encoded_bytes()]));
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
    match rustix::fs::unlinkat(&place.folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed("cannot remove what an interrupted write left beside", &place.path, error)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Nobody else reads it before its owner and mode are right.
    let file = rustix::fs::openat(&place.folder, name, flags, Mode::RUSR | Mode::WUSR);
    let mut file = file.map(File::from).map_err(|error| failed("cannot write beside", &place.path, error))?;
    file.write_all(content).map_err(|error| failed("cannot write the new content of", &place.path, error))?;
    rights.set(&file, &place.path)?;
    file.sync_all().map_err(|error| failed("cannot sync", &place.path, error))
}

fn created(wanted: &Wanted) -> Assessment {
    let mut diff = wanted.rights.describe();
    if let Some(content) = &wanted.content {
        diff.push_str(&content_diff(b"", content));
    }
    if diff.is_empty() {
        diff.push_str("an empty file\n");
    }
    assessment(Change::Create, diff)
}

fn content_difference(place: &Place, size: u64, content: &[u8]) -> Result<String, AdaptorError> {
    let Some(found) = read(place, size, limits::ATTRIBUTES_BYTES)? else {
        return Ok(format!("content: {size} bytes -> {} bytes (too large to compare)\n", content.len()));
    };
    Ok(if found == content { String::new() } else { content_diff(&found, content) })
}

/// The content; `None` where it is larger than `most`.
fn read(place: &Place, size: u64, most: usize) -> Result<Option<Vec<u8>>, AdaptorError> {
    if size > most as u64 {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(size as usize);
    let file = place.open_file(OFlags::empty())?;
    // One byte more than allowed shows that it has grown meanwhile.
    file.take(most as u64 + 1).read_to_end(&mut content).map_err(|error| failed("cannot read", &place.path, error))?;
    Ok(if content.len() > most { None } else { Some(content) })
}

/// A unified diff of text; of anything else, sizes.
fn content_diff(old: &[u8], new: &[u8]) -> String {
    let (Some(old_text), Some(new_text)) = (text(old), text(new)) else {
        return format!("content: {} -> {}\n", described(old), described(new));
    };
    let diff = similar::TextDiff::configure().timeout(DIFF_TIME).diff_lines(old_text, new_text);
    let mut lines = "content:\n".to_owned();
    let _ = write!(lines, "{}", diff.unified_diff().context_radius(3));
    lines
}

fn described(content: &[u8]) -> String {
    let kind = if text(content).is_some() { "text" } else { "binary" };
    format!("{kind}, {} bytes", content.len())
}

fn text(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok().filter(|text| !text.contains('\0'))
}

fn not_a_file(place: &Place, found: &Found) -> AdaptorError {
    let what = match found {
        Found::Folder(_) => "a folder",
        Found::Other(what) => what,
        _ => "something else",
    };
    AdaptorError(format!(
        "{} is {what}; a host.File never replaces or deletes that: move it away, or choose another path",
        place.path.display()
    ))
}
