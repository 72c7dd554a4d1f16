//! `host.LineInFile`: one line of a text file that otherwise belongs to others.
//!
//! The file is read, changed in memory and replaced in one step with its owner and mode (see [`content`]); every other byte stays as it is. The
//! diff shows the lines that change and none around them: those are not ours to publish. Deliberately absent: copies of the old file (history
//! has the diff), and files with other line ends than LF.

mod edit;

use self::edit::Edit;
use super::content;
use super::place::{Found, Place};
use super::rights::Rights;
use super::{Ensure, assessment, attributes, ensure_schema, identity_complaints, nothing, path_schema};
use crate::adaptors::limits::EDITED_BYTES;
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, TypeSchema};
use crate::core::Change;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

pub(super) const KIND: &str = "host.LineInFile";

/// The mode of a file that is made.
const DEFAULT_MODE: u32 = 0o644;

/// Two resources may be about one file, and a target may run several attempts at once: reading, changing and replacing is one step.
static EDITING: Mutex<()> = Mutex::new(());

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    path: String,
    line: Option<String>,
    #[serde(rename = "match")]
    pattern: Option<String>,
    insert_before: Option<String>,
    insert_after: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(default)]
    ensure: Ensure,
}

pub(super) fn schema() -> TypeSchema {
    let pattern =
        |description: &str| json!({"type": "string", "minLength": 1, "maxLength": 4096, "description": description});
    TypeSchema {
        kind: KIND,
        description: "One line of a text file that otherwise belongs to others. Deleting it removes the lines that are equal to `line`.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["path"],
            "properties": {
                "path": path_schema("Absolute path of the file; a symbolic link is refused."),
                "line": {"type": "string", "maxLength": 65_536, "description": "The whole line, without its end. With `ensure: absent`: lines equal to it are removed."},
                "match": pattern("A regular expression, found anywhere in a line unless anchored. The last line that it matches becomes `line`; with `ensure: absent` all of them are removed. It must match `line` too."),
                "insertBefore": pattern("A regular expression: a new line goes before the first line that it matches. Default: to the end of the file."),
                "insertAfter": pattern("A regular expression: a new line goes after the last line that it matches. Default: to the end of the file."),
                "create": {"type": "boolean", "description": "Whether a missing file is made, with mode 0644. Default: false, a missing file is an error."},
                "ensure": ensure_schema("Whether the line is to be there."),
            },
            "examples": [
                {"path": "/etc/ssh/sshd_config", "match": "^#?PermitRootLogin ", "line": "PermitRootLogin no"},
                {"path": "/etc/hosts", "line": "192.0.2.10 build", "insertAfter": "^127\\.0\\.0\\.1 "},
            ],
        }),
        // A line that is found by a pattern may change and stays the same resource.
        identity: &["/path", "/match", "/line"],
        identity_part: Some(identity_part),
        sensitive: &[],
        facts: &[],
        check: Some(check),
    }
}

fn identity_part(pointer: &str, value: &Value, attributes: &Value) -> Value {
    if pointer == "/line" && attributes.get("match").is_some() { Value::Null } else { value.clone() }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let absent = text("ensure") == Some("absent");
    let mut complaints = identity_complaints(attributes);
    match text("line") {
        Some(line) if line.contains(['\n', '\r', '\0']) => {
            complaints.push(Complaint::new("/line", "must be one line, without its end"));
        }
        None if !absent => complaints.push(Complaint::new("", "`line` is required, unless lines are to be absent")),
        None if text("match").is_none() => complaints.push(Complaint::new("", "one of line and match is required")),
        _ => {}
    }
    for name in ["match", "insertBefore", "insertAfter"] {
        match text(name).map(edit::pattern) {
            Some(Err(error)) => {
                complaints.push(Complaint::new(format!("/{name}"), format!("is no regular expression: {error}")));
            }
            Some(Ok(pattern))
                if name == "match"
                    && !absent
                    && text("line").is_some_and(|line| !pattern.is_match(line.as_bytes())) =>
            {
                let why = "must match `line` too: else each run would change another line";
                complaints.push(Complaint::new("/match", why));
            }
            _ => {}
        }
    }
    if text("insertBefore").is_some() && text("insertAfter").is_some() {
        complaints.push(Complaint::new("/insertAfter", "only one of insertBefore and insertAfter can be given"));
    }
    complaints
}

