//! `attributesFrom` of a `Resource`: what fills attributes from elsewhere.
//!
//! What a schema cannot say is said here, every error with its path: that a path leads to an attribute which the type knows, which is not given
//! as well, and which is not part of what makes the resource the same thing. The values are not known here; whether they fit is checked when they
//! are, by the executor.

use super::names::ObjectName;
use super::pointer::{parts, put_at};
use super::target::ABSOLUTE_PATH;
use super::types::{Type, below};
use super::{FieldError, FieldPath, Part, rules};
use crate::adaptors::registry::is_at_or_below;
use crate::core::{FactRef, Input, InputSource, Intent, Piece, format_pieces, is_fact_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A name that a shell can give to a variable.
pub(super) const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// A JSON pointer (RFC 6901) to something in an object.
pub(super) const POINTER: &str = "^(/([^/~]|~[01])+)+$";

/// What fills one attribute, instead of a value in `attributes`: a value from elsewhere, or a text made of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rules::ONE_INPUT.json(), rules::INPUT_VALUES.json()]))]
pub struct AttributeFrom {
    /// Which attribute: a JSON pointer (RFC 6901) into `attributes`, such as `/content`. Not one that is part of what makes the resource the same thing.
    #[schemars(length(max = 1024), regex(pattern = POINTER))]
    pub path: String,
    /// A fact of another Resource, which this one then requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact_ref: Option<FactReference>,
    /// A secret: an environment variable of the `homeostat` process. Read at each attempt, and kept nowhere. Only in embedded runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_variable: Option<VariableReference>,
    /// A secret: the content of a file, without the line end at its end. Read at each attempt, and kept nowhere. Only in embedded runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReference>,
    /// A text in which `{name}` stands for one of `values`; `{{` and `}}` for braces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub format: Option<String>,
    /// The values of `format` by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 64))]
    pub values: BTreeMap<String, ValueFrom>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rules::ONE_VALUE.json()]))]
pub struct ValueFrom {
    /// A fact of another Resource, which this one then requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact_ref: Option<FactReference>,
    /// A secret: an environment variable of the `homeostat` process. Only in embedded runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_variable: Option<VariableReference>,
    /// A secret: the content of a file, without the line end at its end. Only in embedded runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileReference>,
}

/// A variable of the environment in which `homeostat` runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariableReference {
    /// Its name.
    #[schemars(length(max = 255), regex(pattern = VARIABLE))]
    pub name: String,
}

/// A file of the machine on which `homeostat` runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileReference {
    /// Its absolute path.
    #[schemars(length(max = 4096), regex(pattern = ABSOLUTE_PATH))]
    pub path: String,
}

/// A fact of a Resource of the same Environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactReference {
    /// The Resource.
    pub name: ObjectName,
    /// Which of its facts; its type says which there are.
    #[schemars(length(min = 1, max = 64))]
    pub fact: String,
}

impl From<AttributeFrom> for Input {
    fn from(from: AttributeFrom) -> Self {
        let path = from.path.into();
        let AttributeFrom { fact_ref, environment_variable, file, .. } = from;
        match source(fact_ref, environment_variable, file) {
            Some(source) => Self::of(path, source),
            None => Self {
                path,
                format: from.format.map(Into::into),
                values: from
                    .values
                    .into_iter()
                    .filter_map(|(name, value)| {
                        Some((name.into(), source(value.fact_ref, value.environment_variable, value.file)?))
                    })
                    .collect(),
            },
        }
    }
}

/// The one that is given.
fn source(
    fact: Option<FactReference>,
    variable: Option<VariableReference>,
    file: Option<FileReference>,
) -> Option<InputSource> {
    let variable = variable.map(|variable| InputSource::EnvironmentVariable { name: variable.name.into() });
    let file = file.map(|file| InputSource::File { path: file.path.into() });
    fact.map(Into::into).or(variable).or(file)
}

impl From<FactReference> for InputSource {
    fn from(reference: FactReference) -> Self {
        Self::Fact(FactRef { name: reference.name.0.into(), fact: reference.fact.into() })
    }
}

