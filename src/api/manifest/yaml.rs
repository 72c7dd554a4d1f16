//! Reads YAML (and JSON, which is YAML) into trees that know the line and column of every node.
//!
//! What different YAML readers understand differently (`yes`, `0644`, `1_000`, merge keys) is refused with advice instead of guessed, so that
//! a manifest means the same embedded and through `kubectl`. Nesting, document size and the growth by aliases are bounded, each refused with its
//! place. A document with an error is dropped whole; the next ones are read. Deliberately absent: custom tags, non-finite numbers.

mod build;
mod scalar;

use super::super::field::{Part, Segment};
use serde_json::{Map, Number, Value};

/// Where something stands in a file; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub place: Place,
    pub content: Content,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The documents without errors; empty ones left out.
    pub documents: Vec<Node>,
    /// What is wrong with the others.
    pub errors: Vec<(Place, String)>,
}

/// Reads all documents of a text.
pub(super) fn read(text: &str) -> Documents {
    build::documents(text)
}

impl Node {
    /// The value without its places.
    pub(super) fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(truth) => Value::Bool(*truth),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The field of an object.
    pub(super) fn field(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text it is.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The place of what `path` leads to; where that is missing, of the key of what comes nearest.
    pub(super) fn locate(&self, path: &[Segment], part: Part) -> Place {
        let (mut node, mut nearest_key, mut place) = (self, self.place, self.place);
        for segment in path {
            let next = match (segment, &node.content) {
                (Segment::Key(key), Content::Map(_)) => node.field(key).map(|entry| (entry.key_place, &entry.value)),
                (Segment::Index(index), Content::List(items)) => items.get(*index).map(|item| (item.place, item)),
                _ => None,
            };
            let Some((key_place, value)) = next else { return nearest_key };
            (node, nearest_key, place) = (value, key_place, if part == Part::Key { key_place } else { value.place });
        }
        place
    }
}
