//! Checks untrusted values against closed schemas, and collects every error with its path.
//!
//! The subset of JSON schema that structural CRD schemas and adaptors need: type, enum, pattern, required, properties, additionalProperties, items
//! and bounds, with the CEL rules of [`super::rules`]. Compiling refuses every other keyword, so that none is written and then ignored.
//! An object with `properties` is closed unless it says otherwise. Work is linear in the value. Deliberately absent: references, composition.

mod check;
mod compile;

use super::pointer::parts;
use super::rules::Rule;
use super::{Duration, FieldError, FieldPath};
pub use crate::api::limits::MAX_DEPTH;
pub use crate::api::limits::MAX_ERRORS;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// A compiled schema.
#[derive(Debug, Default)]
pub struct Schema {
    /// Which types of value it allows; empty: all.
    kinds: Vec<Kind>,
    choices: Vec<Value>,
    pattern: Option<Regex>,
    length: Bounds<u64>,
    number: Bounds<f64>,
    items: Option<Box<Schema>>,
    item_count: Bounds<u64>,
    unique: bool,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    others: Others,
    property_count: Bounds<u64>,
    duration: Option<(Duration, Duration)>,
    rules: Vec<&'static Rule>,
    default: Option<Value>,
}

/// The types of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// Properties of an object that its schema does not name.
#[derive(Debug, Default)]
enum Others {
    /// Errors.
    #[default]
    Refused,
    /// Not looked into, depth and NUL apart.
    Free,
    /// Checked against this.
    Like(Box<Schema>),
}

#[derive(Clone, Copy, Debug)]
struct Bounds<T> {
    least: Option<T>,
    most: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self { least: None, most: None }
    }
}

/// Why a schema cannot be used: a mistake of whoever wrote it, never of a user.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It says something this subset does not know.
    #[error("{at}: the keyword `{keyword}` is not one this validator knows")]
    Keyword {
        /// Where.
        at: FieldPath,
        /// Which.
        keyword: String,
    },
    /// A keyword has a value it cannot have.
    #[error("{at}: `{keyword}` has a value that makes no sense here")]
    Value {
        /// Where.
        at: FieldPath,
        /// Which.
        keyword: String,
    },
    /// A pattern is not a regular expression.
    #[error("{at}: the pattern is not a regular expression")]
    Pattern {
        /// Where.
        at: FieldPath,
        /// Why.
        #[source]
        source: regex::Error,
    },
    /// A CEL rule has no twin in `rules`.
    #[error("{at}: the rule `{cel}` has no twin, so embedded runs would not hold to it")]
    Rule {
        /// Where.
        at: FieldPath,
        /// Which.
        cel: String,
    },
}

impl Schema {
    /// Compiles a JSON schema.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        compile::schema(schema, &FieldPath::default(), 0)
    }

    /// Appends everything that is wrong with `value`, which stands at `path`.
    pub fn check(&self, value: &Value, path: &FieldPath, errors: &mut Vec<FieldError>) {
        check::value(self, value, path, errors);
    }

    /// A value of the kind that this schema wants at a JSON pointer; a text where it wants none in particular.
    pub fn placeholder(&self, pointer: &str) -> Value {
        let mut schema = self;
        for key in parts(pointer) {
            schema = match (schema.properties.get(&key), &schema.others, &schema.items) {
                (Some(property), ..) => property,
                (None, Others::Like(like), _) => like,
                (None, _, Some(items)) => items,
                _ => return "x".into(),
            };
        }
        match schema.kinds.first() {
            _ if !schema.choices.is_empty() => schema.choices.first().cloned().unwrap_or_default(),
            Some(Kind::Boolean) => false.into(),
            Some(Kind::Integer | Kind::Number) => {
                schema.number.least.map_or(Value::from(0), |least| Value::from(least as i64))
            }
            Some(Kind::Array) => Value::Array(Vec::new()),
            Some(Kind::Object) => Value::Object(serde_json::Map::new()),
            Some(Kind::Null) => Value::Null,
            Some(Kind::String) | None => "x".into(),
        }
    }

    /// The schema of a property.
    pub fn property(&self, name: &str) -> Option<&Self> {
        self.properties.get(name)
    }
}

#[cfg(test)]
pub(in crate::api) mod tests;