/// What `attributesFrom` of an object says of paths, however wrong the rest of it is: each path with its place in the list.
fn paths(object: &Value) -> impl Iterator<Item = (usize, &str)> {
    let list = object.pointer("/spec/attributesFrom").and_then(Value::as_array);
    let paths = list.into_iter().flatten().map(|input| input.get("path").and_then(Value::as_str));
    paths.enumerate().filter_map(|(index, path)| Some((index, path.filter(|path| path.starts_with('/'))?)))
}

fn place(index: usize) -> FieldPath {
    FieldPath::of(&["spec", "attributesFrom"]).index(index)
}

/// Everything that is wrong with `attributesFrom` beside its structure.
pub(super) fn errors(object: &Value, attributes: &Value, known: Option<&Type>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut complain = |index: usize, message: String| {
        errors.push(FieldError::value(place(index).key("path"), message));
    };
    let all: Vec<(usize, &str)> = paths(object).collect();
    for &(index, path) in &all {
        if attributes.pointer(path).is_some() {
            complain(index, format!("{path} is given in attributes too; give it once"));
        }
        let identity = known.into_iter().flat_map(Type::identity_pointers);
        if let Some(identity) = identity.copied().find(|identity| overlap(identity, path)) {
            complain(
                index,
                format!("{identity} is part of what makes the resource the same thing: it must be given in attributes"),
            );
        }
        if let Some((_, other)) = all.iter().find(|(earlier, other)| *earlier < index && overlap(other, path)) {
            complain(index, format!("{other} is filled by an earlier entry"));
        }
    }
    let list = object.pointer("/spec/attributesFrom").and_then(Value::as_array);
    for (index, input) in list.into_iter().flatten().enumerate() {
        if let Some(path) = input.get("path").and_then(Value::as_str) {
            errors.extend(leaks(input, path, &place(index), known));
        }
        errors.extend(format_errors(input, &place(index)));
        errors.extend(source_errors(input, &place(index)));
        for (name, source) in input.get("values").and_then(Value::as_object).into_iter().flatten() {
            errors.extend(source_errors(source, &place(index).key("values").key(name)));
        }
    }
    errors
}

/// The names in a format are those of its values.
fn format_errors(input: &Value, at: &FieldPath) -> Vec<FieldError> {
    let values = input.get("values").and_then(Value::as_object);
    let (Some(format), Some(values)) = (input.get("format").and_then(Value::as_str), values) else { return Vec::new() };
    let used: Vec<&str> = match format_pieces(format) {
        Ok(pieces) => {
            pieces.iter().filter_map(|piece| if let Piece::Value(name) = piece { Some(*name) } else { None }).collect()
        }
        Err(why) => return vec![FieldError::value(at.key("format"), why)],
    };
    let missing = used.iter().filter(|name| !values.contains_key(**name));
    let missing = missing.map(|name| FieldError::value(at.key("format"), format!("values has no {name:?}")));
    let idle = values.keys().filter(|name| !used.contains(&name.as_str()));
    let idle =
        idle.map(|name| FieldError::key(at.key("values").key(name), format!("is not used: format has no {{{name}}}")));
    missing.chain(idle).collect()
}

fn source_errors(source: &Value, at: &FieldPath) -> Option<FieldError> {
    let fact = source.pointer("/factRef/fact").and_then(Value::as_str)?;
    let message = "must be the name of a fact: letters and digits, beginning with a letter";
    (!is_fact_name(fact)).then(|| FieldError::value(at.key("factRef").key("fact"), message))
}

/// One is the other, or lies below it.
fn overlap(one: &str, other: &str) -> bool {
    is_at_or_below(one, other) || is_at_or_below(other, one)
}

/// What is secret and filled from a fact, or together with text that stands here, would be kept in history.
fn leaks(input: &Value, path: &str, at: &FieldPath, known: Option<&Type>) -> Vec<FieldError> {
    let secrets = known.map_or([].as_slice(), Type::sensitive_pointers);
    let Some(secret) = secrets.iter().find(|secret| overlap(secret, path)) else { return Vec::new() };
    let leaks = |place: FieldPath, message: String| {
        let advice = "fill it from an environmentVariable or a file alone";
        FieldError::value(place, message).suggest(Some(advice.to_owned()))
    };
    let fact = |source: &Value, at: &FieldPath| {
        source
            .get("factRef")
            .map(|_| leaks(at.key("factRef"), format!("{secret} is secret, and facts are kept in history")))
    };
    let mut errors: Vec<FieldError> = fact(input, at).into_iter().collect();
    for (name, source) in input.get("values").and_then(Value::as_object).into_iter().flatten() {
        errors.extend(fact(source, &at.key("values").key(name)));
    }
    let pieces = input.get("format").and_then(Value::as_str).and_then(|format| format_pieces(format).ok());
    if pieces.is_some_and(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Text(_)))) {
        let message = format!("{secret} is secret, and the text between its values would be kept in history");
        errors.push(leaks(at.key("format"), message));
    }
    errors
}

