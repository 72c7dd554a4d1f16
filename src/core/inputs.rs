//! What fills attributes from elsewhere: facts of other resources, which are part of the intent, and secrets, of which nothing is known here but
//! where an executor finds them.
//!
//! An intent that takes a fact requires the resource that it is a fact of. As long as a value is not known the intent is not completely known; when
//! one comes, or becomes another, so does the intent (its hash), and it is deployed as any change. Deliberately absent: attributes with values
//! filled in. Only executors make those.

use super::state::{EnvironmentState, Resource};
use super::{Facts, Hash, Hold, Intent, Name, OnChange, ResourceId, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What fills one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "InputText", into = "InputText")]
pub struct Input {
    /// Which attribute: a JSON pointer into the attributes.
    pub path: Name,
    /// A text with `{name}` for each of the values; `None`: there is one value, and it is the attribute.
    pub format: Option<Name>,
    /// Where the values come from, by name.
    pub values: BTreeMap<Name, InputSource>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InputSource {
    /// A fact of another resource.
    #[serde(rename = "factRef")]
    Fact(FactRef),
    /// A secret: a variable of the executor's environment.
    EnvironmentVariable {
        /// Its name.
        name: Name,
    },
    /// A secret: the content of a file where the executor runs.
    File {
        /// Its path.
        path: Name,
    },
}

/// An input as a manifest writes it: where there is no format, the one value has no name.
#[derive(Serialize, Deserialize)]
struct InputText {
    path: Name,
    #[serde(flatten)]
    source: Option<InputSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Name>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<Name, InputSource>,
}

impl From<InputText> for Input {
    fn from(text: InputText) -> Self {
        match text.source {
            Some(source) => Self::of(text.path, source),
            None => Self { path: text.path, format: text.format, values: text.values },
        }
    }
}

impl From<Input> for InputText {
    fn from(input: Input) -> Self {
        let Input { path, format, mut values } = input;
        let source = if format.is_none() { values.remove(Input::ONLY) } else { None };
        Self { path, source, format, values }
    }
}

/// A fact of a resource of the same environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactRef {
    /// The resource.
    pub name: Name,
    /// Which of its facts.
    pub fact: Name,
}

