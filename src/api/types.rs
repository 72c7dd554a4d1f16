//! The catalogue of types that adaptors know, with their schemas compiled.

use super::pointer::parts;
use super::schema::{Schema, SchemaError};
use super::{FieldError, FieldPath, inputs};
use crate::adaptors::{TypeSchema, registry};
use crate::core::Intent;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One type, ready to check attributes.
#[derive(Debug)]
pub(super) struct Type {
    compiled: Schema,
    schema: TypeSchema,
}

/// All types. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Types {
    by_name: Arc<BTreeMap<&'static str, Type>>,
}

impl Types {
    /// The types of this binary's adaptors. An error is a mistake in an adaptor.
    pub fn built_in() -> Result<Self, SchemaError> {
        Self::new(registry::kinds().filter_map(registry::schema).cloned())
    }

    /// Compiles the schemas of these types. An error is a mistake in an adaptor.
    pub fn new(types: impl IntoIterator<Item = TypeSchema>) -> Result<Self, SchemaError> {
        let compile =
            |schema: TypeSchema| Ok((schema.kind, Type { compiled: Schema::compile(&schema.attributes)?, schema }));
        Ok(Self { by_name: Arc::new(types.into_iter().map(compile).collect::<Result<_, SchemaError>>()?) })
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// The facts that a type reports.
    pub fn facts(&self, kind: &str) -> Vec<&'static str> {
        let facts = self.by_name.get(kind).map_or([].as_slice(), |known| known.schema.facts);
        facts.iter().map(|(name, _)| *name).collect()
    }

    /// Everything that is wrong with attributes alone.
    pub(crate) fn complaints(&self, kind: &str, attributes: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(known) = self.by_name.get(kind) {
            known.check(attributes, &FieldPath::default(), &mut errors);
        }
        errors
    }

    /// What keeps a secret in history in an intent that was accepted once, in the words that refuse it now.
    pub(crate) fn kept_secrets(&self, intent: &Intent) -> Vec<FieldError> {
        inputs::kept_secrets(intent, self.by_name.get(&*intent.kind))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name)
    }
}

impl Type {
    /// Appends everything that is wrong with the attributes: first the schema's word, then, where that has none, the adaptor's own.
    pub(super) fn check(&self, attributes: &Value, path: &FieldPath, errors: &mut Vec<FieldError>) {
        let before = errors.len();
        self.compiled.check(attributes, path, errors);
        if let Some(rules) = self.schema.check.filter(|_| errors.len() == before) {
            let complaints = rules(attributes);
            errors.extend(complaints.into_iter().map(|complaint| {
                let suggestion = complaint.suggestion.map(|suggestion| format!("did you mean `{suggestion}`?"));
                FieldError::value(below(path, &complaint.pointer, attributes), complaint.message).suggest(suggestion)
            }));
        }
    }

    /// JSON pointers of what makes it the same thing.
    pub(super) fn identity_pointers(&self) -> &'static [&'static str] {
        self.schema.identity
    }

    /// JSON pointers of what is secret, and may only come from elsewhere.
    pub(super) fn sensitive_pointers(&self) -> &'static [&'static str] {
        self.schema.sensitive
    }

    /// Something that may stand at a JSON pointer, as far as the schema says what may.
    pub(super) fn placeholder(&self, pointer: &str) -> Value {
        self.compiled.placeholder(pointer)
    }

    /// What makes it the same thing on its target, as canonical JSON.
    pub(super) fn identity(&self, name: &str, attributes: &Value) -> String {
        registry::identity(&self.schema, name, attributes)
    }
}

/// The path that a JSON pointer (RFC 6901) into `value` means below `path`.
pub(super) fn below(path: &FieldPath, pointer: &str, value: &Value) -> FieldPath {
    let (mut path, mut value) = (path.clone(), Some(value));
    for key in parts(pointer) {
        let index = value.filter(|value| value.is_array()).and_then(|_| key.parse().ok());
        path = index.map_or_else(|| path.key(&key), |index| path.index(index));
        value = match index {
            Some(index) => value.and_then(|value| value.get(index)),
            None => value.and_then(|value| value.get(&key)),
        };
    }
    path
}