/// Refuses attributes that their type says are secret where they are written down: they would be kept in history as they are. That is all that is
/// said of them; what other checks have said is of a placeholder.
pub(super) fn refuse_literal_secrets(attributes: &Value, known: Option<&Type>, errors: &mut Vec<FieldError>) {
    let message = "is secret, and would be kept in history as it is written here";
    let advice = "take it out, and fill it with attributesFrom, from an environmentVariable or a file";
    for pointer in literals(attributes, known) {
        let root = FieldPath::of(&["spec", "attributes"]);
        let place = below(&root, pointer, attributes);
        errors.retain(|error| !error.path.segments().starts_with(place.segments()));
        errors.push(FieldError::value(place, message).suggest(Some(advice.to_owned())));
    }
}

/// The same of an intent that was read from its manifest before all of this was refused.
pub(super) fn kept_secrets(intent: &Intent, known: Option<&Type>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let attributes = serde_json::from_str(&intent.attributes).unwrap_or_default();
    refuse_literal_secrets(&attributes, known, &mut errors);
    for (index, input) in intent.inputs.iter().enumerate() {
        // Texts and maps with text keys are always JSON.
        let written = serde_json::to_value(input).unwrap_or_default();
        errors.extend(leaks(&written, &input.path, &place(index), known));
    }
    errors
}

/// Where secrets are written down.
fn literals<'a>(attributes: &'a Value, known: Option<&Type>) -> impl Iterator<Item = &'a str> + use<'a> {
    let pointers = known.map_or([].as_slice(), Type::sensitive_pointers);
    pointers.iter().copied().filter(|pointer| attributes.pointer(pointer).is_some())
}

/// The attributes with something in the place of all that is filled from elsewhere, so that the rest can be checked; and of secrets that are
/// written down, so that no check repeats them.
pub(super) fn with_placeholders(object: &Value, attributes: &Value, known: Option<&Type>) -> Value {
    let mut filled = attributes.clone();
    for path in paths(object).map(|(_, path)| path).chain(literals(attributes, known)) {
        let placeholder = known.map_or(Value::Null, |known| known.placeholder(path));
        // A place that is not there is told with the pointer that names it.
        let _ = put_at(&mut filled, path, placeholder);
    }
    filled
}

/// Errors of attributes with placeholders: what is said of a placeholder's value is not so, what is said of its name is said of the entry.
pub(super) fn without_placeholders(object: &Value, errors: &mut Vec<FieldError>) {
    let root = FieldPath::of(&["spec", "attributes"]);
    for (index, path) in paths(object) {
        let steps: Vec<String> = root.segments().iter().map(ToString::to_string).chain(parts(path)).collect();
        errors.retain_mut(|error| {
            let found: Vec<String> = error.path.segments().iter().map(ToString::to_string).collect();
            // An unknown object on the way is as wrong as an unknown attribute at its end.
            if error.part == Part::Key && steps.starts_with(&found) {
                error.path = place(index).key("path");
                error.part = Part::Value;
                return true;
            }
            !found.starts_with(&steps)
        });
    }
}

/// Says of kinds of secrets that are planned that they are not there yet.
pub(super) fn explain_what_is_missing(errors: &mut [FieldError]) {
    let below = FieldPath::of(&["spec", "attributesFrom"]);
    for error in
        errors.iter_mut().filter(|error| error.part == Part::Key && error.path.segments().starts_with(below.segments()))
    {
        let last = error.path.segments().last().map(ToString::to_string);
        if let Some(name @ ("secretKeyRef" | "configMapKeyRef")) = last.as_deref() {
            error.suggestion = Some(format!("{name} is not built yet"));
        }
    }
}
