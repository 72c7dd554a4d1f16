//! `host.*`: what is on the machine that the executor runs on.
//!
//! The connection is `{"type": "local"}`. `"delayMs"` in it (at most 10,000) delays every change by so much: an aid for tests that interrupt
//! deploys, of no use otherwise. What the machine has its own tools for (packages, services, accounts) is read and changed by these tools, run with
//! argument lists. Deliberately absent: other machines (SSH), and any shell.

mod accounts;
mod command;
mod content;
mod directory;
mod file;
mod group;
mod line;
mod package;
mod place;
mod process;
mod rights;
mod service;
mod supervisor;
mod symlink;
mod tool;
mod user;

pub use supervisor::{run_if_asked, supervise_programs};

use super::schema::Complaint;
use super::{Adaptor, AdaptorError, Assessment, Desired, Difference, FactValues, TypeSchema, blocking};
use crate::adaptors::limits::MOST_DELAY_MS;
use crate::core::Change;
use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// The adaptor of the types `host.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

/// Whether something is to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ensure {
    #[default]
    Present,
    Absent,
}

#[async_trait]
impl Adaptor for Host {
    fn types(&self) -> Vec<TypeSchema> {
        vec![
            command::schema(),
            directory::schema(),
            file::schema(),
            group::schema(),
            line::schema(),
            package::schema(),
            service::schema(),
            symlink::schema(),
            user::schema(),
        ]
    }

    fn can_hide(&self, kind: &str) -> &'static [&'static str] {
        match kind {
            file::KIND => &["/content", "/contentBase64"],
            // Of a program its arguments are shown, and nothing else.
            command::KIND => &["/env"],
            _ => &[],
        }
    }

    async fn difference(&self, desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
        delay(desired)?;
        let of_files = match desired.kind.as_str() {
            command::KIND => return command::difference(desired, deleting).await,
            group::KIND => return group::difference(desired, deleting).await,
            package::KIND => return package::difference(desired, deleting).await,
            service::KIND => return service::difference(desired, deleting).await,
            user::KIND => return user::difference(desired, deleting).await,
            directory::KIND => directory::difference,
            file::KIND => file::difference,
            line::KIND => line::difference,
            symlink::KIND => symlink::difference,
            other => return Err(unknown(other)),
        };
        let desired = desired.clone();
        blocking(move || of_files(&desired, deleting)).await
    }

    async fn apply(&self, desired: &Desired, assessment: &Assessment) -> Result<Option<String>, AdaptorError> {
        let delay = delay(desired)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let change = assessment.difference.change;
        let of_files = match desired.kind.as_str() {
            command::KIND => return command::apply(desired).await.map(|()| None),
            group::KIND => return group::apply(desired, change).await.map(|()| None),
            package::KIND => return package::apply(desired, change).await.map(|()| None),
            service::KIND => return service::apply(desired, change).await.map(|()| None),
            user::KIND => return user::apply(desired, change).await.map(|()| None),
            directory::KIND => directory::apply,
            file::KIND => file::apply,
            line::KIND => line::apply,
            symlink::KIND => symlink::apply,
            other => return Err(unknown(other)),
        };
        let desired = desired.clone();
        blocking(move || of_files(&desired, change)).await.map(|()| None)
    }

    async fn facts(
        &self,
        desired: &Desired,
        assessment: &Assessment,
        as_desired: bool,
    ) -> Result<FactValues, AdaptorError> {
        // What only a program can tell is not asked again where nothing was changed.
        if let Some(known) = assessment.found.downcast_ref::<FactValues>() {
            return Ok(known.clone());
        }
        let of_files: fn(&Desired, bool) -> Result<FactValues, AdaptorError> = match desired.kind.as_str() {
            group::KIND => return group::facts(desired).await,
            package::KIND => return package::facts(desired).await,
            service::KIND => return service::facts(desired).await,
            user::KIND => return user::facts(desired).await,
            directory::KIND => |desired, _| directory::facts(desired),
            file::KIND => file::facts,
            _ => return Ok(FactValues::new()),
        };
        let desired = desired.clone();
        blocking(move || of_files(&desired, as_desired)).await
    }
}

