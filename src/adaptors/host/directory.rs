//! `host.Directory`: a folder and its rights. It is deleted only when it is empty; what is in it belongs to others.

use super::place::{Found, Place, failed};
use super::rights::{self, Rights};
use super::{assessment, attributes, nothing, path_complaint, path_schema};
use crate::adaptors::limits::NAMED_ENTRIES;
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, FactValues, TypeSchema};
use crate::core::Change;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

pub(super) const KIND: &str = "host.Directory";

/// The mode of a new folder when nothing is said.
const DEFAULT_MODE: u32 = 0o755;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    path: String,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
}

pub(super) fn schema() -> TypeSchema {
    let properties = rights::with_rights(json!({"path": path_schema("Absolute path. Its parent must exist.")}));
    TypeSchema {
        kind: KIND,
        description: "A folder: mode, owner and group. Deleted only when it is empty.",
        attributes: json!({"type": "object", "additionalProperties": false, "required": ["path"], "properties": properties, "examples": [{"path": "/srv/www", "mode": "0755", "owner": "root"}]}),
        identity: &["/path"],
        identity_part: None,
        sensitive: &[],
        facts: rights::FACTS,
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let path = attributes.get("path").and_then(Value::as_str).unwrap_or_default();
    path_complaint("/path", path).into_iter().chain(rights::mode_complaint(attributes)).collect()
}

fn wanted(desired: &Desired) -> Result<(String, Rights), AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let rights = Rights::parse(attributes.mode.as_deref(), attributes.owner.as_deref(), attributes.group.as_deref())?;
    Ok((attributes.path, rights))
}

pub(super) fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let (path, rights) = wanted(desired)?;
    let found = match Place::open(&path)? {
        Some(place) => place.look()?,
        None => Found::Nothing,
    };
    match (found, deleting) {
        (Found::Nothing, true) => Ok(nothing()),
        (Found::Nothing, false) => Ok(assessment(Change::Create, format!("a folder\n{}", rights.describe()))),
        (Found::Folder(_), true) => Ok(assessment(Change::Delete, "delete the folder\n".to_owned())),
        (Found::Folder(stat), false) => {
            let diff = rights.differences(&stat);
            Ok(assessment(if diff.is_empty() { Change::None } else { Change::Update }, diff))
        }
        (found, _) => Err(not_a_folder(&path, &found)),
    }
}

pub(super) fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let (text, rights) = wanted(desired)?;
    let path = Path::new(&text);
    let Some(place) = Place::open_or_explain(&text, change)? else { return Ok(()) };
    match (change, place.look()?) {
        (Change::None, _) | (Change::Delete, Found::Nothing) => Ok(()),
        (Change::Delete, Found::Folder(_)) => delete(&place),
        (_, Found::Nothing) => {
            rustix::fs::mkdirat(&place.folder, &place.name, Mode::RWXU)
                .map_err(|error| failed("cannot make the folder", path, error))?;
            set(&place, rights.for_new(DEFAULT_MODE))?;
            place.sync_folder()
        }
        (_, Found::Folder(_)) => set(&place, rights),
        (_, found) => Err(not_a_folder(&text, &found)),
    }
}

pub(super) fn facts(desired: &Desired) -> Result<FactValues, AdaptorError> {
    let (path, _) = wanted(desired)?;
    Ok(match Place::open(&path)?.map(|place| place.look()).transpose()? {
        Some(Found::Folder(stat)) => rights::facts(&stat),
        _ => FactValues::new(),
    })
}

fn set(place: &Place, rights: Rights) -> Result<(), AdaptorError> {
    let folder = place.open_file(OFlags::DIRECTORY)?;
    rights.set(&folder, &place.path)
}

fn delete(place: &Place) -> Result<(), AdaptorError> {
    match rustix::fs::unlinkat(&place.folder, &place.name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => place.sync_folder(),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Err(AdaptorError(format!(
            "the folder {} is not empty ({}); what is in it is not ours to delete: empty it, or set deletionPolicy: Orphan to leave it",
            place.path.display(),
            some_entries(&place.path)
        ))),
        Err(error) => Err(failed("cannot delete the folder", &place.path, error)),
    }
}

fn some_entries(path: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .take(NAMED_ENTRIES + 1)
        .collect();
    if names.len() > NAMED_ENTRIES {
        names.truncate(NAMED_ENTRIES);
        names.push("…".to_owned());
    }
    names.join(", ")
}

fn not_a_folder(path: &str, found: &Found) -> AdaptorError {
    AdaptorError(format!(
        "{path} is {}; a host.Directory never replaces or deletes that: move it away, or choose another path",
        found.words()
    ))
}