/// A fact and its value as an attempt gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFact {
    /// Which.
    pub of: FactRef,
    /// JSON text.
    pub value: Name,
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it is.
    Text(&'a str),
    /// The value of this name.
    Value(&'a str),
}

/// The parts of a format: `{name}` stands for a value, `{{` and `}}` for braces.
///
/// # Errors
/// What is wrong with it, in words.
pub fn format_pieces(format: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, from) = rest.split_at(at);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        if let Some(doubled) = ["{{", "}}"].into_iter().find(|doubled| from.starts_with(doubled)) {
            pieces.push(Piece::Text(doubled.split_at(1).0));
            rest = from.split_at(2).1;
        } else if let Some((name, after)) = from.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            pieces.push(Piece::Value(name));
            rest = after;
        } else {
            let brace = from.split_at(1).0;
            return Err(format!(
                "has a `{brace}` without its other half; write `{brace}{brace}` for the character itself"
            ));
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

impl Input {
    /// The name of the one value that is the attribute.
    pub const ONLY: &'static str = "value";

    /// The attribute is this value.
    pub fn of(path: Name, source: InputSource) -> Self {
        Self { path, format: None, values: BTreeMap::from([(Self::ONLY.into(), source)]) }
    }

    /// The facts that it takes.
    pub(super) fn facts_taken(&self) -> impl Iterator<Item = &FactRef> {
        self.values.values().filter_map(|source| if let InputSource::Fact(of) = source { Some(of) } else { None })
    }

    /// Something that no other input has, for a hash.
    pub(super) fn key(&self) -> Hash {
        let format = self.format.as_deref().map_or([0].as_slice(), str::as_bytes);
        let mut parts = vec![self.path.as_bytes(), format];
        for (name, source) in &self.values {
            parts.push(name.as_bytes());
            match source {
                InputSource::Fact(of) => parts.extend([b"fact", of.name.as_bytes(), of.fact.as_bytes()]),
                InputSource::EnvironmentVariable { name } => parts.extend([b"variable", name.as_bytes()]),
                InputSource::File { path } => parts.extend([b"file", path.as_bytes()]),
            }
        }
        Hash::of(&parts)
    }
}

impl Intent {
    /// The facts that it takes, in a stable order; one that is taken twice is there twice.
    pub fn facts_taken(&self) -> impl Iterator<Item = &FactRef> {
        self.inputs.iter().flat_map(Input::facts_taken)
    }

    /// The bound that its inputs exceed.
    pub(super) fn too_many_inputs(&self) -> Option<usize> {
        let values = self.inputs.iter().any(|input| input.values.len() > limits::INPUTS);
        (values || self.inputs.len() > limits::INPUTS).then_some(limits::INPUTS)
    }
}

impl EnvironmentState {
    /// What is known of a fact, as JSON text.
    pub(super) fn fact(&self, of: &FactRef) -> Option<&str> {
        self.get(self.bearer(&of.name)?)?.row.facts.get(&of.fact)
    }

    /// What an attempt gets of it: where others are in force than are known, those.
    fn fact_among<'a>(&'a self, in_force: Option<&'a str>, of: &FactRef) -> Option<&'a str> {
        in_force.and_then(|in_force| fact_in(in_force, of)).or_else(|| self.fact(of))
    }

    /// The facts that an attempt of this intent gets; those that are not known are not among them.
    pub(super) fn known_facts(&self, intent: &Intent, in_force: Option<&str>) -> Vec<KnownFact> {
        let known = |of: &FactRef| Some(KnownFact { of: of.clone(), value: self.fact_among(in_force, of)?.into() });
        intent.facts_taken().filter_map(known).collect()
    }

    /// The first fact that it takes and that is not known.
    pub(super) fn first_unknown<'a>(&self, intent: &'a Intent) -> Option<&'a FactRef> {
        intent.facts_taken().find(|of| self.fact(of).is_none())
    }

    /// The hash of an intent with the facts that it takes; `None` while one of them is not known.
    pub(super) fn hash_with_facts(&self, intent: &Intent, in_force: Option<&str>) -> Option<Hash> {
        let own = intent.hash();
        let values = intent.facts_taken().map(|of| self.fact_among(in_force, of).map(str::as_bytes));
        let values: Vec<&[u8]> = values.collect::<Option<_>>()?;
        let complete = || Hash::of(&[&[own.0.as_slice()], values.as_slice()].concat());
        Some(if values.is_empty() { own } else { complete() })
    }

    /// Looks up what its intent takes. Says nothing to anybody.
    pub(super) fn look_up_inputs(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let hash = self.hash_with_facts(&resource.row.intent, resource.row.facts_in_force.as_deref());
        if let Some(resource) = self.get_mut(id) {
            resource.with_facts = hash;
            resource.takes_facts = !resource.row.intent.inputs.is_empty();
        }
    }

    /// What its intent takes may have come, changed or gone: then it is another intent, though no version says so.
    pub(super) fn renew_inputs(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id).filter(|resource| resource.takes_facts && resource.is_live()) else {
            return;
        };
        let before = resource.hash();
        self.look_up_inputs(id);
        let Some(resource) = self.get_mut(id).filter(|resource| resource.hash() != before) else { return };
        // What is known again as it was attempted is no other intent: what it was skipped for is still to recover.
        let (known, attempted) = (resource.hash().is_some(), resource.is_current(resource.row.attempted));
        if known && (before.is_some() || !attempted) {
            resource.row.failures = 0;
            resource.row.skipped = false;
        }
        self.disarm(id);
        self.ask_back(id);
        self.touch(id);
        self.schedule_change(id);
    }

    /// What a resource is known to be has changed, and with it the intents that take it; `released`: by a change that is released, so that what
    /// follows from it is released too.
    pub(super) fn spread_facts(&mut self, id: ResourceId, before: &Facts, released: bool) {
        let Some(resource) = self.get(id) else { return };
        let (name, dependents) = (resource.row.intent.name.clone(), resource.dependents.clone());
        for dependent in dependents {
            self.keep_facts(dependent, &name, before, released || self.settings.on_change == OnChange::Automatic);
            self.renew_inputs(dependent);
        }
    }

    /// Under `Manual` what has just been found out changes nothing before a user deploys it: the facts that are in force stay so. What was never
    /// known completely was released as what it turns out to be; what follows from a released change is in force, whatever waited before.
    fn keep_facts(&mut self, id: ResourceId, source: &Name, before: &Facts, released: bool) {
        let keeps = |resource: &&Resource| {
            let other = !released || resource.row.facts_in_force.is_some();
            other && resource.is_live() && resource.with_facts.is_some()
        };
        let Some(resource) = self.get(id).filter(keeps) else { return };
        let in_force = resource.row.facts_in_force.as_deref();
        let value = |of: &FactRef| {
            let known = self.fact(of);
            let changes = of.name == *source && before.get(&of.fact) != known;
            if changes && released {
                return known;
            }
            let earlier = if changes { before.get(&of.fact) } else { known };
            in_force.and_then(|in_force| fact_in(in_force, of)).or(earlier)
        };
        let taken = || resource.row.intent.facts_taken();
        let same = taken().all(|of| value(of) == self.fact(of));
        let line = |of: &FactRef| Some(format!("{} {} {}\n", of.name, of.fact, value(of)?));
        let kept: Option<Name> = (!same).then(|| taken().filter_map(line).collect::<String>().into());
        if kept.as_deref() != in_force {
            self.put_in_force(id, kept);
        }
    }

    fn put_in_force(&mut self, id: ResourceId, facts: Option<Name>) {
        if facts.is_some() {
            self.unreleased.facts.insert(id);
        } else {
            self.unreleased.facts.remove(&id);
        }
        if let Some(resource) = self.get_mut(id) {
            resource.row.facts_in_force = facts;
        }
        self.touch(id);
    }

    /// It takes facts as they are from now on.
    pub(super) fn release_facts(&mut self, id: ResourceId) {
        if self.unreleased.facts.contains(&id) {
            self.put_in_force(id, None);
            self.renew_inputs(id);
        }
    }

    /// A fact that it takes, and that is another by now than the one that is in force.
    pub(super) fn unreleased_fact<'a>(&self, resource: &'a Resource) -> Option<&'a FactRef> {
        let in_force = resource.row.facts_in_force.as_deref()?;
        let mut taken = resource.row.intent.facts_taken();
        taken.find(|of| fact_in(in_force, of).is_some_and(|value| self.fact(of) != Some(value)))
    }

    /// Facts that it waits for, where nothing else is to be said of the resource that they are of.
    pub(super) fn tell_unknown_facts(&self, resource: &Resource, out: &mut Vec<Hold>) {
        let in_force = resource.row.facts_in_force.as_deref();
        for of in resource.row.intent.facts_taken().filter(|of| self.fact_among(in_force, of).is_none()) {
            let Some(source) = self.bearer(&of.name).and_then(|id| self.get(id)) else { continue };
            // What is deployed and has reported others will not report this one by itself.
            let never = source.published.good && !source.published.busy;
            let reported = source.row.facts.iter().map(|(name, _)| name.into()).take(limits::LISTED_NAMES);
            let reported = never.then(|| reported.collect());
            let hold = Hold::FactUnknown { name: of.name.clone(), fact: of.fact.clone(), reported };
            if !out.contains(&hold) {
                out.push(hold);
            }
        }
    }
}

