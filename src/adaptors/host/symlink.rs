//! `host.Symlink`: a symbolic link and where it leads.
//!
//! A link that leads elsewhere is replaced in one step: there is always one or the other. What is not a link is never replaced or deleted; whether
//! anything is where it leads is not looked at.

use super::content::{remove_temporary, temporary};
use super::place::{Found, Place, failed};
use super::{Ensure, assessment, attributes, ensure_schema, identity_complaints, nothing, path_schema};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, TypeSchema};
use crate::core::Change;
use rustix::fs::AtFlags;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

pub(super) const KIND: &str = "host.Symlink";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    path: String,
    target: Option<String>,
    #[serde(default)]
    ensure: Ensure,
}

pub(super) fn schema() -> TypeSchema {
    TypeSchema {
        kind: KIND,
        description: "A symbolic link. Never replaces or deletes what is not one.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["path"],
            "properties": {
                "path": path_schema("Absolute path of the link. Its folder must exist."),
                "target": {"type": "string", "minLength": 1, "maxLength": 4095, "description": "Where it leads: an absolute path, or one relative to the link's folder. It need not exist."},
                "ensure": ensure_schema("Whether the link is to be there."),
            },
            "examples": [{"path": "/etc/localtime", "target": "/usr/share/zoneinfo/Europe/Zurich"}],
        }),
        identity: &["/path"],
        identity_part: None,
        sensitive: &[],
        facts: &[],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let mut complaints = identity_complaints(attributes);
    match text("target") {
        Some(target) if target.contains('\0') => complaints.push(Complaint::new("/target", "must not contain NUL")),
        None if text("ensure") != Some("absent") => {
            complaints.push(Complaint::new("", "`target` is required, unless the link is to be absent"));
        }
        _ => {}
    }
    complaints
}

fn not_a_link(path: &str, found: &Found) -> AdaptorError {
    AdaptorError(format!(
        "{path} is {}; a {KIND} never replaces or deletes that: move it away, or choose another path",
        found.words()
    ))
}

pub(super) fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let Attributes { path, target, ensure } = attributes(desired, check)?;
    // Who wanted a link absent and no longer does wants nothing of it.
    if deleting && ensure == Ensure::Absent {
        return Ok(nothing());
    }
    let found = match Place::open(&path)? {
        Some(place) => place.look()?,
        None => Found::Nothing,
    };
    let wanted = target.filter(|_| !deleting && ensure == Ensure::Present);
    Ok(match (found, wanted) {
        (Found::Nothing, None) => nothing(),
        (Found::Nothing, Some(wanted)) => assessment(Change::Create, format!("target: {wanted}\n")),
        (Found::Link(is), None) => assessment(Change::Delete, format!("delete the symbolic link to {is}\n")),
        (Found::Link(is), Some(wanted)) if is == wanted => nothing(),
        (Found::Link(is), Some(wanted)) => assessment(Change::Update, format!("target: {is} -> {wanted}\n")),
        (found, _) => return Err(not_a_link(&path, &found)),
    })
}

pub(super) fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let Attributes { path: text, target, .. } = attributes(desired, check)?;
    let path = Path::new(&text);
    let Some(place) = Place::open_or_explain(&text, change)? else { return Ok(()) };
    match (change, place.look()?) {
        (Change::None, _) | (Change::Delete, Found::Nothing) => Ok(()),
        (_, found @ (Found::File(_) | Found::Folder(_) | Found::Other(_))) => Err(not_a_link(&text, &found)),
        (Change::Delete, Found::Link(_)) => {
            rustix::fs::unlinkat(&place.folder, &place.name, AtFlags::empty())
                .map_err(|error| failed("cannot delete", path, error))?;
            place.sync_folder()
        }
        (_, Found::Nothing | Found::Link(_)) => {
            let beside = temporary(&place);
            remove_temporary(&place, &beside)?;
            rustix::fs::symlinkat(target.unwrap_or_default(), &place.folder, &beside)
                .map_err(|error| failed("cannot make the link beside", path, error))?;
            rustix::fs::renameat(&place.folder, &beside, &place.folder, &place.name)
                .map_err(|error| failed("cannot put the new link in place of", path, error))?;
            place.sync_folder()
        }
    }
}
