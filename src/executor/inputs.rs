//! What fills attributes from elsewhere: how it travels, and how an executor fills it in.
//!
//! Facts travel with their values, secrets with the place where they are found: they are read here, at the attempt. The attributes are filled and
//! checked against the type's schema then, and nowhere else.

use super::secrets::{self, Secrets};
use crate::api::{Types, put_at};
use crate::core::{Grant, Input, InputSource, Piece, format_pieces};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// A variable of the executor's environment.
    EnvironmentVariable(String),
    /// A file where the executor runs.
    File(String),
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
        InputSource::EnvironmentVariable { name } => Source::EnvironmentVariable(name.to_string()),
        InputSource::File { path } => Source::File(path.to_string()),
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

/// What fills the attributes of one attempt.
#[derive(Debug, Default)]
pub(super) struct Inputs(Vec<Wire>);

impl Inputs {
    /// Reads what [`to_wire`] wrote.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("what fills the attributes cannot be read: {error}"))
    }

    /// The attributes whose values are secret.
    pub(super) fn sensitive(&self) -> Vec<String> {
        let secret = |input: &&Wire| input.values.values().any(Source::is_secret);
        self.0.iter().filter(secret).map(|input| input.path.clone()).collect()
    }

    /// Reads the secrets: this may take a while. `deleting`: those that cannot be read are left out.
    pub(super) fn open(mut self, deleting: bool) -> Result<(Self, Secrets), String> {
        let mut secrets = Secrets::default();
        for input in &mut self.0 {
            for (name, source) in &mut input.values {
                let value = match source {
                    Source::EnvironmentVariable(variable) => secrets::read_variable(variable),
                    Source::File(path) => secrets::read_file(path),
                    Source::Known(_) | Source::Unknown(_) => continue,
                };
                *source = match value {
                    Ok(value) => {
                        secrets.add(&input.path, name, &value);
                        Source::Known(value.into())
                    }
                    Err(why) if deleting => Source::Unknown(why),
                    Err(why) => return Err(format!("attribute {} cannot be filled: {why}", input.path)),
                };
            }
        }
        Ok((self, secrets))
    }

    /// Fills the attributes of a resource of this type. `deleting`: what is not known is left out, and nothing is checked.
    pub(super) fn fill(&self, kind: &str, attributes: &mut Value, deleting: bool) -> Result<(), String> {
        fill(kind, attributes, &self.0, deleting)
    }
}

impl Source {
    fn is_secret(&self) -> bool {
        matches!(self, Self::EnvironmentVariable(_) | Self::File(_))
    }
}

fn fill(kind: &str, attributes: &mut Value, inputs: &[Wire], deleting: bool) -> Result<(), String> {
    if inputs.is_empty() {
        return Ok(());
    }
    for input in inputs {
        match value(input).and_then(|value| put_at(attributes, &input.path, value)) {
            Err(_) if deleting => {}
            done => done.map_err(|why| format!("attribute {} cannot be filled: {why}", input.path))?,
        }
    }
    if deleting { Ok(()) } else { check(kind, attributes, inputs) }
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
        Source::EnvironmentVariable(name) | Source::File(name) => Err(format!("the secret in {name} was not read")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::needless_pass_by_value)]
    use super::*;
    use serde_json::json;

    fn filled(kind: &str, mut attributes: Value, inputs: Value) -> Result<Value, String> {
        Inputs::parse(&inputs.to_string())?.fill(kind, &mut attributes, false).map(|()| attributes)
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
        Inputs::parse(&unknown.to_string()).unwrap().fill("host.File", &mut attributes, true).unwrap();
        assert_eq!(attributes, json!({"path": "/a"}), "what is deleted needs none");
        let deep = json!([{"path": "/path/x", "values": {"value": {"known": 1}}}]);
        assert!(filled("host.File", json!({"path": "/a"}), deep).unwrap_err().contains("no object"));
    }

    #[test]
    fn secrets_are_read_here_and_what_they_fill_is_sensitive() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a canary\n").unwrap();
        let text = json!([
            {"path": "/content", "format": "x={a}", "values": {"a": {"file": file.path()}}},
            {"path": "/mode", "values": {"value": {"known": "0600"}}},
        ]);
        let inputs = Inputs::parse(&text.to_string()).unwrap();
        assert_eq!(inputs.sensitive(), ["/content"]);
        let (inputs, secrets) = inputs.open(false).unwrap();
        let mut attributes = json!({"path": "/a"});
        inputs.fill("host.File", &mut attributes, false).unwrap();
        assert_eq!(attributes, json!({"path": "/a", "content": "x=a canary", "mode": "0600"}));
        assert_eq!(secrets.redact("said: a canary"), "said: (sensitive)");
        drop(file);
        let gone = || Inputs::parse(&text.to_string()).unwrap();
        assert!(gone().open(false).err().unwrap().starts_with("attribute /content cannot be filled: the secret in /"));
        gone().open(true).unwrap().0.fill("host.File", &mut json!({"path": "/a"}), true).unwrap();
    }
}