/// The value of a fact among those that are in force.
fn fact_in<'a>(in_force: &'a str, of: &FactRef) -> Option<&'a str> {
    let value =
        |line: &'a str| line.strip_prefix(&*of.name)?.strip_prefix(' ')?.strip_prefix(&*of.fact)?.strip_prefix(' ');
    in_force.lines().find_map(value)
}

impl Resource {
    /// This is the hash of its newest intent.
    pub(super) fn is_current(&self, hash: Option<Hash>) -> bool {
        hash.is_some() && hash == self.hash()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_format_is_text_and_values_and_doubled_braces_are_braces() {
        let pieces = format_pieces("{{a}} {x}:{y}").unwrap();
        let expected = [
            Piece::Text("{"),
            Piece::Text("a"),
            Piece::Text("}"),
            Piece::Text(" "),
            Piece::Value("x"),
            Piece::Text(":"),
        ];
        assert_eq!(pieces.split_last().unwrap(), (&Piece::Value("y"), expected.as_slice()));
        assert_eq!(format_pieces("").unwrap(), []);
        assert!(format_pieces("a}").unwrap_err().contains("`}`") && format_pieces("{a").unwrap_err().contains("`{`"));
    }

    #[test]
    fn an_input_is_written_as_in_a_manifest_and_read_back() {
        let fact = || InputSource::Fact(FactRef { name: "a".into(), fact: "size".into() });
        let one = Input::of("/content".into(), fact());
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(text, r#"{"path":"/content","factRef":{"name":"a","fact":"size"}}"#);
        let many = Input { path: "/x".into(), format: Some("{y}".into()), values: [("y".into(), fact())].into() };
        let file = Input::of("/x".into(), InputSource::File { path: "/run/secret".into() });
        assert_eq!(serde_json::to_string(&file).unwrap(), r#"{"path":"/x","file":{"path":"/run/secret"}}"#);
        let variable = Input::of("/x".into(), InputSource::EnvironmentVariable { name: "X".into() });
        for input in [one, many, file, variable] {
            let text = serde_json::to_string(&input).unwrap();
            assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input);
        }
    }
}
