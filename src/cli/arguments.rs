//! The command line, as `clap` reads it and as `docs/cli.md` is generated from it.

use super::Exit;
use super::bench::{Group, Stage};
use super::labels::LabelSelector;
use super::limits::ORDER_MESSAGE_BYTES;
use super::output::{Color, Format};
use crate::api::Duration;
use crate::core::Hash;
use crate::executor::worker;
use crate::operator;
use crate::telemetry::LogFormat;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

mod run;
mod simulate;
mod types;
mod upkeep;

pub(crate) use run::{LogsOptions, RunOptions};
pub(crate) use simulate::SimulateOptions;
pub(crate) use types::TypesOptions;
pub(crate) use upkeep::{
    AuditOptions, CancelOptions, CheckOptions, ClearOptions, CompletionOptions, ComplianceOptions, DiffOptions,
    EnvironmentOrder, EnvironmentsOptions, ForgetOptions, SuspendOptions, WholeEnvironment,
};

/// Holds infrastructure to its declared intent.
///
/// Embedded verbs (deploy, dry-run, repair, status, …) need no cluster: scheduler, executor and history run in this one process, and the state
/// is kept under `--data-dir`.
#[derive(Debug, Parser)]
#[command(name = "homeostat", version, after_help = Exit::help(), max_term_width = 110, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Shape of results on stdout
    #[arg(short, long, value_enum, default_value_t, global = true, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When to colour
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log to stderr (-vv: more); `RUST_LOG` overrides it
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Shape of log lines
    #[arg(long, value_enum, default_value_t, global = true, value_name = "FORMAT", env = "HOMEOSTAT_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deploy what the manifests declare and is not compliant
    Deploy(DeployOptions),
    /// Show what a deploy would change, and change nothing (exit code 2: something would change)
    DryRun(DryRunOptions),
    /// Verify everything against its target now, and correct what has drifted
    Repair(RepairOptions),
    /// Hold the environments of the manifests to their intent until told to end: verify, repair, retry, follow the files
    Run(RunOptions),
    /// List the resources and their states
    Status(StatusOptions),
    /// Show resources: intent, state, latest attempts
    Show(ResourcesOptions),
    /// Show what attempts have learned of resources: numbers, addresses, versions
    Facts(FactsOptions),
    /// List the versions, or the attempts of resources, also of those that are gone
    History(HistoryOptions),
    /// Say what attempts did and found, and what programs said at it, newest last; with -f also those to come
    ///
    /// Lines that an adaptor says while it works (what a program prints: host.Command, apt-get, systemctl) are told when their attempt has ended, not
    /// before; of long output the end. A verification that found everything as it should be tells none.
    Logs(LogsOptions),
    /// Show what intent changed between two versions, resource by resource
    Diff(DiffOptions),
    /// Say why resources are where they are, down to the root cause
    Why(ResourcesOptions),
    /// Make an earlier version's content the newest version, and deploy it
    Rollback(RollbackOptions),
    /// Remove resources from their targets: those named, or all; or end a whole environment
    Delete(DeleteOptions),
    /// Drop resources from the intent, and leave them on their targets as they are
    Forget(ForgetOptions),
    /// Let nothing new start until `resume`; what runs completes, and versions are accepted
    Suspend(SuspendOptions),
    /// End a suspension; the next deploy goes on with what waited
    Resume(SuspendOptions),
    /// Leave alone for now what has not begun; a deploy goes on with it, and so does its retry. Deletes are not cancelled
    Cancel(CancelOptions),
    /// Drop everything that is known of an environment, and touch none of its targets
    Clear(ClearOptions),
    /// Report what is as declared, and since when that is proven (exit code 1: something is not)
    Compliance(ComplianceOptions),
    /// List who did what, newest first: versions and orders
    Audit(AuditOptions),
    /// Say whether history, what is read from it, and the data folder agree (exit code 1: they do not)
    Check(CheckOptions),
    /// List the environments of the data folder
    Environments(EnvironmentsOptions),
    /// List what a resource can be, or show the attributes, facts and examples of one type
    Types(TypesOptions),
    /// Print the completion script of a shell
    Completion(CompletionOptions),
    /// Run the operator: watches, schedulers, the endpoint for executors (in a cluster; the chart starts it)
    Operator(Box<operator::Options>),
    /// Run an executor (started by an operator, or by embedded mode)
    Executor(worker::Options),
    /// Write the generated files of this repository: CRDs, references
    #[command(hide = true)]
    Generate(GenerateOptions),
    /// Measure how fast it is, each figure beside what bounds it
    #[command(hide = true)]
    Bench(BenchOptions),
    /// Attack every promise in a simulated world that repeats from a seed
    #[command(hide = true)]
    Simulate(SimulateOptions),
}