/// What is there, and what it is to become.
struct Edited {
    found: Found,
    old: Vec<u8>,
    /// `None` where nothing differs.
    new: Option<Vec<u8>>,
}

fn edited(attributes: &Attributes, place: Option<&Place>, deleting: bool) -> Result<Edited, AdaptorError> {
    let path = &attributes.path;
    let found = place.map_or(Ok(Found::Nothing), Place::look)?;
    let old = match (&found, place) {
        (Found::File(stat), Some(place)) => content::read(place, stat.st_size.unsigned_abs(), EDITED_BYTES)?
            .ok_or_else(|| {
                AdaptorError(format!("{path} is larger than {EDITED_BYTES} bytes; {KIND} does not edit that"))
            })?,
        (Found::Link(target), _) => {
            return Err(AdaptorError(format!(
                "{path} is a symbolic link to {target}; give the path of the file itself"
            )));
        }
        (Found::Nothing, _) => Vec::new(),
        (found, _) => return Err(AdaptorError(format!("{path} is {}; {KIND} edits files only", found.words()))),
    };
    let new = if deleting { removal(attributes) } else { edit(attributes)? }.of(&old);
    Ok(Edited { found, old, new })
}

/// What is to be done to the file.
fn edit(attributes: &Attributes) -> Result<Edit<'_>, AdaptorError> {
    let pattern = |text: &Option<String>| {
        text.as_deref().map(edit::pattern).transpose().map_err(|error| AdaptorError(format!("{KIND}: {error}")))
    };
    Ok(Edit {
        line: attributes.line.as_deref().map(str::as_bytes),
        pattern: pattern(&attributes.pattern)?,
        before: pattern(&attributes.insert_before)?,
        after: pattern(&attributes.insert_after)?,
        present: attributes.ensure == Ensure::Present,
    })
}

/// What is to be done when nobody wants the line any more: exactly it goes. Who wanted it absent wants nothing now.
fn removal(attributes: &Attributes) -> Edit<'_> {
    let line = attributes.line.as_deref().filter(|_| attributes.ensure == Ensure::Present);
    Edit { line: line.map(str::as_bytes), pattern: None, before: None, after: None, present: false }
}

pub(super) fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let place = Place::open(&attributes.path)?;
    let Edited { found, old, new } = edited(&attributes, place.as_ref(), deleting)?;
    let Some(new) = new else { return Ok(nothing()) };
    let change = match found {
        Found::Nothing => Change::Create,
        _ if deleting => Change::Delete,
        _ => Change::Update,
    };
    Ok(assessment(change, content::difference(&old, &new, 0)))
}

pub(super) fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let deleting = change == Change::Delete;
    let Some(place) = Place::open_or_explain(&attributes.path, change)? else { return Ok(()) };
    let _one_by_one = EDITING.lock().unwrap_or_else(PoisonError::into_inner);
    let Edited { found, new, .. } = edited(&attributes, Some(&place), deleting)?;
    match (new, found) {
        (None, _) => Ok(()),
        (Some(new), Found::File(stat)) => content::replace(&place, &new, Rights::default().or(&stat)),
        (Some(new), _) if attributes.create => content::replace(&place, &new, Rights::default().for_new(DEFAULT_MODE)),
        (Some(_), _) => Err(AdaptorError(format!(
            "{} does not exist; say `create: true`, or declare it as a host.File and require that",
            attributes.path
        ))),
    }
}
