//! `test.*`: things without a target of their own, for tests and benchmarks.
//!
//! `test.Thing` lives in a small [`world`] of its own, a file or a `ConfigMap`, which counts what is done to it and can be edited by hand to make
//! drift; a script says how its applies end. `test.Nothing` is always as wanted and touches nothing. Deliberately absent: any use outside tests.

mod world;

use super::schema::Complaint;
use super::{Adaptor, AdaptorError, Assessment, Desired, Difference, FactValues, TypeSchema, sensitive_line};
use crate::core::Change;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use world::Place;

const THING: &str = "test.Thing";
const NOTHING: &str = "test.Nothing";

/// The adaptor of the types `test.*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Test;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Thing {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    script: Vec<Line>,
    #[serde(default)]
    delay_ms: u64,
}

/// How one apply ends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    result: Ending,
    #[serde(default)]
    message: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ending {
    Succeed,
    Fail,
    /// Waits for ever, and can be cancelled.
    Hang,
    /// Blocks a thread for ever, and cannot be cancelled.
    Block,
    Panic,
}

#[async_trait]
impl Adaptor for Test {
    fn types(&self) -> Vec<TypeSchema> {
        vec![thing_schema(), nothing_schema()]
    }

    fn can_hide(&self, _kind: &str) -> &'static [&'static str] {
        &["/value"]
    }

    async fn difference(&self, desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
        if desired.kind == NOTHING {
            let says = desired.attributes.get("says").and_then(Value::as_str).unwrap_or_default();
            let change = if says.is_empty() { Change::None } else { Change::Update };
            return Ok(assessment(change, says.to_owned(), None));
        }
        let thing = thing(desired)?;
        let key = thing.key.clone();
        let found = Place::of(desired)?.update(desired, move |world| {
            let found = world.thing(&key);
            found.reads += 1;
            found.value.clone()
        });
        let found = found.await?;
        let (change, diff) = match (found.clone(), deleting) {
            (None, true) => (Change::None, String::new()),
            (Some(_), true) => (Change::Delete, format!("delete {}\n", thing.key)),
            (None | Some(_), false) if desired.hides("/value") => {
                hidden(found.as_deref(), &thing.value, desired.reload)
            }
            (None, false) => (Change::Create, format!("value: {:?}\n", thing.value)),
            (Some(value), false) if value == thing.value && desired.reload => (Change::Update, "reload\n".to_owned()),
            (Some(value), false) if value == thing.value => (Change::None, String::new()),
            (Some(value), false) => (Change::Update, format!("value: {value:?} -> {:?}\n", thing.value)),
        };
        Ok(assessment(change, diff, Some(format!("thing/{}", thing.key))))
    }

    async fn apply(&self, desired: &Desired, assessment: &Assessment) -> Result<Option<String>, AdaptorError> {
        if desired.kind == NOTHING {
            return Ok(None);
        }
        let (thing, place) = (thing(desired)?, Place::of(desired)?);
        let deleting = assessment.difference.change == Change::Delete;
        let verb = if deleting { "delete" } else { "apply" };
        let key = thing.key.clone();
        let earlier = place
            .clone()
            .update(desired, move |world| {
                world.note(format!("{verb} {key} begin"));
                let found = world.thing(&key);
                let counter = if deleting { &mut found.deletes } else { &mut found.applies };
                *counter += 1;
                *counter - 1
            })
            .await?;
        tokio::time::sleep(Duration::from_millis(thing.delay_ms)).await;
        let line =
            if deleting { None } else { usize::try_from(earlier).ok().and_then(|index| thing.script.get(index)) };
        if let Some(line) = line {
            play(desired, line).await?;
        }
        let (key, value, reloads) = (
            thing.key.clone(),
            thing.value,
            u64::from(desired.reload && assessment.difference.change != Change::Create),
        );
        let applied = place.update(desired, move |world| {
            world.note(format!("{verb} {key} end"));
            let found = world.thing(&key);
            found.value = if deleting { None } else { Some(value.clone()) };
            found.reloads += reloads;
        });
        applied.await?;
        Ok(Some(format!("thing/{}", thing.key)))
    }

    async fn facts(&self, desired: &Desired, _: &Assessment, _: bool) -> Result<FactValues, AdaptorError> {
        if desired.kind == NOTHING {
            return Ok(FactValues::new());
        }
        let key = thing(desired)?.key;
        let found = Place::of(desired)?.update(desired, move |world| world.thing(&key).clone()).await?;
        let Some(value) = found.value else { return Ok(FactValues::new()) };
        let value = (!desired.hides("/value")).then(|| ("value".to_owned(), value.into()));
        Ok(value.into_iter().chain([("applies".to_owned(), found.applies.into())]).collect())
    }
}

