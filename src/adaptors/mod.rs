//! The base set of adaptors, one folder each, and the trait they implement.
//!
//! An adaptor knows one kind of target. It is idempotent by contract: `apply` after `apply` changes nothing.
//! Deliberately absent: order, retries and concurrency, which are the scheduler's, and deadlines and panics, which are the executor's.

pub mod host;
pub mod kubernetes;
pub(crate) mod limits;
mod log;
pub mod registry;
pub mod schema;
pub mod test;

pub use log::Log;
pub(crate) use log::Printed;

use self::registry::is_at_or_below;
use crate::core::Change;
use crate::joined::joined;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What stands in the place of a value that is not shown.
pub const SENSITIVE: &str = "(sensitive)";

/// The line of a difference that says only that this attribute differs.
pub(crate) fn sensitive_line(attribute: &str) -> String {
    format!("{attribute}: {SENSITIVE}\n")
}

/// What a type looks like to the outside.
#[derive(Clone, Debug)]
pub struct TypeSchema {
    /// `<adaptor>.<Type>`, such as `host.File`.
    pub kind: &'static str,
    /// One sentence for people.
    pub description: &'static str,
    /// JSON schema of the attributes (objects are closed: unknown attributes are errors). The keywords known are those of `api::schema`.
    pub attributes: Value,
    /// JSON pointers of the attributes that make it the same thing on its target (`/path`). Absent ones are left out of the identity;
    /// a type that lists none is identified by the resource's name.
    pub identity: &'static [&'static str],
    /// What of an identity attribute counts, by its pointer, its value and all attributes, where not all of it does; `null` where nothing does.
    pub identity_part: Option<fn(&str, &Value, &Value) -> Value>,
    /// JSON pointers of attributes whose values never appear in a diff, a log or history: they are refused where they are written in `attributes`,
    /// and come from `attributesFrom` alone.
    pub sensitive: &'static [&'static str],
    /// What an attempt reports of a thing, for other resources to use: names of letters and digits, and what they mean.
    pub facts: &'static [(&'static str, &'static str)],
    /// Rules that the schema cannot say (a path is absolute, one of two is given). Called only with attributes that fit the schema.
    pub check: Option<fn(&Value) -> Vec<schema::Complaint>>,
}

/// One resource as an adaptor sees it. Cheap enough to clone into a blocking thread.
#[derive(Clone)]
pub struct Desired {
    /// The environment's name.
    pub environment: String,
    /// The resource's name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// The target's name.
    pub target: String,
    /// How the target is reached.
    pub connection: Value,
    /// The attributes, valid against the type's schema. They may hold secrets: never to be logged.
    pub attributes: Value,
    /// JSON pointers of attributes that are filled from secrets: their values are in no difference, fact or message.
    pub sensitive: Vec<String>,
    /// What the target called it last time.
    pub remote_identity: Option<String>,
    /// Something it requires has changed: what can reload does, also where nothing differs (`difference` says so). The rest ignores it.
    pub reload: bool,
    /// The attempt's number: the idempotency key.
    pub attempt: u64,
    /// Time left when the attempt began. The host cancels (drops) the future after it.
    pub deadline: Duration,
    /// Held by everything that works on the attempt.
    pub work: Work,
    /// Takes what there is to say of the work while it goes on. Programs of `host` types say what they print there by themselves.
    pub log: Log,
}

impl Desired {
    /// The value at this JSON pointer is secret, or a part of it, or of what it is part of.
    pub fn hides(&self, pointer: &str) -> bool {
        self.sensitive.iter().any(|hidden| is_at_or_below(hidden, pointer) || is_at_or_below(pointer, hidden))
    }
}

/// Without what may be secret.
impl std::fmt::Debug for Desired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { environment, name, kind, attempt, .. } = self;
        f.debug_struct("Desired")
            .field("environment", environment)
            .field("name", name)
            .field("kind", kind)
            .field("attempt", attempt)
            .finish_non_exhaustive()
    }
}

/// Shows that something still works on an attempt. What may outlive the adaptor's future (a blocking thread) holds a clone until it has ended,
/// so that the executor begins nothing else on the target before, and gives its process up where the work does not end.
#[derive(Clone, Debug)]
pub struct Work(#[allow(dead_code, reason = "held, never read: its drop is the message")] Arc<oneshot::Sender<()>>);

/// Resolves when the last clone of its [`Work`] is gone.
#[derive(Debug)]
pub struct WorkEnded(oneshot::Receiver<()>);

impl Work {
    /// A new piece of work.
    pub fn new() -> (Self, WorkEnded) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(sender)), WorkEnded(receiver))
    }
}

impl WorkEnded {
    /// Waits until nothing works on the attempt any more.
    pub async fn wait(self) {
        // The sender is only ever dropped: the error is the message.
        let _ = self.0.await;
    }
}

/// Facts by name.
pub type FactValues = serde_json::Map<String, Value>;

/// What differs between what is and what should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What would be done about it; `Change::None` where nothing differs.
    pub change: Change,
    /// For people, line by line: `mode: 0644 -> 0600`, unified diff for text, [`SENSITIVE`] for what must not be shown.
    pub diff: String,
}

/// One kind of target.
#[async_trait]
pub trait Adaptor: Send + Sync + 'static {
    /// The types it knows.
    fn types(&self) -> Vec<TypeSchema>;
    /// JSON pointers of attributes of this type which `difference` and `facts` keep to themselves where [`Desired::hides`] says so, beside those
    /// of the schema that are always sensitive. Where others are filled from secrets, the executor shows neither differences nor facts at all.
    fn can_hide(&self, _kind: &str) -> &'static [&'static str] {
        &[]
    }
    /// JSON pointers of attributes of this type whose texts are not printed although a manifest may give them, beside those of the schema that are
    /// always sensitive.
    fn masks(&self, _kind: &str, _attributes: &Value) -> &'static [&'static str] {
        &[]
    }
    /// Reads what is, and compares. Must not change anything.
    async fn difference(&self, desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError>;
    /// Carries out the change that `difference` found. Returns what the target calls the resource, where it has a name of its own.
    async fn apply(&self, desired: &Desired, assessment: &Assessment) -> Result<Option<String>, AdaptorError>;
    /// What there is to know of the thing as it is now, by the names of its schema; nothing where it does not exist. `as_desired`: nothing
    /// differed, or all that did was applied.
    async fn facts(
        &self,
        _desired: &Desired,
        _assessment: &Assessment,
        _as_desired: bool,
    ) -> Result<FactValues, AdaptorError> {
        Ok(FactValues::new())
    }
}

/// What `difference` found, with what `apply` needs so as not to read again.
pub struct Assessment {
    /// The difference.
    pub difference: Difference,
    /// What the target calls it, where it exists and has a name of its own.
    pub remote_identity: Option<String>,
    /// The adaptor's own memory between the two calls.
    pub found: Box<dyn std::any::Any + Send + Sync>,
}

/// Why an attempt failed, in words for the user: what, where, why, what next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AdaptorError(pub String);

/// Runs `task` on a blocking thread. The closure must own a clone of the [`Desired`] it works for, and with it its [`Work`].
pub(crate) async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, AdaptorError> + Send + 'static,
) -> Result<T, AdaptorError> {
    // The executor turns a panic into a failed attempt, as any of an adaptor.
    joined(tokio::task::spawn_blocking(task))
        .await
        .map_err(|ending| AdaptorError(format!("the executor is stopping: {ending}")))?
}
