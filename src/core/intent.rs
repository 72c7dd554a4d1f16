//! What must be true of one resource. Built once at an edge from untrusted input, immutable and shared from then on.

use super::{Hash, Input, Name, TargetName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether differences are corrected or only observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Read, diff, apply what differs.
    #[default]
    Enforce,
    /// Read and diff; never apply.
    Observe,
}

/// What happens on the target when the resource is removed from the intent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// Delete it on the target.
    #[default]
    Delete,
    /// Leave it there and forget it.
    Orphan,
}

/// What happens when a name becomes another thing: on another target, of another type, or with another identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Replace {
    /// The old thing is deleted, then the new one is made.
    #[default]
    DeleteFirst,
    /// The new thing is made; the old one is deleted when the new one is good.
    CreateFirst,
    /// Such an intent is refused.
    Never,
    /// Such an intent is accepted, and not released before a user has approved it; then the old thing is deleted first.
    Approve,
}

/// How a resource is treated, as opposed to what it is. Serialized, it leaves out what is the default, its deadline apart: history has it once for
/// each intent, and nearly all are alike. A default that changes would change what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Enforce or observe. Part of the intent hash: switching runs one attempt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Delete or orphan.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deletion_policy: DeletionPolicy,
    /// Never deleted on its target; removed, it stays a tombstone that holds what it required.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protected: bool,
    /// What happens when its name becomes another thing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replace: Replace,
    /// How long one attempt may take before it is cancelled, in milliseconds.
    pub deadline_ms: u64,
    /// Whether changes are told to what requires it, and heard from what it requires.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify: Notify,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Who is told to reload when something changes. Both ends must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Notify {
    /// What requires it is told when an attempt has changed it.
    pub send: bool,
    /// It is told when something it requires and that sends has changed.
    pub receive: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self { send: false, receive: true }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            deletion_policy: DeletionPolicy::Delete,
            protected: false,
            replace: Replace::DeleteFirst,
            deadline_ms: super::limits::DEFAULT_DEADLINE_MS,
            notify: Notify::default(),
        }
    }
}

/// The desired state of one resource. What a grant reads of it comes first, beside the count of who shares it: one line of memory, not three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "IntentParts", into = "IntentParts")]
#[repr(C)]
pub struct Intent {
    hash: Hash,
    parts: IntentParts,
}

/// The fields of an [`Intent`], before they are made canonical and hashed. In this order in memory too, for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(C)]
pub struct IntentParts {
    /// How it is treated.
    pub policy: Policy,
    /// What fills attributes from elsewhere. Sorted by path.
    #[serde(default, rename = "attributesFrom", skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Unique in its environment.
    pub name: Name,
    /// `<adaptor>.<Type>`, such as `host.File`.
    #[serde(rename = "type")]
    pub kind: Name,
    /// The `Target` it is deployed on.
    pub target: TargetName,
    /// The values of the type's identity attributes, as canonical JSON: what makes it the same thing on its target.
    pub identity: Name,
    /// The attributes as canonical JSON text (object keys sorted). Never interpreted here.
    pub attributes: Name,
    /// Names of resources that must be good before this one is attempted. Sorted, without duplicates.
    pub requires: Vec<Name>,
    /// By which people and selectors find it; they say nothing of what it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Name>,
}

impl Intent {
    /// Sorts the lists, requires what it takes facts of, and computes the hash.
    pub fn new(mut parts: IntentParts) -> Self {
        parts.inputs.sort_by(|one, other| one.path.cmp(&other.path));
        parts.requires.extend(parts.inputs.iter().flat_map(Input::facts_taken).map(|of| of.name.clone()));
        parts.requires.sort_unstable();
        parts.requires.dedup();
        let mode = [parts.policy.mode as u8];
        let inputs: Vec<Hash> = parts.inputs.iter().map(Input::key).collect();
        let mut own = vec![parts.kind.as_bytes(), parts.target.as_bytes(), parts.attributes.as_bytes(), &mode];
        own.extend(inputs.iter().map(|key| key.0.as_slice()));
        let hash = Hash::of(&own);
        Self { hash, parts }
    }

