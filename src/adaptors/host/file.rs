//! `host.File`: a regular file with its content and rights.
//!
//! How content is written, so that readers see the old or the new, is in [`content`].

use super::content::{self, CONTEXT_LINES};
use super::place::{Found, Place, failed};
use super::rights::{self, Rights};
use super::{Ensure, assessment, attributes, ensure_schema, identity_complaints, nothing, path_schema};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, FactValues, TypeSchema, sensitive_line};
use crate::core::{Change, limits};
use base64::Engine as _;
use rustix::fs::{AtFlags, OFlags};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

pub(super) const KIND: &str = "host.File";

/// The mode of a new file when nothing is said.
const DEFAULT_MODE: u32 = 0o644;

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

pub(super) fn schema() -> TypeSchema {
    let properties = rights::with_rights(json!({
        "path": path_schema("Absolute path."),
        "content": {"type": "string", "maxLength": limits::ATTRIBUTES_BYTES, "description": "The whole content, as text."},
        "contentBase64": {"type": "string", "maxLength": limits::ATTRIBUTES_BYTES, "description": "The whole content, base64."},
        "ensure": ensure_schema("Whether the file is to be there."),
    }));
    TypeSchema {
        kind: KIND,
        description: "A regular file: content, mode, owner and group. Without content, an existing file keeps its own.",
        attributes: json!({"type": "object", "additionalProperties": false, "required": ["path"], "properties": properties, "examples": [{"path": "/etc/motd", "content": "Welcome.\n", "mode": "0644", "owner": "root"}]}),
        identity: &["/path"],
        identity_part: None,
        sensitive: &[],
        facts: &[
            ("size", "Bytes of its content."),
            ("sha256", "SHA-256 of its content, as 64 hexadecimal digits; of at most a mebibyte."),
            rights::MODE_FACT,
            rights::UID_FACT,
            rights::GID_FACT,
        ],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let mut complaints = identity_complaints(attributes);
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
    /// The content is secret.
    hidden: bool,
}

fn wanted(desired: &Desired) -> Result<Wanted, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
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
    let hidden = desired.hides("/content") || desired.hides("/contentBase64");
    Ok(Wanted { path: attributes.path, content, rights, absent: attributes.ensure == Ensure::Absent, hidden })
}

pub(super) fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let wanted = wanted(desired)?;
    // Who wanted a file absent and no longer does wants nothing of it.
    if deleting && wanted.absent {
        return Ok(nothing());
    }
    let Some(place) = Place::open(&wanted.path)? else {
        return Ok(if deleting || wanted.absent { nothing() } else { created(&wanted) });
    };
    let found = place.look()?;
    if deleting || wanted.absent {
        return match found {
            Found::Nothing => Ok(nothing()),
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
                let shown = content_difference(&place, stat.st_size.unsigned_abs(), content)?;
                diff.push_str(&if wanted.hidden && !shown.is_empty() { sensitive_line("content") } else { shown });
            }
            Ok(assessment(if diff.is_empty() { Change::None } else { Change::Update }, diff))
        }
        Found::Folder(_) | Found::Other(_) => Err(not_a_file(&place, &found)),
    }
}

pub(super) fn facts(desired: &Desired, as_desired: bool) -> Result<FactValues, AdaptorError> {
    let wanted = wanted(desired)?;
    let Some(place) = Place::open(&wanted.path)? else { return Ok(FactValues::new()) };
    let Found::File(stat) = place.look()? else { return Ok(FactValues::new()) };
    let size = stat.st_size.unsigned_abs();
    let mut facts = rights::facts(&stat);
    if wanted.hidden {
        // Both say something of a secret.
        return Ok(facts);
    }
    facts.insert("size".to_owned(), size.into());
    // What is as declared need not be read once more.
    let content = match wanted.content.filter(|content| as_desired && content.len() as u64 == size) {
        Some(content) => Some(content),
        None => content::read(&place, size, limits::ATTRIBUTES_BYTES)?,
    };
    if let Some(content) = content {
        facts.insert("sha256".to_owned(), content::sha256(&content).into());
    }
    Ok(facts)
}

pub(super) fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let wanted = wanted(desired)?;
    let path = Path::new(&wanted.path);
    let Some(place) = Place::open_or_explain(&wanted.path, change)? else { return Ok(()) };
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
                Some(content) => {
                    content::read(&place, stat.st_size.unsigned_abs(), content.len())?.as_deref() != Some(content)
                }
                None => false,
            };
            match &wanted.content {
                Some(content) if differs => content::replace(&place, content, wanted.rights.or(&stat)),
                _ => {
                    let file = place.open_file(OFlags::empty())?;
                    wanted.rights.set(&file, path)?;
                    file.sync_all().map_err(|error| failed("cannot sync", path, error))
                }
            }
        }
        (_, Found::Nothing | Found::Link(_)) => {
            content::replace(&place, wanted.content.as_deref().unwrap_or_default(), wanted.rights.for_new(DEFAULT_MODE))
        }
    }
}

fn created(wanted: &Wanted) -> Assessment {
    let mut diff = wanted.rights.describe();
    if let Some(content) = &wanted.content {
        let shown = || content::difference(b"", content, CONTEXT_LINES);
        diff.push_str(&if wanted.hidden { sensitive_line("content") } else { shown() });
    }
    if diff.is_empty() {
        diff.push_str("an empty file\n");
    }
    assessment(Change::Create, diff)
}

fn content_difference(place: &Place, size: u64, content: &[u8]) -> Result<String, AdaptorError> {
    let Some(found) = content::read(place, size, limits::ATTRIBUTES_BYTES)? else {
        return Ok(format!("content: {size} bytes -> {} bytes (too large to compare)\n", content.len()));
    };
    Ok(if found == content { String::new() } else { content::difference(&found, content, CONTEXT_LINES) })
}

fn not_a_file(place: &Place, found: &Found) -> AdaptorError {
    AdaptorError(format!(
        "{} is {}; a host.File never replaces or deletes that: move it away, or choose another path",
        place.path.display(),
        found.words()
    ))
}
