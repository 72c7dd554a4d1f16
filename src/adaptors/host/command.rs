//! `host.Command`: a program that is run where something shows that it has not been.
//!
//! An argument list, never a shell. Either `creates` (a path that is there when it has run) or `unless` (a program that succeeds when it has
//! run) says whether there is anything to do, so that it is as idempotent as everything else. When something it requires has changed, it runs again
//! whatever these say. Deleting it does nothing: what a program did cannot be taken back.

use super::process::{self, Ended, Program};
use super::{assessment, attributes, nothing, path_complaint, path_schema};
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
        description: "A program that is run unless `creates` or `unless` shows that it has been, and again when something it requires has changed. Never a shell.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["argv"],
            "properties": {
                "argv": arguments("The program and its arguments, one by one."),
                "creates": path_schema("Absolute path of something that is there once it has run."),
                "unless": arguments("A program that changes nothing, and succeeds once it has run."),
                "cwd": {"type": "string", "minLength": 1, "maxLength": 4095, "description": "Absolute path of the folder it runs in. Default: /."},
                "env": {"type": "object", "description": "Environment variables (text) on top of PATH, HOME and LANG. A secret one comes from attributesFrom, by the path /env/NAME."},
            },
            "examples": [
                {"argv": ["tar", "-xf", "/srv/site.tar", "-C", "/srv/www"], "creates": "/srv/www/index.html"},
                {"argv": ["sysctl", "--load"], "unless": ["grep", "-qx", "1", "/proc/sys/net/ipv4/ip_forward"]},
            ],
        }),
        identity: &[],
        identity_part: None,
        sensitive: &[],
        facts: &[],
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
    let attributes: Attributes = attributes(desired, check)?;
    if deleting {
        return Ok(nothing());
    }
    let has_run = match (&attributes.creates, &attributes.unless) {
        (Some(path), None) => exists(path).await?,
        (None, Some(argv)) => match run(desired, &attributes, argv).await? {
            Ended { code: Some(code), .. } => code == 0,
            Ended { code: None, description, .. } => {
                return Err(AdaptorError(format!("unless: {} {description}", shown(argv))));
            }
        },
        _ => return Err(AdaptorError("exactly one of creates and unless must be given".to_owned())),
    };
    if has_run && !desired.reload {
        return Ok(nothing());
    }
    let why = if has_run { " again: what it requires has changed" } else { "" };
    let change = if attributes.creates.is_some() && !has_run { Change::Create } else { Change::Update };
    Ok(assessment(change, format!("run {}{why}\n", shown(&attributes.argv))))
}

pub(super) async fn apply(desired: &Desired) -> Result<(), AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let ended = run(desired, &attributes, &attributes.argv).await?;
    if !ended.succeeded() {
        return Err(AdaptorError(format!("{} {}", shown(&attributes.argv), ended.description)));
    }
    match &attributes.creates {
        Some(path) if !exists(path).await? => Err(AdaptorError(format!(
            "{} succeeded, but {path} is not there; is `creates` what it creates?",
            shown(&attributes.argv)
        ))),
        _ => Ok(()),
    }
}

async fn run(desired: &Desired, attributes: &Attributes, argv: &[String]) -> Result<Ended, AdaptorError> {
    let cwd = Path::new(attributes.cwd.as_deref().unwrap_or("/"));
    let program = Program { argv, cwd, env: &attributes.env, input: None, prints: false };
    process::run(program, desired).await
}

async fn exists(path: &str) -> Result<bool, AdaptorError> {
    tokio::fs::try_exists(path).await.map_err(|error| super::place::failed("cannot look at", Path::new(path), error))
}

/// The arguments as a list, so that nobody takes them for a line of a shell.
fn shown(argv: &[String]) -> String {
    Value::from(argv).to_string()
}
