//! What fills attributes from elsewhere: how it travels, and how an executor fills it in.
//!
//! Facts travel with their values. The attributes are filled and checked against the type's schema at the attempt, and nowhere else.

use crate::api::Types;
use crate::core::{Grant, Input, InputSource, Piece, format_pieces};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The types that this executor knows; an error is a mistake in an adaptor.
static TYPES: LazyLock<Result<Types, String>> = LazyLock::new(|| Types::built_in().map_err(|error| error.to_string()));

/// An input on its way.
#[derive(Debug, Serialize, Deserialize)]
struct Wire {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    values: BTreeMap<String, Source>,
}

/// A value, or where it is found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Source {
    /// A fact.
    Known(Value),
    /// A fact that nobody knows, in words. Only what is deleted goes on without it.
    Unknown(String),
}

/// The inputs of a grant; empty where there are none.
pub(super) fn to_wire(grant: &Grant) -> String {
    if grant.intent.inputs.is_empty() {
        return String::new();
    }
    let inputs: Vec<Wire> = grant.intent.inputs.iter().map(|input| wire(grant, input)).collect();
    // Texts and maps with text keys are always JSON.
    serde_json::to_string(&inputs).unwrap_or_default()
}

fn wire(grant: &Grant, input: &Input) -> Wire {
    let source = |source: &InputSource| match source {
        InputSource::Fact(of) => {
            let known = grant.facts.iter().find(|known| known.of == *of);
            match known.and_then(|known| serde_json::from_str(&known.value).ok()) {
                Some(value) => Source::Known(value),
                None => Source::Unknown(format!("fact {} of {}", of.fact, of.name)),
            }
        }
    };
    Wire {
        path: input.path.to_string(),
        format: input.format.as_deref().map(ToOwned::to_owned),
        values: input.values.iter().map(|(name, from)| (name.to_string(), source(from))).collect(),
    }
}

/// Fills the attributes of a resource of this type. `deleting`: what cannot be known is left out, and nothing is checked.
pub(super) fn fill(kind: &str, attributes: &mut Value, inputs: &str, deleting: bool) -> Result<(), String> {
    if inputs.is_empty() {
        return Ok(());
    }
    let inputs: Vec<Wire> =
        serde_json::from_str(inputs).map_err(|error| format!("what fills the attributes cannot be read: {error}"))?;
    for input in &inputs {
        match value(input).and_then(|value| put(attributes, &input.path, value)) {
            Err(_) if deleting => {}
            done => done.map_err(|why| format!("attribute {} cannot be filled: {why}", input.path))?,
        }
    }
    if deleting { Ok(()) } else { check(kind, attributes, &inputs) }
}

/// The attributes that are filled here were not checked when they were accepted.
fn check(kind: &str, attributes: &Value, inputs: &[Wire]) -> Result<(), String> {
    let complaints = TYPES.as_ref().map_err(Clone::clone)?.complaints(kind, attributes);
    let Some(complaint) = complaints.first() else { return Ok(()) };
    let direct = inputs.iter().any(|input| input.format.is_none());
    let advice = if direct { "; with `format: \"{x}\"` any value becomes a text" } else { "" };
    Err(format!("filled with what attributesFrom says, the attributes are wrong: {complaint}{advice}"))
}

/// The value of an attribute.
fn value(input: &Wire) -> Result<Value, String> {
    let Some(format) = &input.format else {
        let source = input.values.values().next().ok_or("there is nothing to fill it with")?;
        return read(source);
    };
    let mut text = String::new();
    for piece in format_pieces(format)? {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Value(name) => {
                let source = input.values.get(name).ok_or_else(|| format!("there is no value {name}"))?;
                match read(source)? {
                    Value::String(value) => text.push_str(&value),
                    value @ (Value::Number(_) | Value::Bool(_)) => text.push_str(&value.to_string()),
                    _ => return Err(format!("the value {name} is neither a text nor a number nor a boolean")),
                }
            }
        }
    }
    Ok(text.into())
}

fn read(source: &Source) -> Result<Value, String> {
    match source {
        Source::Known(value) => Ok(value.clone()),
        Source::Unknown(what) => Err(format!("{what} is not known")),
    }
}

/// Puts a value at a JSON pointer. Objects on the way are made where there are none; places in lists must be there.
fn put(attributes: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let mut place = attributes;
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(members) => members.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let count = items.len();
                let item = key.parse().ok().and_then(|index: usize| items.get_mut(index));
                item.ok_or_else(|| format!("{key} is no place in a list of {count}"))?
            }
            _ => return Err(format!("{key} is below something that is no object")),
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::needless_pass_by_value)]
    use super::*;
    use serde_json::json;

    fn filled(kind: &str, mut attributes: Value, inputs: Value) -> Result<Value, String> {
        fill(kind, &mut attributes, &inputs.to_string(), false).map(|()| attributes)
    }

    #[test]
    fn values_are_put_where_they_belong_and_texts_are_made_of_several() {
        let inputs = json!([
            {"path": "/content", "format": "{{{a}}}:{b}", "values": {"a": {"known": "x"}, "b": {"known": 7}}},
            {"path": "/mode", "values": {"value": {"known": "0600"}}},
        ]);
        let attributes = filled("host.File", json!({"path": "/a"}), inputs).unwrap();
        assert_eq!(attributes, json!({"path": "/a", "content": "{x}:7", "mode": "0600"}));
        let inputs = json!([{"path": "/env/A~1B", "values": {"value": {"known": "x"}}}]);
        let command = json!({"argv": ["/bin/true"], "creates": "/a"});
        assert_eq!(filled("host.Command", command, inputs).unwrap()["env"], json!({"A/B": "x"}));
    }

    #[test]
    fn what_does_not_fit_the_type_is_refused_before_anything_is_touched() {
        let inputs = |value: Value| json!([{"path": "/content", "values": {"value": value}}]);
        let wrong = filled("host.File", json!({"path": "/a"}), inputs(json!({"known": 5}))).unwrap_err();
        assert!(wrong.contains("content: must be a string") && wrong.contains("format"), "{wrong}");
        let unknown = inputs(json!({"unknown": "fact size of a"}));
        let wrong = filled("host.File", json!({"path": "/a"}), unknown.clone()).unwrap_err();
        assert_eq!(wrong, "attribute /content cannot be filled: fact size of a is not known");
        let mut attributes = json!({"path": "/a"});
        fill("host.File", &mut attributes, &unknown.to_string(), true).unwrap();
        assert_eq!(attributes, json!({"path": "/a"}), "what is deleted needs none");
        let deep = json!([{"path": "/path/x", "values": {"value": {"known": 1}}}]);
        assert!(filled("host.File", json!({"path": "/a"}), deep).unwrap_err().contains("no object"));
    }
}
