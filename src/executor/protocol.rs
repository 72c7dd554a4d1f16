//! The wire messages, and their translation from and to the words of `core`.
//!
//! What comes from an executor is untrusted: it is bounded, control characters are escaped, unknown values are refused. What comes from the owner
//! is trusted, and checked only so that a mistake becomes a failed attempt instead of a crash.

mod log;

pub use log::bounded_log;

use super::inputs;
use crate::adaptors::{FactValues, registry};
use crate::core::{
    AttemptId, Change, ExecutorName, Facts, Finding, Grant, Hash, Name, Operation, Outcome, OutcomeKind, PoolName,
    Timestamp, limits,
};
use serde_json::Value;
use std::fmt::Write as _;

/// The generated messages, client and server.
#[allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
pub mod wire {
    tonic::include_proto!("homeostat.executor.v1");
}

/// What an executor said of itself, checked.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// Its environment.
    pub environment: Name,
    /// Its pool.
    pub pool: PoolName,
    /// Its id, unique per process run.
    pub executor: ExecutorName,
    /// The highest epoch it has seen.
    pub highest_epoch: u64,
    /// Grants it takes before it has answered some.
    pub credits: u32,
    /// Attempts it still knows.
    pub holds: Vec<AttemptId>,
    /// Types its adaptors know.
    pub types: Vec<Name>,
    /// Its release.
    pub release: Name,
}

/// Why a message of an executor was not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProtocolError {
    /// The stream did not begin with a hello.
    #[error("the first message of an executor's stream must be its hello")]
    NoHello,
    /// A name is empty, too long, or has characters that no name has.
    #[error("the executor's {field} must have 1 to {most} printable characters, none of them a blank", most = limits::NAME_BYTES)]
    BadName {
        /// Which name.
        field: &'static str,
    },
    /// There is more of something than can be.
    #[error("the executor announces {found} {what}, at most {most} are possible")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it says.
        found: usize,
        /// How many there can be.
        most: usize,
    },
}

impl Greeting {
    /// Checks a hello.
    pub fn check(hello: wire::Hello) -> Result<Self, ProtocolError> {
        let too_many =
            |what, found, most| if found > most { Err(ProtocolError::TooMany { what, found, most }) } else { Ok(()) };
        too_many("holds", hello.holds.len(), limits::HOLDS)?;
        too_many("types", hello.types.len(), limits::EXECUTOR_TYPES)?;
        Ok(Self {
            environment: name("environment", &hello.environment)?,
            pool: name("pool", &hello.pool)?,
            executor: name("id", &hello.executor)?,
            highest_epoch: hello.highest_epoch,
            credits: hello.credits.clamp(1, limits::CREDITS),
            holds: hello.holds.into_iter().map(AttemptId).collect(),
            types: hello.types.iter().map(|kind| name("type", kind)).collect::<Result<_, _>>()?,
            release: bounded(&hello.release, limits::NAME_BYTES),
        })
    }
}

fn name(field: &'static str, text: &str) -> Result<Name, ProtocolError> {
    let printable = text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !is_invisible(c));
    if text.is_empty() || text.len() > limits::NAME_BYTES || !printable {
        Err(ProtocolError::BadName { field })
    } else {
        Ok(text.into())
    }
}

/// A grant as it travels.
pub fn grant_to_wire(grant: &Grant, environment: &str) -> wire::Grant {
    let intent = &grant.intent;
    wire::Grant {
        attempt: grant.attempt.0,
        epoch: grant.epoch.0,
        name: intent.name.to_string(),
        r#type: intent.kind.to_string(),
        target: intent.target.to_string(),
        connection: grant.connection.to_string(),
        concurrency: grant.concurrency.max(1),
        operation: operation_to_wire(grant.operation).into(),
        attributes: intent.attributes.to_string(),
        identity: intent.identity.to_string(),
        remote_identity: grant.remote_identity.as_deref().unwrap_or_default().to_owned(),
        deadline_ms: intent.policy.deadline_ms,
        environment: environment.to_owned(),
        reload: grant.reload.is_some(),
        inputs: inputs::to_wire(grant),
        secret_digest: grant.secret_digest.map(|digest| digest.0.to_vec()).unwrap_or_default(),
        once_secret: grant.once_secret.iter().map(ToString::to_string).collect(),
    }
}

const fn operation_to_wire(operation: Operation) -> wire::Operation {
    match operation {
        Operation::Enforce => wire::Operation::Enforce,
        Operation::Observe => wire::Operation::Observe,
        Operation::DryRun => wire::Operation::DryRun,
        Operation::Delete => wire::Operation::Delete,
    }
}

/// The operation of a grant; `None` where the owner knows one that this release does not.
pub fn operation_from_wire(operation: i32) -> Option<Operation> {
    match wire::Operation::try_from(operation).ok()? {
        wire::Operation::Unspecified => None,
        wire::Operation::Enforce => Some(Operation::Enforce),
        wire::Operation::Observe => Some(Operation::Observe),
        wire::Operation::DryRun => Some(Operation::DryRun),
        wire::Operation::Delete => Some(Operation::Delete),
    }
}

