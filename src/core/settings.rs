//! How an environment, its targets and its executor pools are run. Not versioned: what is wanted is, how it is done is not.

use super::{Name, PoolName, TargetName};
use serde::{Deserialize, Serialize};

/// Settings of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Nothing new starts; acceptance goes on.
    pub suspend: bool,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// How good resources are verified again.
    pub repair: Repair,
    /// Attempts that executors may have at once, in the whole environment; dry runs apart. `None`: as many as its targets take.
    #[serde(default)]
    pub max_in_flight: Option<u32>,
    /// When an accepted version comes into force.
    #[serde(default)]
    pub on_change: OnChange,
    /// How much of the past is kept.
    #[serde(default)]
    pub retention: Retention,
}

/// How much of the past is kept. What is wanted now, and what it stands on, is kept whatever its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// So many of the newest versions, at least 1.
    pub versions: u32,
    /// Attempts, requests and dry runs, for so many milliseconds after their end.
    pub attempts_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { versions: 1_000, attempts_ms: 90 * 24 * 3_600_000 }
    }
}

/// When an accepted version comes into force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnChange {
    /// At once.
    #[default]
    Automatic,
    /// When a user deploys what it touches.
    Manual,
}

/// Exponential backoff per resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Delay after the first failure, in milliseconds.
    pub base_delay_ms: u64,
    /// Longest delay, in milliseconds.
    pub max_delay_ms: u64,
    /// Growth per failure.
    pub factor: f64,
    /// Share of the delay that is taken off at random, 0 to 1.
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { base_delay_ms: 5_000, max_delay_ms: 600_000, factor: 2.0, jitter: 0.2 }
    }
}

/// Verification of good resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    /// When.
    pub schedule: RepairSchedule,
    /// Over how many milliseconds the work is spread; `None` means the whole interval (nothing for a cron schedule).
    pub jitter_ms: Option<u64>,
    /// What is done about a difference.
    pub action: RepairAction,
}

/// When good resources are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RepairSchedule {
    /// Never on its own.
    #[default]
    Off,
    /// Every so many milliseconds.
    EveryMs(u64),
    /// At the times of a cron expression (five fields, UTC). Validated when parsed; one that is not valid never fires.
    Cron(Name),
}

/// What a verification does about a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepairAction {
    /// Correct it.
    #[default]
    Correct,
    /// Report it and leave it.
    Report,
}

/// Where resources are deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// The pool whose executors reach it.
    pub pool: PoolName,
    /// How it is reached, as canonical JSON text (`{"type":"local"}`); passed to the executor, never interpreted here.
    pub connection: Name,
    /// Attempts that run at once, at least 1.
    pub concurrency: u32,
    /// Nothing new starts on it.
    pub suspend: bool,
    /// When it may be worked on.
    #[serde(default)]
    pub windows: Windows,
    /// How often something may start on it; dry runs count too.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
}

/// When a target may be worked on. A list without windows never closes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Windows {
    /// For whatever is not what last succeeded: changes and their retries, and deletions.
    pub deploy: Vec<Window>,
    /// For verifications of what has succeeded, and their retries.
    pub repair: Vec<Window>,
}

/// A time that comes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens: a cron expression of five fields. Validated when parsed; one that is not valid never opens.
    pub start: Name,
    /// How long it stays open, in milliseconds.
    pub duration_ms: u64,
    /// In which time zone `start` is meant, by its IANA name; `None`: UTC.
    pub time_zone: Option<Name>,
}

/// A token bucket: `attempts` at once when it is full, and in the long run so many per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Attempts, at least 1.
    pub attempts: u32,
    /// In so many milliseconds.
    pub period_ms: u64,
}

/// A pool of executor processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// Executors kept even without work.
    pub min: u32,
    /// Executors at most.
    pub max: u32,
    /// Milliseconds without work after which executors beyond `min` are ended.
    pub idle_timeout_ms: u64,
}
