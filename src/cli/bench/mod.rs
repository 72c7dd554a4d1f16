//! `homeostat bench`: how fast it is, each figure beside what bounds it, measured in the same run on the same server.
//!
//! Every stage runs in a process of its own, and each group in data folders of its own, so that none warms or burdens the next: only what one stage
//! leaves for another to find is found there. `--json` keeps the figures under keys that do not change. Deliberately absent: judgement; a machine that is slower than another is not a failure.

mod bare_memory;
mod core_speed;
mod crash;
mod database;
mod dry_runs;
mod figure;
mod files;
mod floor;
mod path;
mod standing;
mod workload;

use super::arguments::{BenchOptions, StateOptions};
use super::output::{Output, Table};
use super::{CliError, Exit};
use crate::history::private_server::DATA;
use clap::ValueEnum;
use figure::{Figure, Reach, median};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// `step` alone
    Core,
    /// The scheduler's memory
    Memory,
    /// A version in, history, an executor process, its result, history
    Path,
    /// A chain on one target
    Chain,
    /// Real files
    Files,
    /// Dry runs
    DryRun,
    /// A thousand targets, one of which hangs
    Hung,
    /// What was acknowledged when PostgreSQL and the scheduler are killed in mid-deploy
    Crash,
    /// Taking over a hundred thousand resources
    Restart,
    /// Nothing to do
    Idle,
}

/// What one child process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    Core,
    Memory,
    Path,
    Chain,
    Files,
    DryRun,
    Hung,
    Crash,
    AfterCrash,
    PrepareRestart,
    Leave,
    DeployKilled,
    BareRead,
    Restart,
    PrepareIdle,
    BareIdle,
    Idle,
}

/// Why a figure cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The database refused a statement of the bench itself.
    #[error(
        "the bench's own statement failed: {0}\n  the counters need the contrib modules pg_stat_statements and pg_walinspect"
    )]
    Database(#[from] sqlx::Error),
    /// A stage's process did not end well; what it said is above.
    #[error("the stage {0} ended with {1}; what it said is above")]
    Stage(String, String),
    /// A stage printed something else than it measures.
    #[error("the stage {0} did not print what it measures: {1}")]
    Measured(String, String),
    /// The task that follows commits ended.
    #[error("the commits were not followed to the end: {0}")]
    Watcher(String),
    /// What was pushed is not all deployed.
    #[error("not all of the {0} resources were deployed")]
    NotDeployed(usize),
    /// The target that was to hang did not.
    #[error("the resource that was to hang ended")]
    NotHanging,
    /// The crash of a server can be measured on a private one only.
    #[error("the server is not a process of this bench")]
    NotOurs,
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        Self::Document(error.to_string())
    }
}

/// What a stage prints for the process that started it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Measured {
    /// It has prepared what another one measures.
    Nothing,
    /// One value, of which a figure is made elsewhere.
    Value(f64),
    Figures(Vec<Figure>),
}

impl Measured {
    fn figures(self, stage: Stage) -> Result<Vec<Figure>, CliError> {
        match self {
            Self::Figures(figures) => Ok(figures),
            other => Err(other.unexpected(stage)),
        }
    }

    fn unexpected(&self, stage: Stage) -> CliError {
        BenchError::Measured(name_of(&stage), format!("{self:?}")).into()
    }
}

/// What `-o json|yaml` and `--json` print.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BenchDocument {
    release: &'static str,
    optimised: bool,
    cores: usize,
    /// What the servers that were measured say of themselves; one that two of them say otherwise is there twice.
    settings: Vec<(String, String)>,
    figures: Vec<Figure>,
}

/// Runs the groups that are named, or all, each stage in a process of its own.
pub(crate) async fn run(options: BenchOptions, output: Output) -> Result<Exit, CliError> {
    if let Some(stage) = options.stage {
        return child(stage, &options, output).await;
    }
    let temporary = tempfile::Builder::new().prefix("homeostat-bench-").tempdir()?;
    let folder = options.data_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let groups = if options.groups.is_empty() { Group::value_variants() } else { &options.groups };
    let (mut figures, mut settings) = (Vec::new(), BTreeSet::new());
    for group in groups {
        output.note(&format!("measuring: {}", name_of(group)));
        figures.extend(measure(*group, &folder).await?);
        let measured = state_in(&folder, &name_of(group));
        if measured.data_dir.join(DATA).exists() {
            settings.extend(database::Database::settings(&measured, output).await?);
        }
    }
    let document = BenchDocument {
        release: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        settings: settings.into_iter().collect(),
        figures,
    };
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&document).map_err(|error| CliError::Document(error.to_string()))?;
        std::fs::write(path, json + "\n")?;
    }
    output.print(&document, || text(&document))?;
    Ok(Exit::Done)
}