/// A change as it travels.
pub const fn change_to_wire(change: Change) -> wire::Change {
    match change {
        Change::None => wire::Change::None,
        Change::Create => wire::Change::Create,
        Change::Update => wire::Change::Update,
        Change::Replace => wire::Change::Replace,
        Change::Delete => wire::Change::Delete,
    }
}

fn change_from_wire(change: i32) -> Option<Change> {
    match wire::Change::try_from(change).ok()? {
        wire::Change::Unspecified => None,
        wire::Change::None => Some(Change::None),
        wire::Change::Create => Some(Change::Create),
        wire::Change::Update => Some(Change::Update),
        wire::Change::Replace => Some(Change::Replace),
        wire::Change::Delete => Some(Change::Delete),
    }
}

/// An outcome from an untrusted result that arrived at `now`, by the owner's clock.
pub fn outcome_from_wire(result: &wire::Result, now: Timestamp) -> Outcome {
    let finished_at = earlier(now, result.finished_ms_ago);
    let began_at = result.began_ms_ago.map(|age| Timestamp(earlier(now, age).0.min(finished_at.0)));
    let log = bounded_log(&result.log, 0);
    Outcome { attempt: AttemptId(result.attempt), began_at, finished_at, kind: kind_from_wire(result), log }
}

/// The outcome of a grant that was given back unbegun.
pub const fn revoked(attempt: u64, now: Timestamp) -> Outcome {
    Outcome { attempt: AttemptId(attempt), began_at: None, finished_at: now, kind: OutcomeKind::Revoked, log: None }
}

fn kind_from_wire(result: &wire::Result) -> OutcomeKind {
    let refused = |message: String| OutcomeKind::Failed { message: message.into(), finding: None };
    let remote_identity = match result.remote_identity.as_str() {
        "" => None,
        text if text.len() > limits::IDENTITY_BYTES => {
            return refused(format!(
                "the executor reports a remote identity of {} bytes; at most {} can be kept. The target may have been changed.",
                text.len(),
                limits::IDENTITY_BYTES
            ));
        }
        text if text.chars().any(|c| c.is_control() || is_invisible(c)) => {
            return refused(
                "the executor reports a remote identity with control characters. The target may have been changed."
                    .to_owned(),
            );
        }
        text => Some(Name::from(text)),
    };
    let finding = change_from_wire(result.change).map(|change| Finding {
        change,
        diff: if change == Change::None { "".into() } else { bounded(&result.diff, limits::DIFF_BYTES) },
        remote_identity,
        facts: facts_from_wire(&result.facts),
        secret_digest: result.secret_digest.as_slice().try_into().ok().map(Hash),
    });
    match (result.error.as_str(), finding) {
        ("", Some(finding)) => OutcomeKind::Succeeded(finding),
        ("", None) => refused(format!(
            "the executor reports success without a change this release knows ({}). Is it newer than the operator?",
            result.change
        )),
        (error, finding) => OutcomeKind::Failed { message: bounded(error, limits::MESSAGE_BYTES), finding },
    }
}

/// Facts that an executor reports, those that can be kept.
fn facts_from_wire(facts: &[wire::Fact]) -> Facts {
    // As it is written here, however the executor wrote it: equal values are equal texts.
    let value = |fact: &wire::Fact| serde_json::from_str::<Value>(&fact.value).ok();
    Facts::new(facts.iter().filter_map(|fact| Some((fact.name.as_str(), registry::canonical(&value(fact)?)))))
}

/// Facts as they travel.
pub fn facts_to_wire(facts: &FactValues) -> Vec<wire::Fact> {
    let fact = |(name, value): (&String, &Value)| wire::Fact { name: name.clone(), value: value.to_string() };
    facts.iter().take(limits::FACTS).map(fact).collect()
}

fn earlier(now: Timestamp, age_ms: u64) -> Timestamp {
    Timestamp(now.0.saturating_sub_unsigned(age_ms).max(0))
}

/// Text from outside as it may be kept and shown: control and invisible direction characters escaped (line breaks and tabs stay), cut with a mark.
pub fn bounded(text: &str, most_bytes: usize) -> Name {
    // Nearly all of it stays as it is.
    if text.len() <= most_bytes && text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        return text.into();
    }
    let mut kept = String::with_capacity(text.len().min(most_bytes));
    for (position, character) in text.char_indices() {
        let before = kept.len();
        if (character.is_control() && !matches!(character, '\n' | '\t')) || is_invisible(character) {
            // Writing to a String does not fail.
            let _ = write!(kept, "{}", character.escape_unicode());
        } else {
            kept.push(character);
        }
        if kept.len() > most_bytes {
            kept.truncate(before);
            return cut(kept, text.len() - position, most_bytes).into();
        }
    }
    kept.into()
}

/// Appends the mark, making room for it.
fn cut(mut kept: String, mut left_out: usize, most_bytes: usize) -> String {
    const MARK_BYTES: usize = 48;
    let room = most_bytes.saturating_sub(MARK_BYTES);
    while kept.len() > room {
        left_out += kept.pop().map_or(0, char::len_utf8);
    }
    let _ = write!(kept, "… ({left_out} bytes more)");
    kept
}

/// Characters that change how the text around them is shown, without being seen.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
