//! From the parser's events to trees, without recursion.

use super::{Content, Documents, Entry, Node, Place, scalar};
use crate::core::limits::{MANIFEST_DEPTH, MANIFEST_DOCUMENT_BYTES, MANIFEST_NODES};
use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Span, Tag};
use std::collections::{HashMap, HashSet};

/// A list or an object that is not complete yet.
struct Frame {
    place: Place,
    anchor: usize,
    nodes_before: usize,
    /// Levels below it so far.
    height: usize,
    kind: Open,
}

enum Open {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, Place)> },
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

/// One document while it is read.
#[derive(Default)]
struct Document {
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    errors: Vec<(Place, String)>,
    nodes: usize,
    first_byte: usize,
    /// A bound is exceeded: nothing more of it is kept.
    abandoned: bool,
}

/// Reads all documents of a text.
pub(super) fn documents(text: &str) -> Documents {
    let mut all = Documents::default();
    let mut document = Document::default();
    let mut options =
        granit_parser::options! { flow_nesting_limit: MANIFEST_DEPTH + 2, block_nesting_limit: MANIFEST_DEPTH + 2 };
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((Event::DocumentStart(..), span)) => {
                document = Document { first_byte: byte(&span), ..Document::default() }
            }
            Ok((Event::DocumentEnd, _)) => finish(std::mem::take(&mut document), &mut all),
            Ok((event, span)) => document.take(event, &span),
            Err(error) => {
                let message = match error.kind() {
                    ErrorKind::RecursionLimitExceeded => too_deep(),
                    _ => format!("not valid YAML: {}", error.info()),
                };
                document.fail(place(*error.marker()), message);
                finish(std::mem::take(&mut document), &mut all);
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    all
}

fn finish(document: Document, all: &mut Documents) {
    if document.errors.is_empty() {
        all.documents.extend(document.root.filter(|root| root.content != Content::Null));
    } else {
        all.errors.extend(document.errors);
    }
}

fn too_deep() -> String {
    format!("the document is nested more than {MANIFEST_DEPTH} levels deep")
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

fn start(span: &Span) -> Place {
    place(span.start)
}

fn byte(span: &Span) -> usize {
    span.start.byte_offset().unwrap_or_else(|| span.start.index())
}

impl Document {
    fn fail(&mut self, place: Place, message: impl Into<String>) {
        if !self.abandoned {
            self.errors.push((place, message.into()));
        }
    }

    fn abandon(&mut self, place: Place, message: impl Into<String>) {
        self.fail(place, message);
        self.abandoned = true;
        self.stack.clear();
        self.anchors.clear();
    }

    fn take(&mut self, event: Event<'_>, span: &Span) {
        if self.abandoned || !self.within_bounds(span) {
            return;
        }
        let at = start(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(_, anchor, tag) => {
                self.open(at, anchor, tag.as_deref(), "seq", Open::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                let kind = Open::Map { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.open(at, anchor, tag.as_deref(), "map", kind);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, at),
            _ => {}
        }
    }

    fn within_bounds(&mut self, span: &Span) -> bool {
        if byte(span).saturating_sub(self.first_byte) > MANIFEST_DOCUMENT_BYTES {
            self.abandon(
                start(span),
                format!("the document is longer than {MANIFEST_DOCUMENT_BYTES} bytes; split it with ---"),
            );
        } else if self.nodes > MANIFEST_NODES {
            self.abandon(start(span), format!("the document has more than {MANIFEST_NODES} values"));
        }
        !self.abandoned
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>, at: Place) {
        let is_key = self.awaits_key();
        let as_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
        if let Some(tag) = tag.filter(|tag| {
            !["str", "int", "float", "bool", "null"].iter().any(|known| tag.is_yaml_core_schema_tag(known))
        }) {
            self.fail(at, format!("the tag {} is not supported; leave it out", tag.original().escape_debug()));
        }
        let content = if as_text { Ok(Content::Text(text.to_owned())) } else { scalar::plain(text) };
        let content = match content {
            // JSON knows only text as keys; `1: x` is what every reader makes "1" of.
            Ok(Content::Number(_)) if is_key => Content::Text(text.to_owned()),
            Ok(Content::Bool(_) | Content::Null) if is_key => {
                self.fail(at, format!("a key must be text; write \"{}\" in quotes", text.escape_debug()));
                Content::Text(text.to_owned())
            }
            Ok(content) => content,
            Err(message) => {
                self.fail(at, message);
                Content::Text(text.to_owned())
            }
        };
        self.nodes += 1;
        self.complete(Node { place: at, content }, anchor, 1, 0);
    }

    fn open(&mut self, at: Place, anchor: usize, tag: Option<&Tag>, core_tag: &str, kind: Open) {
        if self.awaits_key() {
            self.abandon(at, "a key must be text, not a list or an object");
        } else if self.stack.len() >= MANIFEST_DEPTH {
            self.abandon(at, too_deep());
        } else {
            if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema_tag(core_tag)) {
                self.fail(at, format!("the tag {} is not supported; leave it out", tag.original().escape_debug()));
            }
            self.stack.push(Frame { place: at, anchor, nodes_before: self.nodes, height: 0, kind });
            self.nodes += 1;
        }
    }

    fn close(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        let content = match frame.kind {
            Open::List(items) => Content::List(items),
            Open::Map { entries, .. } => Content::Map(entries),
        };
        self.complete(
            Node { place: frame.place, content },
            frame.anchor,
            self.nodes - frame.nodes_before,
            frame.height + 1,
        );
    }

    /// Copies what the alias stands for: growth counts against the document's bound, so a "billion laughs" ends early.
    fn alias(&mut self, id: usize, at: Place) {
        let Some((nodes, height)) = self.anchors.get(&id).map(|anchored| (anchored.nodes, anchored.height)) else {
            return self.abandon(at, "an alias stands inside what it stands for");
        };
        if self.nodes + nodes > MANIFEST_NODES {
            return self.abandon(at, format!("aliases make the document grow beyond {MANIFEST_NODES} values"));
        }
        if self.stack.len() + height > MANIFEST_DEPTH {
            return self
                .abandon(at, format!("an alias makes the document nest more than {MANIFEST_DEPTH} levels deep"));
        }
        self.nodes += nodes;
        if let Some(node) = self.anchors.get(&id).map(|anchored| anchored.node.clone()) {
            self.complete(Node { place: at, ..node }, 0, nodes, height);
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { kind: Open::Map { key: None, .. }, .. }))
    }

    /// A node is complete: it becomes a key, a field, an item or the root.
    fn complete(&mut self, node: Node, anchor: usize, nodes: usize, height: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, height });
        }
        let at = node.place;
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.height = frame.height.max(height);
        let problem = match &mut frame.kind {
            Open::List(items) => {
                items.push(node);
                None
            }
            Open::Map { entries, keys, key } => match (key.take(), node.content) {
                (Some((name, key_place)), content) => {
                    entries.push(Entry { key: name, key_place, value: Node { place: at, content } });
                    None
                }
                (None, Content::Text(text)) => {
                    let twice = (!keys.insert(text.clone())).then(|| format!("the key {text:?} stands here twice"));
                    *key = Some((text, at));
                    twice
                }
                (None, _) => {
                    *key = Some((String::new(), at));
                    Some("a key must be text".to_owned())
                }
            },
        };
        if let Some(problem) = problem {
            self.fail(at, problem);
        }
    }
}

#[cfg(test)]
mod tests;
