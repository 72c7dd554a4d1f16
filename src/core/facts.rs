//! Facts: values that an attempt learned of a thing on its target, to which other intents may refer.
//!
//! They are the newest success's own: each one replaces all of them, a failure leaves what was known. A refresh is a report of a single question:
//! it looks, says what it found, corrects nothing. Deliberately absent: what a value means. It is JSON text here, compared byte for byte.

use super::state::{EnvironmentState, Resource, Run};
use super::{Finding, Name, Operation, OutcomeKind, Reason, ResourceId, limits};
use serde::{Deserialize, Serialize};

/// What is known of one thing: names and JSON values, sorted by name. Takes no room where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(
    /// One line `name value` each: a name has no blank, and JSON text no line break.
    Option<Name>,
);

impl Facts {
    /// Keeps what is within the bounds: names of letters and digits, values of one line. Of two values of one name the last.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(facts: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut kept = std::collections::BTreeMap::new();
        let mut bytes = 0;
        for (name, value) in facts {
            let (name, value) = (name.as_ref(), value.as_ref());
            let size = name.len() + value.len() + 2;
            if !is_fact_name(name) || value.is_empty() || value.contains(['\n', '\0']) {
                continue;
            }
            if kept.len() < limits::FACTS && bytes + size <= limits::FACTS_BYTES {
                bytes += size;
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        let lines =
            kept.iter().flat_map(|(name, value)| [name.as_str(), " ", value.as_str(), "\n"]).collect::<String>();
        Self((!lines.is_empty()).then(|| lines.into()))
    }

    /// Reads what [`Facts::text`] gave.
    pub fn from_text(text: Option<&str>) -> Self {
        Self(text.filter(|text| !text.is_empty()).map(Into::into))
    }

    /// All of them in one text, for history; `None` where there are none.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Names and values as JSON text, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.as_deref().unwrap_or_default().lines().filter_map(|line| line.split_once(' '))
    }

    /// The value of one, as JSON text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Whether a fact may be called so.
pub fn is_fact_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    letters && name.len() <= limits::FACT_NAME_BYTES && name.starts_with(|first: char| first.is_ascii_alphabetic())
}

impl EnvironmentState {
    /// A refresh of the facts of this resource would look at something: its newest intent is deployed, or only ever observed.
    pub fn can_be_refreshed(&self, name: &str) -> bool {
        let resource = self.find(name).and_then(|id| self.get(id));
        resource.is_some_and(|resource| !self.undefined(resource) && resource.can_be_reported())
    }

    /// What an outcome is recorded with: its facts only where they are news.
    pub(super) fn news(&self, id: ResourceId, kind: &OutcomeKind) -> OutcomeKind {
        let mut kind = kind.clone();
        if let OutcomeKind::Succeeded(finding) | OutcomeKind::Failed { finding: Some(finding), .. } = &mut kind {
            finding.secret_digest = None;
        }
        if let OutcomeKind::Succeeded(finding) | OutcomeKind::Failed { finding: Some(finding), .. } = &mut kind
            && self.get(id).is_some_and(|resource| resource.row.facts == finding.facts)
        {
            finding.facts = Facts::default();
        }
        kind
    }

    /// Queues a look at the facts of a resource. Whatever is queued for it already will bring them (`enqueue`).
    pub(super) fn enqueue_refresh(&mut self, id: ResourceId) {
        self.drop_what_is_due(id);
        self.enqueue(id, Reason::FactRefresh);
    }
}

impl Resource {
    /// Takes what a success has learned. What was removed while it ran is somebody else's by now.
    /// Where that is news, returns what was known before.
    pub(super) fn learn(&mut self, run: &Run, finding: &Finding) -> Option<Facts> {
        // One that was to verify other secrets than it found has read nothing; of a stale one nobody can tell.
        let verified = finding.secret_digest.is_some() && self.row.succeeded == Some(run.hash);
        let vague = verified && !self.is_current(Some(run.hash));
        let news = run.credited && !vague && run.operation != Operation::Delete && self.row.facts != finding.facts;
        news.then(|| std::mem::replace(&mut self.row.facts, finding.facts.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn facts_are_kept_by_name_and_come_back_from_their_text() {
        let facts = Facts::new([("size", "5"), ("owner", "\"a b\""), ("size", "6")]);
        assert_eq!(facts.iter().collect::<Vec<_>>(), [("owner", "\"a b\""), ("size", "6")]);
        assert_eq!((facts.get("size"), facts.get("siz")), (Some("6"), None));
        assert_eq!(Facts::from_text(facts.text()), facts);
        assert!(Facts::from_text(None).is_empty() && Facts::from_text(Some("")).is_empty());
    }

    #[test]
    fn what_is_out_of_bounds_is_no_fact() {
        let long = "1".repeat(limits::FACTS_BYTES);
        let odd = [("", "1"), ("a b", "1"), ("1a", "1"), ("a", ""), ("b", "1\n2"), ("c", long.as_str())];
        assert_eq!(Facts::new(odd), Facts::default());
        let many = (0..limits::FACTS + 9).map(|number| (format!("f{number}"), "1"));
        assert_eq!(Facts::new(many).iter().count(), limits::FACTS);
    }
}
