//! `host.*`: files, folders and commands of the machine that the executor runs on.
//!
//! The connection is `{"type": "local"}`. `"delayMs"` in it (at most 10,000) delays every change by so much: an aid for tests that interrupt
//! deploys, of no use otherwise. Deliberately absent: other machines (SSH), and any shell.

mod command;
mod directory;
mod file;
mod place;
mod process;
mod rights;

use super::{Adaptor, AdaptorError, Assessment, Desired, Difference, TypeSchema, blocking};
use crate::core::Change;
use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// The longest delay that a connection may ask for, in milliseconds.
const MOST_DELAY_MS: u64 = 10_000;

/// The adaptor of the types `host.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

#[async_trait]
impl Adaptor for Host {
    fn types(&self) -> Vec<TypeSchema> {
        vec![file::schema(), directory::schema(), command::schema()]
    }

    async fn difference(&self, desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
        delay(desired)?;
        if desired.kind == command::KIND {
            return command::difference(desired, deleting).await;
        }
        let desired = desired.clone();
        blocking(move || match desired.kind.as_str() {
            file::KIND => file::difference(&desired, deleting),
            directory::KIND => directory::difference(&desired, deleting),
            other => Err(AdaptorError(format!("the host adaptor has no type {other}"))),
        })
        .await
    }

    async fn apply(&self, desired: &Desired, assessment: &Assessment) -> Result<Option<String>, AdaptorError> {
        let delay = delay(desired)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if desired.kind == command::KIND {
            return command::apply(desired).await;
        }
        let (desired, change) = (desired.clone(), assessment.difference.change);
        blocking(move || match desired.kind.as_str() {
            file::KIND => file::apply(&desired, change),
            directory::KIND => directory::apply(&desired, change),
            other => Err(AdaptorError(format!("the host adaptor has no type {other}"))),
        })
        .await
        .map(|()| None)
    }
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

/// The attributes as a type's own struct. They were checked against the schema when they were accepted; an older acceptance may know less.
fn attributes<T: DeserializeOwned>(desired: &Desired) -> Result<T, AdaptorError> {
    T::deserialize(&desired.attributes)
        .map_err(|error| AdaptorError(format!("the attributes of {} {}: {error}", desired.kind, desired.name)))
}

/// An assessment; adaptors of this room read again when they apply, by the same handles that they write through.
fn assessment(change: Change, diff: String) -> Assessment {
    Assessment { difference: Difference { change, diff }, remote_identity: None, found: Box::new(()) }
}

/// A complaint where a path is not absolute, or is not written in its one way.
fn path_complaint(pointer: &str, path: &str) -> Option<super::schema::Complaint> {
    let complaint = |message: &str| Some(super::schema::Complaint::new(pointer, message));
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
mod tests;
