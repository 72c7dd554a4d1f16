//! Options of the autonomous form.

use super::{ManifestOptions, StateOptions};
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