async fn measure(group: Group, folder: &Path) -> Result<Vec<Figure>, CliError> {
    let data = state_in(folder, &name_of(&group)).data_dir;
    let one = async |stage| spawn(stage, &data, None).await?.figures(stage);
    match group {
        Group::Core => one(Stage::Core).await,
        Group::Memory => one(Stage::Memory).await,
        Group::Path => one(Stage::Path).await,
        Group::Chain => one(Stage::Chain).await,
        Group::Files => one(Stage::Files).await,
        Group::DryRun => one(Stage::DryRun).await,
        Group::Hung => one(Stage::Hung).await,
        Group::Crash => {
            spawn_killed(Stage::Crash, &data).await?;
            one(Stage::AfterCrash).await
        }
        Group::Restart => restarts(&data).await,
        Group::Idle => {
            spawn(Stage::PrepareIdle, &data, None).await?;
            let bare = value(Stage::BareIdle, &data).await?;
            spawn(Stage::Idle, &data, Some(bare)).await?.figures(Stage::Idle)
        }
    }
}

/// Restarts after an end in order, for their median.
const RESTARTS: usize = 5;
/// Restarts after a kill, each of which needs a deploy of its own.
const KILLED_RESTARTS: usize = 3;

/// Restarts after an end in order, and after a kill, each beside a bare start and read after the same.
async fn restarts(data: &Path) -> Result<Vec<Figure>, CliError> {
    spawn(Stage::PrepareRestart, data, None).await?;
    let bare = median_restart(RESTARTS, async |_| value(Stage::BareRead, data).await).await?;
    let calm = median_restart(RESTARTS, async |_| {
        spawn(Stage::Leave, data, None).await?;
        value(Stage::Restart, data).await
    })
    .await?;
    let mut replayed = Vec::new();
    let killed_bare = median_restart(KILLED_RESTARTS, async |number| {
        Ok(after_kill(Stage::BareRead, &data.with_file_name(format!("restart-killed-bare-{number}"))).await?.0)
    })
    .await?;
    let killed = median_restart(KILLED_RESTARTS, async |number| {
        let (seconds, bytes) =
            after_kill(Stage::Restart, &data.with_file_name(format!("restart-killed-{number}"))).await?;
        replayed.push(bytes / 1e6);
        Ok(seconds)
    })
    .await?;
    Ok(vec![
        Figure::new("restart_100k_s", calm).at_most(1.0).beside("starting the server and reading bare", bare),
        Figure::new("restart_100k_after_pg_kill_s", killed)
            .at_most(5.0)
            .beside("recovery and reading bare, after the same kill", killed_bare),
        Figure::new("restart_100k_after_pg_kill_replayed_mb", median(replayed)),
    ])
}

/// Deploys in a folder of its own and is killed, then times a stage there: its seconds, and the bytes of WAL that recovery replays in them.
async fn after_kill(stage: Stage, data: &Path) -> Result<(f64, f64), CliError> {
    spawn_killed(Stage::DeployKilled, data).await?;
    let bytes = standing::to_replay(data)?;
    let seconds = value(stage, data).await?;
    // Its WAL and its tables are of no further use.
    std::fs::remove_dir_all(data)?;
    Ok((seconds, bytes))
}

/// What a stage that measures one value has measured.
async fn value(stage: Stage, data: &Path) -> Result<f64, CliError> {
    match spawn(stage, data, None).await? {
        Measured::Value(value) => Ok(value),
        other => Err(other.unexpected(stage)),
    }
}

/// The median of several restarts: one that reads a hundred thousand rows into new memory takes now a third more, now a third less.
async fn median_restart(
    times: usize,
    mut seconds: impl AsyncFnMut(usize) -> Result<f64, CliError>,
) -> Result<f64, CliError> {
    let mut all = Vec::new();
    for number in 1..=times {
        all.push(seconds(number).await?);
    }
    Ok(median(all))
}

/// Runs a stage in a process of its own; what it prints is what it has measured. `peer`: what its figure stands beside, where another stage measured it.
async fn spawn(stage: Stage, data: &Path, peer: Option<f64>) -> Result<Measured, CliError> {
    let child = run_stage(stage, data, peer).await?;
    if !child.status.success() {
        return Err(BenchError::Stage(name_of(&stage), child.status.to_string()).into());
    }
    let measured = serde_json::from_slice(&child.stdout);
    measured.map_err(|error| BenchError::Measured(name_of(&stage), error.to_string()).into())
}

