//! Options of the autonomous form, and of following what it does.

use super::{ManifestOptions, SelectOptions, StateOptions};
use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct RunOptions {
    /// Also delete on their targets, each time the manifests change, what they no longer declare; needs --yes
    #[arg(long)]
    pub(crate) prune: bool,
    /// Confirm --prune in advance: nobody is asked
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) manifests: ManifestOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LogsOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Go on with what attempts say from now on, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin with at most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}
