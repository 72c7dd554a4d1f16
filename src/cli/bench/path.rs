//! The whole path: a version in, history, an executor process, its result, history. And what it costs the database.

use super::BenchError;
use super::database::{Database, Meter};
use super::figure::{Figure, median, percentile, rate};
use super::floor::{self, ROWS_PER_ATTEMPT};
use super::workload::{self, target_name};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session, request_of};
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::core::{Intent, Record, RequestKind, Scope, Target};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many resources are deployed, and what is asked of their rate.
struct Size {
    count: usize,
    name: &'static str,
    /// Of how many runs the median counts: one that lasts half a second takes now a fifth more, now a fifth less.
    runs: usize,
    reaches: Reaches,
}

/// What a rate is to reach, and what it stands beside.
enum Reaches {
    /// Nothing: too short to reach a rate (see `docs/performance.md`). It stands beside the floor.
    Nothing,
    /// What its targets ask for, and this share of the floor.
    OfFloor(f64),
    /// What its targets ask for, and this share of the rate of the next shorter one.
    OfShorter(f64),
}

/// Each beside the one before it.
const SIZES: [Size; 3] = [
    Size { count: 1_000, name: "1k", runs: 5, reaches: Reaches::Nothing },
    Size { count: 10_000, name: "10k", runs: 5, reaches: Reaches::OfFloor(0.25) },
    Size { count: 100_000, name: "100k", runs: 1, reaches: Reaches::OfShorter(0.8) },
];
/// Over how many targets, and how many attempts per second those are to reach.
const TARGETS: [(usize, f64); 2] = [(1, 10_000.0), (10, 20_000.0)];
/// How the table calls the floor, divided by the rows of an attempt.
const FLOOR: &str = "the floor, in attempts";
/// Resources and targets of the run whose statements are counted.
const COUNTED: (usize, usize) = (100_000, 10);
const CHAIN: usize = 1_000;
/// Targets beside one that hangs, and resources on each.
const PEERS: usize = 999;
const PER_PEER: usize = 10;

/// Rates over sizes and targets, beside the floor; statements and WAL.
pub(super) async fn rates(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let mut database = Database::prepare(state, output).await?;
    let floor = floor::rows_per_s(&mut database.connection).await?;
    database.close().await?;
    let mut figures = vec![Figure::new("floor_rows_per_s", floor)];
    let in_attempts = floor / ROWS_PER_ATTEMPT as f64;
    for (targets, least) in TARGETS {
        let mut shorter = None;
        for Size { count, name, runs, reaches } in SIZES {
            let mut rates = Vec::new();
            for number in 1..=runs {
                output.note(&format!("  {name} resources on {targets} targets, {number} of {runs}"));
                let declared = workload::declared(&format!("path-{name}-{targets}-{number}"), count, targets);
                let run = Run::of(state, output, &declared).await?;
                rates.push(rate(run.attempts, run.elapsed));
            }
            let reached = median(rates);
            let figure = Figure::new(format!("path_attempts_per_s.{name}.{targets}"), reached);
            figures.push(match (reaches, shorter) {
                (Reaches::OfShorter(share), Some((name, rate))) => {
                    figure.at_least(least).share_of(format!("the rate of {name}"), rate, share)
                }
                (Reaches::OfFloor(share), _) => figure.at_least(least).share_of(FLOOR, in_attempts, share),
                (Reaches::Nothing | Reaches::OfShorter(_), _) => figure.beside(FLOOR, in_attempts),
            });
            shorter = Some((name, reached));
        }
    }
    output.note("  what an attempt costs the database");
    figures.extend(costs(state, output).await?);
    Ok(figures)
}

/// What attempts cost the database: the version, its first deploy, and a repair of everything in which every attempt changes something. Accepting the
/// version and carrying it out are counted apart: nothing starts before the first is counted.
async fn costs(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let (size, targets) = COUNTED;
    let declared = workload::declared("path-costs", size, targets);
    let prepare = async |place: &Place| Ok((declared.name.clone(), place.connect_options()));
    let ([version, first, again], [bare_version, bare_attempts]) =
        Session::run(state, output, prepare, async |session: &mut Session, connect| {
            session.configure(&declared).await?;
            session.push(workload::push((0..targets).map(warm_up).collect())).await?;
            session.wait().await?;
            session.configure_suspended(&declared).await?;
            let meter = Meter::start(&connect).await?;
            session.push(workload::push(declared.intents.clone())).await?;
            let version = meter.read().await?;
            let meter = Meter::start(&connect).await?;
            session.configure(&declared).await?;
            if session.wait().await?.counts.compliant as usize != size + targets {
                return Err(BenchError::NotDeployed(size).into());
            }
            let first = meter.read().await?;
            let meter = Meter::start(&connect).await?;
            let names = declared.intents.iter().map(|intent| intent.name.clone()).collect();
            session.request(request_of(RequestKind::Repair, Scope { names: Some(names), target: None }, "")).await?;
            session.wait().await?;
            let again = meter.read().await?;
            Ok(([version, first, again], floor::wal_per_attempt(&connect).await?))
        })
        .await?;
    let figure = |key: &str, sum: f64| Figure::new(key, sum / size as f64);
    let bare = "the same rows by bare statements";
    Ok(vec![
        figure("statements_per_attempt", again.statements).at_most(0.02),
        figure("statements_per_attempt_first_deploy", version.statements + first.statements).at_most(0.02),
        figure("wal_bytes_per_attempt", again.wal_bytes).at_most(1_024.0).beside(bare, bare_attempts),
        figure("wal_bytes_per_attempt_first_deploy", version.wal_bytes + first.wal_bytes)
            .beside(bare, bare_version + bare_attempts),
        figure("wal_bytes_per_attempt_first_deploy.version", version.wal_bytes).beside(bare, bare_version),
    ])
}

