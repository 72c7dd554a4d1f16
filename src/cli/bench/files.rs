//! Real files: a first deploy and a repair that finds nothing, beside a bare loop that writes and reads the same on as many threads.

use super::figure::{Figure, rate};
use super::workload;
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session, request_of};
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::core::{RequestKind, Scope, Target};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

const FILES: usize = 10_000;
const BYTES: usize = 1_000;
/// Attempts that run at once on the target, each beside a bare loop on as many threads; what the keys of their figures end with, and the words for
/// the loop.
const CONCURRENCIES: [(u32, &str, &str); 2] = [(1, "", ""), (8, "_8", ", 8 threads")];

pub(super) async fn rates(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let mut figures = Vec::new();
    for (concurrency, suffix, threads) in CONCURRENCIES {
        output.note(&format!("  {FILES} files, {concurrency} at a time"));
        let bare = state.data_dir.join(format!("bare-{concurrency}"));
        fs::create_dir_all(&bare)?;
        let written = on_threads(concurrency, |numbers| write_all(&bare, numbers))?;
        let read = on_threads(concurrency, |numbers| read_all(&bare, numbers))?;
        let (deployed, repaired) = attempts(state, output, concurrency).await?;
        figures.extend([
            Figure::new(format!("file_attempts_per_s.deploy{suffix}"), deployed)
                .beside(format!("write, fsync, rename{threads}"), written),
            Figure::new(format!("file_attempts_per_s.repair{suffix}"), repaired).beside(format!("read{threads}"), read),
        ]);
    }
    Ok(figures)
}

/// Per second: of a first deploy, and of a repair that finds nothing.
async fn attempts(state: &StateOptions, output: Output, concurrency: u32) -> Result<(f64, f64), CliError> {
    let folder = state.data_dir.join(format!("files-{concurrency}"));
    fs::create_dir_all(&folder)?;
    let declared = declared(&folder, concurrency);
    let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
    Session::run(state, output, prepare, async |session: &mut Session, ()| {
        session.configure(&declared).await?;
        let began = Instant::now();
        session.push(workload::push(declared.intents.clone())).await?;
        let deployed = session.wait().await?.ended.duration_since(began);
        let began = Instant::now();
        session.request(request_of(RequestKind::Repair, Scope::default(), "")).await?;
        Ok((rate(FILES, deployed), rate(FILES, session.wait().await?.ended.duration_since(began))))
    })
    .await
}

fn declared(folder: &Path, concurrency: u32) -> Declared {
    let target: Target = workload::target(workload::target_name(0), concurrency);
    let file = |number: usize| {
        let (path, content) = (folder.join(number.to_string()), "x".repeat(BYTES));
        let attributes = serde_json::json!({"content": content, "path": path}).to_string();
        workload::intent(workload::name_of(number), "host.File", target.name.clone(), attributes, Vec::new())
    };
    let intents = (0..FILES).map(file).collect();
    Declared { intents, targets: vec![target.clone()], ..workload::declared(&format!("files-{concurrency}"), 0, 0) }
}

/// Files per second, where each thread has its share of them.
fn on_threads(
    threads: u32,
    work: impl Fn(Range<usize>) -> Result<(), std::io::Error> + Sync,
) -> Result<f64, std::io::Error> {
    let share = FILES.div_ceil(threads as usize);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let shares = (0..FILES).step_by(share).map(|from| from..FILES.min(from + share));
        let work = &work;
        let running: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
        let ended =
            running.into_iter().map(|thread| thread.join().map_err(|_| std::io::Error::other("a thread ended"))?);
        ended.collect::<Result<(), _>>()
    })?;
    Ok(rate(FILES, began.elapsed()))
}

fn write_all(folder: &Path, numbers: Range<usize>) -> Result<(), std::io::Error> {
    let content = "x".repeat(BYTES);
    for number in numbers {
        let (temporary, path) = (folder.join(format!("new-{number}")), folder.join(number.to_string()));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
    }
    Ok(())
}

fn read_all(folder: &Path, numbers: Range<usize>) -> Result<(), std::io::Error> {
    for number in numbers {
        let content = fs::read(folder.join(number.to_string()))?;
        debug_assert_eq!(content.len(), BYTES);
    }
    Ok(())
}
