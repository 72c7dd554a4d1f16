//! `homeostat completion SHELL`: the script that completes commands, options and their values.
//!
//! Deliberately absent: completing names of resources; that would start the database at every touch of the Tab key.

use super::arguments::{Arguments, CompletionOptions};
use super::{CliError, Exit};
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::io::Write;

/// The shells a script is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletedShell {
    /// `homeostat completion bash > /etc/bash_completion.d/homeostat`
    Bash,
    /// `homeostat completion zsh > "${fpath[1]}/_homeostat"`
    Zsh,
    /// `homeostat completion fish > ~/.config/fish/completions/homeostat.fish`
    Fish,
}

/// Writes the script to stdout.
pub(crate) fn run(options: CompletionOptions) -> Result<Exit, CliError> {
    let shell = match options.shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "homeostat", &mut script);
    let mut out = std::io::stdout().lock();
    match out.write_all(&script).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Done),
    }
}

/// The command line without what only developers need.
fn shown() -> clap::Command {
    let all = Arguments::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("homeostat")
        .about(all.get_about().cloned().unwrap_or_default())
        .propagate_version(true)
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(commands)
}