    /// Changes exactly when a new attempt is needed: type, target, attributes, what fills them, and mode; not the edges, and not yet what a fact
    /// that it takes is.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Changes when anything does: for a digest of many. Computed each time; to compare two, compare them.
    pub fn content(&self) -> Hash {
        // The rest is in the other hash.
        let IntentParts { name, identity, requires, labels, policy, kind: _, target: _, attributes: _, inputs: _ } =
            &self.parts;
        let Policy { mode: _, deletion_policy, protected, replace, deadline_ms, notify } = policy;
        let [send, receive, protected] = [notify.send, notify.receive, *protected].map(u8::from);
        let treated = [*deletion_policy as u8, *replace as u8, send, receive, protected];
        let (deadline, count) = (deadline_ms.to_le_bytes(), (requires.len() as u64).to_le_bytes());
        let mut all: Vec<&[u8]> = vec![&self.hash.0, name.as_bytes(), identity.as_bytes(), &treated, &deadline, &count];
        all.extend(requires.iter().map(|name| name.as_bytes()));
        all.extend(labels.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]));
        Hash::of(&all)
    }
}

impl Default for Intent {
    fn default() -> Self {
        Self::new(IntentParts::default())
    }
}

impl std::ops::Deref for Intent {
    type Target = IntentParts;

    fn deref(&self) -> &IntentParts {
        &self.parts
    }
}

impl From<IntentParts> for Intent {
    fn from(parts: IntentParts) -> Self {
        Self::new(parts)
    }
}

impl From<Intent> for IntentParts {
    fn from(intent: Intent) -> Self {
        intent.parts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{FactRef, InputSource};

    #[test]
    fn what_is_stored_of_a_policy_always_means_the_same() {
        let usual = Policy {
            mode: Mode::Enforce,
            deletion_policy: DeletionPolicy::Delete,
            protected: false,
            replace: Replace::DeleteFirst,
            deadline_ms: Policy::default().deadline_ms,
            notify: Notify { send: false, receive: true },
        };
        let unusual = Policy {
            mode: Mode::Observe,
            deletion_policy: DeletionPolicy::Orphan,
            protected: true,
            replace: Replace::CreateFirst,
            deadline_ms: 1,
            notify: Notify { send: true, receive: false },
        };
        let all = r#"{"mode":"Observe","deletionPolicy":"Orphan","protected":true,"replace":"CreateFirst","deadlineMs":1,"notify":{"send":true,"receive":false}}"#;
        for (policy, stored) in [(usual, r#"{"deadlineMs":600000}"#), (unusual, all)] {
            assert_eq!(serde_json::to_string(&policy).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Policy>(stored).unwrap(), policy);
        }
        for unknown in ["{}", r#"{"deadlineMs":1,"deletionpolicy":"Orphan"}"#, r#"{"deadlineMs":1,"replace":"Ask"}"#] {
            assert!(serde_json::from_str::<Policy>(unknown).is_err(), "{unknown} is not what it seems");
        }
    }

    #[test]
    fn whatever_changes_in_an_intent_changes_its_content() {
        let fact = InputSource::Fact(FactRef { name: "a".into(), fact: "size".into() });
        let changes: [fn(&mut IntentParts, &InputSource); 14] = [
            |parts, _| parts.name = "other".into(),
            |parts, _| parts.kind = "host.Other".into(),
            |parts, _| parts.target = "other".into(),
            |parts, _| parts.identity = "other".into(),
            |parts, _| parts.attributes = "other".into(),
            |parts, _| parts.requires.push("other".into()),
            |parts, _| parts.labels = [("app".into(), "web".into())].into(),
            |parts, fact| parts.inputs.push(Input::of("/content".into(), fact.clone())),
            |parts, _| parts.policy.mode = Mode::Observe,
            |parts, _| parts.policy.deletion_policy = DeletionPolicy::Orphan,
            |parts, _| parts.policy.protected = true,
            |parts, _| parts.policy.replace = Replace::Approve,
            |parts, _| parts.policy.deadline_ms += 1,
            |parts, _| parts.policy.notify.send = true,
        ];
        let before = Intent::default();
        assert_eq!(before.content(), Intent::default().content());
        for (number, change) in changes.iter().enumerate() {
            let mut parts = IntentParts::default();
            change(&mut parts, &fact);
            let after = Intent::new(parts);
            assert!(after != before && after.content() != before.content(), "change {number}");
        }
    }
}
