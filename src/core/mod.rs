//! The brain: what must run, when, and why something does not. Synchronous and deterministic.
//!
//! **Architecture invariant:** nothing here performs I/O, reads a clock, draws randomness, is `async`, or knows a type of Kubernetes or SQL.
//! Time comes in as [`Timestamp`], randomness as hashes of stable ids; everything that must happen outside goes out as [`Effects`].

#![warn(clippy::disallowed_methods)]

mod apply;
mod approval;
mod cancel;
mod circles;
mod cycles;
mod derive;
mod dispatch;
mod dry_runs;
mod effect;
mod event;
mod executors;
mod facts;
mod finish;
mod graph;
mod hash;
mod holds;
mod id_set;
mod ids;
mod inputs;
mod inspect;
mod intake;
mod intent;
pub mod limits;
mod line;
mod loaded;
mod lost;
mod notify;
mod outcome;
mod plan;
mod priority;
mod queue;
mod ready;
mod record;
mod release;
mod removal;
mod report;
mod requests;
mod restore;
mod revisit;
mod room;
mod secrets;
mod settings;
mod share;
mod starts;
mod state;
mod step;
mod suspensions;
mod tell;
mod time;
mod timers;
mod vector;
mod view;
mod windows;

#[cfg(test)]
mod tests;

pub use effect::{Effects, Message};
pub use event::{
    DryRunItem, DryRunRequest, Event, Forget, Push, PushMode, Refusal, RefusalKind, Request, RequestKind, Scope,
    cycle_in_words,
};
pub use facts::{Facts, is_fact_name};
pub use hash::Hash;
pub use ids::{
    AttemptId, DryRunId, Epoch, ExecutorName, Name, PoolName, RequestId, ResourceId, SessionNumber, TargetName,
    VersionNumber,
};
pub use inputs::{FactRef, Input, InputSource, KnownFact, Piece, format_pieces};
pub use intent::{DeletionPolicy, Intent, IntentParts, Mode, Notify, Policy, Replace};
pub use loaded::LoadedRow;
pub use outcome::{Change, Finding, Grant, Operation, Outcome, OutcomeKind, Reason};
pub use plan::PushPlan;
pub use record::{
    IntentRecord, OpenGrant, Pending, Record, ReloadDebt, RequestRecord, ResourceRow, Snapshot, Thing, VersionRecord,
};
pub use settings::{
    OnChange, Pool, RateLimit, Repair, RepairAction, RepairSchedule, Retention, Retry, Settings, Target, Window,
    Windows,
};
pub use state::EnvironmentState;
pub use step::step;
pub use suspensions::Suspension;
pub use time::Timestamp;
use time::rfc3339;
pub use vector::{Blocked, Compliance, LastResult, Life, Observed};
pub use view::{Counts, Hold, ResourceView, Running, Versions, WindowKind};
pub use windows::{check_cron, knows_time_zone};
