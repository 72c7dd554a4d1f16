//! Where in an object something is wrong, and what: the words in which every check of this room answers.
//!
//! Deliberately absent: files and lines; `manifest` knows those, objects from a cluster have none.

use crate::api::limits::SHOWN_CHARACTERS;
use std::fmt;

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A key of an object.
    Key(Box<str>),
    /// A position in a list.
    Index(usize),
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
        }
    }
}

/// The way from the root of an object to a field: `spec.requires[3]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The path through these keys.
    pub fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Segment::Key((*key).into())).collect())
    }

    /// One key further.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Key(key.into()));
        Self(segments)
    }

    /// One position further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut segments = self.0.clone();
        segments.push(Segment::Index(index));
        Self(segments)
    }

    /// Its steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if is_plain(key) => write!(f, "{}{key}", if position == 0 { "" } else { "." })?,
                Segment::Key(key) => write!(f, "[{}]", shown(key))?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$'))
}

/// Which part of a field is wrong: decides where a file's line and column point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its name.
    Key,
    /// Its value.
    Value,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// Which field.
    pub path: FieldPath,
    /// Which part of it.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be guessed.
    pub suggestion: Option<String>,
}

impl FieldError {
    /// The value of a field is wrong.
    pub fn value(path: FieldPath, message: impl Into<String>) -> Self {
        Self { path, part: Part::Value, message: message.into(), suggestion: None }
    }

    /// The name of a field is wrong.
    pub fn key(path: FieldPath, message: impl Into<String>) -> Self {
        Self { path, part: Part::Key, message: message.into(), suggestion: None }
    }

    /// With a suggestion, where there is one.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.0.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

/// An untrusted text as an error message repeats it: quoted, cut, with control and direction characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// The candidate that `given` was probably meant to be.
pub fn closest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: String = given.chars().take(SHOWN_CHARACTERS).collect();
    let lower = given.to_lowercase();
    let similarity = |candidate: &str| strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let score = similarity(candidate);
        if score >= 0.6 && best.is_none_or(|(other, _)| score > other) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The same as a question: `did you mean …?`.
pub fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(given, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_those_of_kubernetes() {
        let path = FieldPath::of(&["spec", "attributes"]).key("a.b").index(3).key("c");
        assert_eq!(path.to_string(), "spec.attributes[\"a.b\"][3].c");
    }

    #[test]
    fn hostile_text_is_escaped_and_cut() {
        assert_eq!(shown("a\u{202e}b\0"), r#""a\u{202e}b\0""#);
        assert!(shown(&"x".repeat(10_000)).len() < 80);
    }

    #[test]
    fn suggestions_come_from_what_is_near() {
        assert_eq!(did_you_mean("require", ["requires", "type"]).as_deref(), Some("did you mean `requires`?"));
        assert_eq!(
            did_you_mean("host.file", ["host.File", "host.Directory"]).as_deref(),
            Some("did you mean `host.File`?")
        );
        assert_eq!(did_you_mean("zzz", ["requires", "type"]), None);
    }
}