fn unknown(kind: &str) -> AdaptorError {
    AdaptorError(format!("the host adaptor has no type {kind}"))
}

/// Checks the connection and says how long changes are delayed.
fn delay(desired: &Desired) -> Result<Duration, AdaptorError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Local {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        delay_ms: u64,
    }
    let target = &desired.target;
    match desired.connection.get("type").and_then(Value::as_str) {
        Some("local") => {}
        Some(other) => {
            return Err(AdaptorError(format!(
                "target {target} has a connection of type {other:?}; {} knows only \"local\", the machine its executor runs on",
                desired.kind
            )));
        }
        None => {
            return Err(AdaptorError(format!(
                "the connection of target {target} has no type; {} needs \"local\"",
                desired.kind
            )));
        }
    }
    let local = Local::deserialize(&desired.connection)
        .map_err(|error| AdaptorError(format!("the connection of target {target}: {error}")))?;
    debug_assert_eq!(local.kind, "local");
    if local.delay_ms > MOST_DELAY_MS {
        return Err(AdaptorError(format!(
            "the connection of target {target} asks for a delay of more than {MOST_DELAY_MS} ms"
        )));
    }
    Ok(Duration::from_millis(local.delay_ms))
}

/// The attributes as a type's own struct. They were checked when they were accepted; an older acceptance may know less, and what is passed to
/// the machine is checked where that happens.
fn attributes<T: DeserializeOwned>(desired: &Desired, check: fn(&Value) -> Vec<Complaint>) -> Result<T, AdaptorError> {
    let failed = |why: &str| AdaptorError(format!("the attributes of {} {}: {why}", desired.kind, desired.name));
    if let Some(complaint) = check(&desired.attributes).first() {
        return Err(failed(&format!("{} {}", complaint.pointer, complaint.message)));
    }
    T::deserialize(&desired.attributes).map_err(|error| failed(&error.to_string()))
}

/// An assessment; adaptors of this room read again when they apply, by the same handles that they write through.
fn assessment(change: Change, diff: String) -> Assessment {
    Assessment { difference: Difference { change, diff }, remote_identity: None, found: Box::new(()) }
}

/// The assessment where nothing differs.
fn nothing() -> Assessment {
    assessment(Change::None, String::new())
}

/// The assessment where nothing differs, and the facts are known by now.
fn known(facts: FactValues) -> Assessment {
    Assessment { found: Box::new(facts), ..nothing() }
}

/// The schema of an `ensure`.
fn ensure_schema(description: &str) -> Value {
    json!({"type": "string", "enum": ["present", "absent"], "description": format!("{description} Default: present.")})
}

/// The schema of an absolute path.
fn path_schema(description: &str) -> Value {
    json!({"type": "string", "minLength": 2, "maxLength": 4095, "description": description})
}

/// A complaint where a path is not absolute, or is not written in its one way.
/// What is wrong with `path`, where it is given: the identity of most types.
fn identity_complaints(attributes: &Value) -> Vec<Complaint> {
    let path = attributes.get("path").and_then(Value::as_str);
    path.and_then(|path| path_complaint("/path", path)).into_iter().collect()
}

fn path_complaint(pointer: &str, path: &str) -> Option<Complaint> {
    let complaint = |message: &str| Some(Complaint::new(pointer, message));
    if !path.starts_with('/') {
        return complaint("must be an absolute path, such as /etc/motd");
    }
    if path.contains('\0') {
        return complaint("must not contain NUL");
    }
    let names = path.strip_prefix('/').unwrap_or_default().split('/');
    if path == "/" || names.clone().any(|name| matches!(name, "" | "." | "..")) {
        return complaint(
            "must be written without `.`, `..`, doubled slashes and a slash at the end: it is what makes the resource the same",
        );
    }
    None
}

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;