/// Ends an apply as its script says.
#[allow(clippy::panic, reason = "panics on purpose: a test of those who call it")]
async fn play(desired: &Desired, line: &Line) -> Result<(), AdaptorError> {
    match line.result {
        Ending::Succeed => Ok(()),
        Ending::Fail if line.message.is_empty() => Err(AdaptorError("the script says so".to_owned())),
        Ending::Fail => Err(AdaptorError(line.message.clone())),
        Ending::Hang => std::future::pending().await,
        Ending::Block => {
            let work = desired.work.clone();
            super::blocking(move || {
                // Held as long as the thread blocks, which is for ever.
                let _work = work;
                loop {
                    std::thread::park();
                }
            })
            .await
        }
        Ending::Panic => panic!("{}", line.message),
    }
}

/// The difference where the value is secret.
fn hidden(found: Option<&str>, value: &str, reload: bool) -> (Change, String) {
    match found {
        None => (Change::Create, sensitive_line("value")),
        Some(found) if found != value => (Change::Update, sensitive_line("value")),
        Some(_) if reload => (Change::Update, "reload\n".to_owned()),
        Some(_) => (Change::None, String::new()),
    }
}

fn thing(desired: &Desired) -> Result<Thing, AdaptorError> {
    if desired.kind != THING {
        return Err(AdaptorError(format!("the test adaptor has no type {}", desired.kind)));
    }
    let thing = Thing::deserialize(&desired.attributes)
        .map_err(|error| AdaptorError(format!("the attributes of {}: {error}", desired.name)))?;
    let key = if thing.key.is_empty() { desired.name.clone() } else { thing.key };
    Ok(Thing { key, ..thing })
}

fn assessment(change: Change, diff: String, remote_identity: Option<String>) -> Assessment {
    Assessment { difference: Difference { change, diff }, remote_identity, found: Box::new(()) }
}

fn thing_schema() -> TypeSchema {
    TypeSchema {
        kind: THING,
        description: "A thing in a file or a ConfigMap, with scripted results.",
        attributes: json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "key": {"type": "string", "minLength": 1, "maxLength": 253, "description": "What it is called in its world. Default: the resource's name."},
                "value": {"type": "string", "maxLength": 65_536, "description": "What it is to be."},
                "delayMs": {"type": "integer", "minimum": 0, "maximum": 600_000, "description": "How long an apply or a delete takes."},
                "script": {
                    "type": "array", "maxItems": 1_000,
                    "description": "How its first applies end, one by one; later ones succeed.",
                    "items": {
                        "type": "object", "additionalProperties": false, "required": ["result"],
                        "properties": {
                            "result": {"type": "string", "enum": ["succeed", "fail", "hang", "block", "panic"]},
                            "message": {"type": "string", "maxLength": 1_048_576},
                        },
                    },
                },
            },
        }),
        identity: &["/key"],
        identity_part: None,
        sensitive: &[],
        facts: &[("value", "What it is."), ("applies", "How often it was applied.")],
        check: Some(check_thing),
    }
}

fn check_thing(attributes: &Value) -> Vec<Complaint> {
    let key = attributes.get("key").and_then(Value::as_str).unwrap_or_default();
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'));
    if plain { Vec::new() } else { vec![Complaint::new("/key", "must consist of letters, digits and -_./")] }
}

fn nothing_schema() -> TypeSchema {
    TypeSchema {
        kind: NOTHING,
        description: "Always as wanted; for benchmarks.",
        attributes: json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "value": {"type": "string", "maxLength": 65_536, "description": "Anything: a change of it is a change of intent."},
                "says": {"type": "string", "maxLength": 65_536, "description": "Said to be changed, at every attempt."},
            },
        }),
        identity: &[],
        identity_part: None,
        sensitive: &[],
        facts: &[],
        check: None,
    }
}

#[cfg(test)]
mod tests;