/// Where the state of embedded mode is.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "State")]
pub(crate) struct StateOptions {
    /// Folder with the private database and the executors' state
    #[arg(long, value_name = "DIR", default_value = "data/deploy", env = "HOMEOSTAT_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Use this PostgreSQL instead of a private one
    #[arg(long, value_name = "URL", env = "HOMEOSTAT_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Environment; needed only where there are several
    #[arg(long, value_name = "NAME", env = "HOMEOSTAT_ENVIRONMENT")]
    pub(crate) environment: Option<String>,
}

/// Where intent is read from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Manifests")]
pub(crate) struct ManifestOptions {
    /// Manifests: a file, a folder (all its .yaml, .yml and .json files), or `-` for stdin; repeatable
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    pub(crate) files: Vec<PathBuf>,
}

/// Which resources are meant: those to which all of it applies; without any of it, all.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SelectOptions {
    /// Only these resources
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Only resources on this target
    #[arg(long, value_name = "TARGET", help_heading = "Selection")]
    pub(crate) target: Option<String>,
    /// Only resources of this type
    #[arg(long = "type", value_name = "TYPE", help_heading = "Selection", value_parser = types::KnownTypes, hide_possible_values = true)]
    pub(crate) kind: Option<String>,
    /// Only resources with these labels: key=value, key!=value, key, !key, `key in (a,b)`, `key notin (a,b)`; several, with commas between
    #[arg(short = 'l', long = "selector", value_name = "LABELS", help_heading = "Selection")]
    pub(crate) labels: Option<LabelSelector>,
    /// Only resources whose last attempt failed
    #[arg(long, help_heading = "Selection")]
    pub(crate) failed: bool,
    /// Only resources that were last found or made as declared longer ago than this (30m, 12h), or never
    #[arg(long, value_name = "DURATION", help_heading = "Selection")]
    pub(crate) stale: Option<Duration>,
}

/// What a user says with `-m`.
fn bounded_message(text: &str) -> Result<String, String> {
    match text.len() {
        0..=ORDER_MESSAGE_BYTES => Ok(text.to_owned()),
        bytes => Err(format!("it may have {ORDER_MESSAGE_BYTES} bytes, and has {bytes}; say it in fewer words")),
    }
}

/// How an order is given that changes what is wanted.
#[derive(Clone, Debug, Args)]
pub(crate) struct OrderOptions {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Why, for the history
    #[arg(short, long, value_name = "TEXT", default_value = "", value_parser = bounded_message)]
    pub(crate) message: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DeployOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Also remove what the manifests no longer declare; prints it first, and asks on a terminal
    #[arg(long)]
    pub(crate) prune: bool,
    /// Release exactly what a dry run has shown under this digest, or nothing (where `spec.deploy.onChange` is Manual)
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<Hash>,
    #[command(flatten)]
    pub(crate) order: OrderOptions,
    #[command(flatten)]
    pub(crate) manifests: ManifestOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DryRunOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Also show what `deploy --prune` would remove
    #[arg(long)]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) manifests: ManifestOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RepairOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Correct nothing: record and show what has drifted (exit code 2: something has), and start nothing else
    #[arg(long)]
    pub(crate) report: bool,
    #[command(flatten)]
    pub(crate) manifests: ManifestOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StatusOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

/// Resources of which much is said, so that some must be named or selected.
#[derive(Clone, Debug, Args)]
pub(crate) struct ResourcesOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct FactsOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Look at the resources now, without changing them, and start nothing else
    #[arg(long)]
    pub(crate) refresh: bool,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct HistoryOptions {
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    /// Show attempts instead of the versions, as where resources are selected
    #[arg(long)]
    pub(crate) attempts: bool,
    /// Show at most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RollbackOptions {
    /// The version whose content is wanted again
    #[arg(long, value_name = "N")]
    pub(crate) to_version: u64,
    #[command(flatten)]
    pub(crate) order: OrderOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct DeleteOptions {
    #[command(subcommand)]
    pub(crate) whole: Option<WholeEnvironment>,
    #[command(flatten)]
    pub(crate) select: SelectOptions,
    #[command(flatten)]
    pub(crate) order: OrderOptions,
    #[command(flatten)]
    pub(crate) state: StateOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct GenerateOptions {
    /// Write nothing; fail and name the files that are stale
    #[arg(long)]
    pub(crate) check: bool,
    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) root: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BenchOptions {
    /// What to measure; everything where nothing is named
    #[arg(value_name = "GROUP")]
    pub(crate) groups: Vec<Group>,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Keep the state here instead of in a temporary folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What a process of the bench does
    #[arg(long, hide = true)]
    pub(crate) stage: Option<Stage>,
    /// When it was started
    #[arg(long, hide = true, default_value_t)]
    pub(crate) began_at_ms: u64,
    /// What an earlier process measured for its figure to stand beside
    #[arg(long, hide = true, default_value_t)]
    pub(crate) peer: f64,
}
