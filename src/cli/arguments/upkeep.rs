//! Options of the verbs that look after environments: what was wanted, who holds what, what is given up.

use super::{OrderOptions, StateOptions};
use crate::cli::completion::CompletedShell;
use clap::Args;

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
    /// The resources, also ones that are being deleted
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
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
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CancelOptions {
    /// Only these resources
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Only resources on this target
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Why, for the history
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,
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
