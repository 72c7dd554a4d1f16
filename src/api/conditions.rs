//! Conditions as kstatus reads them: `Ready`, with the abnormal-true pair `Reconciling` and `Stalled`, and the extras `Paused` and `Drifted`.
//!
//! Messages are one line and stable (no times, no map order), so that nothing is written when nothing changed.
//! Deliberately absent: which state leads to which condition; that is decided where the state is known.

use super::names::DateTime;
pub use crate::api::limits::MESSAGE_CHARACTERS;
use crate::core::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One condition of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which condition.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub kind: String,
    /// Whether it holds.
    #[schemars(schema_with = "status_schema")]
    pub status: String,
    /// The generation of the object this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: DateTime,
    /// Why, for programs.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    #[schemars(length(max = 32_768))]
    pub message: String,
}

fn status_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["True", "False", "Unknown"]})
}

/// The conditions Homeostat sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// It is as it should be.
    Ready,
    /// Something is being done about it.
    Reconciling,
    /// A human must do something about it.
    Stalled,
    /// It is suspended.
    Paused,
    /// A difference was found and left.
    Drifted,
}

impl ConditionType {
    /// As `type` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Paused => "Paused",
            Self::Drifted => "Drifted",
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl Truth {
    /// As `status` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Why a condition is as it is, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name),*
        }

        impl Reason {
            /// As `reason` says it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }
        }
    };
}

reasons! {
    /// Deployed as last written.
    Compliant,
    /// All resources are settled, accepted and good.
    AllCompliant,
    /// Seen, not yet accepted.
    Pending,
    /// Accepted, waiting for its turn.
    Queued,
    /// An attempt runs.
    Deploying,
    /// The last attempt failed; another follows.
    ProgressingWithRetry,
    /// Some resources are not yet good.
    ResourcesNotReady,
    /// Something it requires is not good.
    DependencyNotReady,
    /// Something it requires does not exist (yet).
    DependencyNotFound,
    /// It takes a fact of another resource that is not known (yet).
    WaitingForFact,
    /// Its Target does not exist (yet).
    TargetNotFound,
    /// Its Environment does not exist (yet).
    EnvironmentNotFound,
    /// Its Executor does not exist (yet).
    ExecutorNotFound,
    /// No executor can run it.
    ExecutorUnavailable,
    /// No executor is connected, and none is needed.
    Idle,
    /// Executors are connected.
    Connected,
    /// Executors are being started.
    Starting,
    /// Its spec is refused.
    InvalidSpec,
    /// The stored object does not decode.
    Undecodable,
    /// It transitively requires itself.
    DependencyCycle,
    /// Another resource already is this thing on this target.
    DuplicateIdentity,
    /// It would become another thing on its target, and its policy forbids that.
    Replaces,
    /// It belongs to another resource set.
    OtherSet,
    /// Its environment takes its intent by push, not from objects.
    WrongSource,
    /// Some resources need a human.
    ResourcesStalled,
    /// The last attempt failed, and nothing is tried for now.
    DeployFailed,
    /// A defect of the operator.
    InternalError,
    /// A bound is exceeded.
    TooLarge,
    /// Suspended by the user.
    Suspended,
    /// Its target is closed to such work until its next window.
    OutsideWindow,
    /// It is accepted, and comes into force when a user deploys it.
    WaitingForRelease,
    /// A difference was found, and is only reported.
    Drifted,
    /// It is being deleted on its target.
    Deleting,
    /// Its deletion waits for others that need it.
    DeletionWaits,
    /// Much was removed at once; somebody must approve that it is deleted.
    RemovalApproval,
    /// It would become another thing on its target; somebody must approve that.
    ReplaceApproval,
    /// It is protected, and is never deleted.
    Protected,
    /// History is not available.
    HistoryUnavailable,
    /// The operator lacks a right.
    Forbidden,
    /// All is well.
    Ready,
}

/// Sets a condition. The transition time is kept unless the status changes. Returns whether anything changed.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    status: Truth,
    (reason, message): (Reason, &str),
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let mut new = Condition {
        kind: kind.as_str().to_owned(),
        status: status.as_str().to_owned(),
        observed_generation: generation,
        last_transition_time: date_time(now),
        reason: reason.as_str().to_owned(),
        message: one_line(message),
    };
    if let Ok(position) = conditions.binary_search_by(|other| order(&other.kind).cmp(&order(kind.as_str()))) {
        match conditions.get_mut(position) {
            Some(old) => {
                if old.status == new.status {
                    new.last_transition_time = old.last_transition_time.clone();
                }
                let changed = *old != new;
                *old = new;
                changed
            }
            None => false,
        }
    } else {
        conditions.push(new);
        conditions.sort_by(|a, b| order(&a.kind).cmp(&order(&b.kind)));
        true
    }
}

/// Removes a condition. Returns whether it was there.
pub fn remove(conditions: &mut Vec<Condition>, kind: ConditionType) -> bool {
    let before = conditions.len();
    conditions.retain(|condition| condition.kind != kind.as_str());
    conditions.len() != before
}

/// The condition of this type.
pub fn get(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.kind == kind.as_str())
}

/// `Ready` first, strangers last, so that a list never changes by its order alone.
fn order(kind: &str) -> (usize, &str) {
    const ORDER: [&str; 5] = ["Ready", "Reconciling", "Stalled", "Paused", "Drifted"];
    (ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len()), kind)
}

/// A point in time as Kubernetes writes it: RFC 3339, UTC, whole seconds.
pub fn date_time(at: Timestamp) -> DateTime {
    let seconds = jiff::Timestamp::from_second(at.0.div_euclid(1_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    DateTime(seconds.to_string())
}

/// A message on one line, bounded, without control characters.
pub fn one_line(message: &str) -> String {
    let mut line: String =
        message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARACTERS).collect();
    if message.chars().nth(MESSAGE_CHARACTERS).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut list = Vec::new();
        assert!(set(
            &mut list,
            ConditionType::Stalled,
            Truth::True,
            (Reason::InvalidSpec, "a"),
            Some(1),
            Timestamp(1_000)
        ));
        assert!(set(&mut list, ConditionType::Ready, Truth::False, (Reason::Queued, "a"), Some(1), Timestamp(1_000)));
        assert_eq!(list[0].kind, "Ready");
        assert!(!set(&mut list, ConditionType::Ready, Truth::False, (Reason::Queued, "a"), Some(1), Timestamp(9_000)));
        assert!(set(
            &mut list,
            ConditionType::Ready,
            Truth::False,
            (Reason::Deploying, "b"),
            Some(1),
            Timestamp(9_000)
        ));
        assert_eq!(&*list[0].last_transition_time, "1970-01-01T00:00:01Z");
        assert!(set(&mut list, ConditionType::Ready, Truth::True, (Reason::Compliant, ""), Some(2), Timestamp(9_999)));
        assert_eq!(&*list[0].last_transition_time, "1970-01-01T00:00:09Z");
        assert!(remove(&mut list, ConditionType::Stalled) && !remove(&mut list, ConditionType::Stalled));
        assert!(get(&list, ConditionType::Ready).is_some());
    }

    #[test]
    fn messages_are_one_bounded_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(one_line(&"é".repeat(5_000)).chars().count(), MESSAGE_CHARACTERS);
    }
}
