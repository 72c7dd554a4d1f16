//! Options of the verbs that look after environments: what was wanted, who holds what, what is given up.

use super::{OrderOptions, SelectOptions, StateOptions, bounded_message};
use crate::api::Duration;
use crate::cli::completion::CompletedShell;
use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct DiffOptions {
    /// The earlier version; 0 is the one before the first, which wants nothing
    #[arg(value_name = "V1")]
    pub(crate) from: u64,
    /// The later version [default: the newest]
    #[arg(value_name = "V2")]
    pub(crate) to: Option<u64>,
    /// Only this resource; repeatable
    #[arg(long = "resource", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ForgetOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    #[command(flatten)]
    pub(crate) order: OrderOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SuspendOptions {
    /// Only this target: what is on it, and what requires that
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Why, for the history and for whoever asks `why`
    #[arg(short, long, value_name = "TEXT", default_value = "", value_parser = bounded_message)]
    pub(crate) message: String,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CancelOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Why, for the history
    #[arg(short, long, value_name = "TEXT", default_value = "", value_parser = bounded_message)]
    pub(crate) message: String,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ComplianceOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// What was verified longer ago is not proven: 24h, 30m …
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_age: Option<Duration>,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AuditOptions {
    /// Show at most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

/// A word after `clear` or `delete` that says what the name after it is.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WholeEnvironment {
    /// A whole environment and all that is known of it, its history too
    ///
    /// A `homeostat run` that holds the environment gives it up first. As long as its files still declare it as they did then, it leaves the
    /// environment alone; it begins anew when they say something else of it, or when that process is started again.
    Environment(EnvironmentOrder),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EnvironmentOrder {
    /// The environment
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) order: OrderOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct ClearOptions {
    #[command(subcommand)]
    pub(crate) whole: WholeEnvironment,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EnvironmentsOptions {
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CompletionOptions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: CompletedShell,
}