/// A timed deploy, in an environment where one resource has been deployed before: the executor is there.
struct Run {
    attempts: usize,
    elapsed: Duration,
    /// When each of the outcomes was committed.
    commits: Vec<Instant>,
}

impl Run {
    async fn of(state: &StateOptions, output: Output, declared: &Declared) -> Result<Self, CliError> {
        let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
        Session::run(state, output, prepare, async |session: &mut Session, ()| {
            session.configure(declared).await?;
            let warm: Vec<Arc<Intent>> = (0..declared.targets.len()).map(warm_up).collect();
            let warmed = warm.len();
            session.push(workload::push(warm)).await?;
            session.wait().await?;
            Self::push(session, declared.intents.clone(), warmed).await
        })
        .await
    }

    async fn push(session: &mut Session, intents: Vec<Arc<Intent>>, warm: usize) -> Result<Self, CliError> {
        let mut commits = session.commits();
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let watcher = tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    commit = commits.recv() => match commit {
                        Ok(commit) => {
                            let at = Instant::now();
                            let outcomes = commit.records.iter().filter(|record| matches!(record, Record::Outcome { .. }));
                            seen.extend(outcomes.map(|_| at));
                        }
                        // Nobody counts on every one of them.
                        Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return seen,
                    },
                    _ = &mut stopped => return seen,
                }
            }
        });
        let began = Instant::now();
        let pushed = intents.len();
        session.push(workload::push(intents)).await?;
        let finished = session.wait().await?;
        let elapsed = finished.ended.duration_since(began);
        // The watcher has seen all there is: it looks at commits first.
        let _ = stop.send(());
        let commits = watcher.await.map_err(|error| BenchError::Watcher(error.to_string()))?;
        if finished.counts.compliant as usize != pushed + warm {
            return Err(BenchError::NotDeployed(pushed).into());
        }
        Ok(Self { attempts: pushed, elapsed, commits })
    }
}

/// Not among the names of the workload.
fn warm_up(target: usize) -> Arc<Intent> {
    workload::intent(format!("warm-{target}").into(), "test.Nothing", target_name(target), "{}".to_owned(), Vec::new())
}

/// One link after the other, on one target.
pub(super) async fn chain(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let declared = Declared { intents: workload::chain(CHAIN), ..workload::declared("chain", 0, 1) };
    let run = Run::of(state, output, &declared).await?;
    let commit = Database::commit_time(state, output).await?;
    let links = run.commits.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after.duration_since(*before)),
        _ => None,
    });
    let median = percentile(links.collect(), 0.5);
    let figure = Figure::new("chain_step_us", median.as_secs_f64() * 1e6).at_most(1_000.0);
    Ok(vec![figure.beside("a bare commit of one row", commit.as_secs_f64() * 1e6)])
}

/// A thousand targets, one of which hangs, beside the same without it.
pub(super) async fn hung(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let mut rates = Vec::new();
    for (environment, hangs) in [("none-hangs", false), ("one-hangs", true)] {
        let mut declared = workload::declared(environment, PEERS * PER_PEER, PEERS);
        declared.intents = (0..PEERS * PER_PEER)
            .map(|number| workload::nothing(number, Vec::new(), target_name(number % PEERS), "first"))
            .collect();
        let hung = target_name(PEERS);
        let world = state.data_dir.join("world.json");
        let connection = serde_json::json!({"type": "file", "path": world}).to_string().into();
        declared.targets.push(Target { connection, ..workload::target(hung.clone(), 1) });
        let script = r#"{"script":[{"result":"hang"}],"value":"never"}"#.to_owned();
        let hanging = workload::intent("hanging".into(), "test.Thing", hung, script, Vec::new());
        let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
        let elapsed = Session::run(state, output, prepare, async |session: &mut Session, ()| {
            session.configure(&declared).await?;
            session.push(workload::push(vec![warm_up(0)])).await?;
            session.wait().await?;
            if hangs {
                session.push(workload::push(vec![hanging])).await?;
                session.until(|state| state.counts().running == 1).await?;
            }
            let began = Instant::now();
            session.push(workload::push(declared.intents.clone())).await?;
            let good = PEERS * PER_PEER + 1;
            session.until(move |state| state.counts().compliant as usize == good).await?;
            let elapsed = began.elapsed();
            let hanging = session.read(|state| state.counts().running == 1).await?;
            if hanging == hangs { Ok(elapsed) } else { Err(BenchError::NotHanging.into()) }
        })
        .await?;
        rates.push(rate(PEERS * PER_PEER, elapsed));
    }
    let (Some(&alone), Some(&beside)) = (rates.first(), rates.last()) else { return Ok(Vec::new()) };
    Ok(vec![Figure::new("hung_target.peers_attempts_per_s", beside).share_of("the same, none hung", alone, 0.8)])
}
