//! `host.Command`: a program that is run where something shows that it has not been.
//!
//! An argument list, never a shell. Either `creates` (a path that is there when it has run) or `unless` (a program that succeeds when it has
//! run) says whether there is anything to do, so that it is as idempotent as everything else. Deleting it does nothing: what a program did
//! cannot be taken back.

use super::process::{self, Exit};
use super::{assessment, attributes, path_complaint};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, TypeSchema};
use crate::core::Change;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const KIND: &str = "host.Command";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    argv: Vec<String>,
    creates: Option<String>,
    unless: Option<Vec<String>>,
    cwd: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

pub(super) fn schema() -> TypeSchema {
    let arguments = |description: &str| json!({"type": "array", "minItems": 1, "maxItems": 1024, "items": {"type": "string", "maxLength": 65_536}, "description": description});
    TypeSchema {
        kind: KIND,
        description: "A program that is run unless `creates` or `unless` shows that it has been. Never a shell.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["argv"],
            "properties": {
                "argv": arguments("The program and its arguments, one by one."),
                "creates": {"type": "string", "minLength": 2, "maxLength": 4095, "description": "Absolute path of something that is there once it has run."},
                "unless": arguments("A program that changes nothing, and succeeds once it has run."),
                "cwd": {"type": "string", "minLength": 1, "maxLength": 4095, "description": "Absolute path of the folder it runs in. Default: /."},
                "env": {"type": "object", "description": "Environment variables (text) on top of PATH, HOME and LANG. Their values are never shown."},
            },
        }),
        identity: &[],
        identity_part: None,
        sensitive: &["/env"],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let has = |name: &str| attributes.get(name).is_some();
    match (has("creates"), has("unless")) {
        (false, false) => {
            complaints.push(Complaint::new("", "one of creates and unless must say how to see that it has run"));
        }
        (true, true) => complaints.push(Complaint::new("/unless", "only one of creates and unless can be given")),
        _ => {}
    }
    for name in ["creates", "cwd"] {
        if let Some(path) = attributes.get(name).and_then(Value::as_str).filter(|path| *path != "/") {
            complaints.extend(path_complaint(&format!("/{name}"), path));
        }
    }
    for name in ["argv", "unless"] {
        if attributes.pointer(&format!("/{name}/0")).and_then(Value::as_str) == Some("") {
            complaints.push(Complaint::new(format!("/{name}/0"), "must name a program"));
        }
    }
    for (name, value) in attributes.get("env").and_then(Value::as_object).into_iter().flatten() {
        if !value.is_string() || name.is_empty() || name.contains(['=', '\0']) {
            complaints.push(Complaint::new(format!("/env/{name}"), "must be text, under a name without `=`"));
        }
    }
    complaints
}

pub(super) async fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let attributes: Attributes = attributes(desired)?;
    if deleting {
        return Ok(assessment(Change::None, String::new()));
    }
    let has_run = match (&attributes.creates, &attributes.unless) {
        (Some(path), None) => exists(path).await?,
        (None, Some(argv)) => match run(desired, &attributes, argv).await? {
            Exit::Success => true,
            Exit::Failure { code: Some(_), .. } => false,
            Exit::Failure { code: None, description } => {
                return Err(AdaptorError(format!("unless: {} {description}", shown(argv))));
            }
        },
        _ => return Err(AdaptorError("exactly one of creates and unless must be given".to_owned())),
    };
    if has_run {
        return Ok(assessment(Change::None, String::new()));
    }
    let change = if attributes.creates.is_some() { Change::Create } else { Change::Update };
    Ok(assessment(change, format!("run {}\n", shown(&attributes.argv))))
}

pub(super) async fn apply(desired: &Desired) -> Result<Option<String>, AdaptorError> {
    let attributes: Attributes = attributes(desired)?;
    if let Exit::Failure { description, .. } = run(desired, &attributes, &attributes.argv).await? {
        return Err(AdaptorError(format!("{} {description}", shown(&attributes.argv))));
    }
    match &attributes.creates {
        Some(path) if !exists(path).await? => Err(AdaptorError(format!(
            "{} succeeded, but {path} is not there; is `creates` what it creates?",
            shown(&attributes.argv)
        ))),
        _ => Ok(None),
    }
}

async fn run(desired: &Desired, attributes: &Attributes, argv: &[String]) -> Result<Exit, AdaptorError> {
    let cwd = Path::new(attributes.cwd.as_deref().unwrap_or("/"));
    process::run(argv, cwd, &attributes.env, desired.work.clone()).await
}

async fn exists(path: &str) -> Result<bool, AdaptorError> {
    tokio::fs::try_exists(path).await.map_err(|error| super::place::failed("cannot look at", Path::new(path), error))
}

/// The arguments as a list, so that nobody takes them for a line of a shell.
fn shown(argv: &[String]) -> String {
    Value::from(argv).to_string()
}