/// Runs a stage that ends by killing itself. Whatever else ends it is a failure.
async fn spawn_killed(stage: Stage, data: &Path) -> Result<(), CliError> {
    let child = run_stage(stage, data, None).await?;
    if child.status.signal() == Some(rustix::process::Signal::KILL.as_raw()) {
        return Ok(());
    }
    Err(BenchError::Stage(name_of(&stage), child.status.to_string()).into())
}

async fn run_stage(stage: Stage, data: &Path, peer: Option<f64>) -> Result<std::process::Output, std::io::Error> {
    tokio::process::Command::new(std::env::current_exe()?)
        .args(["bench", "--output", "json", "--stage", &name_of(&stage)])
        .args(["--began-at-ms", &standing::now_ms().to_string(), "--data-dir"])
        .arg(data)
        .args(peer.map(|peer| format!("--peer={peer}")))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
}

async fn child(stage: Stage, options: &BenchOptions, output: Output) -> Result<Exit, CliError> {
    let data_dir = options.data_dir.clone().unwrap_or_default();
    let state = StateOptions { data_dir, database_url: None, environment: None };
    let measured = match stage {
        Stage::Core => Measured::Figures(core_speed::speed()),
        Stage::Memory => Measured::Figures(core_speed::memory()?),
        Stage::Path => Measured::Figures(path::rates(&state, output).await?),
        Stage::Chain => Measured::Figures(path::chain(&state, output).await?),
        Stage::Files => Measured::Figures(files::rates(&state, output).await?),
        Stage::DryRun => Measured::Figures(dry_runs::times(&state, output).await?),
        Stage::Hung => Measured::Figures(path::hung(&state, output).await?),
        Stage::Crash => nothing(crash::in_mid_deploy(&state, output).await)?,
        Stage::AfterCrash => Measured::Figures(crash::lost(&state, output).await?),
        Stage::PrepareRestart => nothing(standing::prepare(&state, output, standing::RESTARTED).await)?,
        Stage::Leave => nothing(standing::leave_one_change(&state, output).await)?,
        Stage::DeployKilled => nothing(standing::deploy_killed(&state, output).await)?,
        Stage::BareRead => Measured::Value(standing::bare_read(&state, output, options.began_at_ms).await?),
        Stage::Restart => Measured::Value(standing::restart(&state, output, options.began_at_ms).await?),
        Stage::PrepareIdle => nothing(standing::prepare(&state, output, standing::IDLE).await)?,
        Stage::BareIdle => Measured::Value(standing::bare_idle(&state, output).await?),
        Stage::Idle => Measured::Figures(standing::idle(&state, output, options.peer).await?),
    };
    output.print(&measured, || match &measured {
        Measured::Nothing => String::new(),
        Measured::Value(value) => number(*value),
        Measured::Figures(figures) => text_of(figures),
    })?;
    Ok(Exit::Done)
}

fn nothing(done: Result<(), CliError>) -> Result<Measured, CliError> {
    done.map(|()| Measured::Nothing)
}

fn name_of(word: &impl ValueEnum) -> String {
    word.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn state_in(folder: &Path, name: &str) -> StateOptions {
    StateOptions { data_dir: folder.join(name), database_url: None, environment: None }
}

/// What of this process is in memory now.
fn resident_bytes() -> Result<u64, std::io::Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default();
    Ok(kilobytes * 1_024)
}

fn text(document: &BenchDocument) -> String {
    let settings: Vec<String> = document.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let build = if document.optimised { "release build" } else { "debug build: several times slower than a release" };
    format!("{}\n{build}, {} cores  {}", text_of(&document.figures), document.cores, settings.join("  "))
}

fn text_of(figures: &[Figure]) -> String {
    let mut table = Table::new(&["FIGURE", "VALUE", "REACH", "REACHED", "BESIDE"]);
    for figure in figures {
        let reach = figure.reach.map_or_else(
            || "-".to_owned(),
            |reach| match reach {
                Reach::AtLeast(bound) => format!(">= {}", number(bound)),
                Reach::AtMost(bound) => format!("<= {}", number(bound)),
            },
        );
        let beside = figure.beside.as_ref().map_or_else(String::new, |beside| {
            let wanted = beside.at_least.map_or_else(String::new, |least| format!(", wanted {least}"));
            format!("{:.2} x {} ({}{wanted})", beside.ratio, beside.what, number(beside.value))
        });
        let reached = figure.reached().map_or("-", |reached| if reached { "yes" } else { "no" });
        table.row(vec![figure.key.clone(), number(figure.value), reach, reached.to_owned(), beside]);
    }
    table.render()
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
