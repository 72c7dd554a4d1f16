//! Real files: a first deploy and a repair that finds nothing, beside a bare loop that writes and reads the same.

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
use std::path::Path;
use std::time::Instant;

const FILES: usize = 10_000;
const BYTES: usize = 1_000;
/// Attempts that run at once.
const CONCURRENCY: u32 = 8;

pub(super) async fn rates(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let folder = state.data_dir.join("files");
    let bare = state.data_dir.join("bare");
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(&bare)?;
    let (written, read) = (write_all(&bare)?, read_all(&bare)?);
    let declared = declared(&folder);
    let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
    let (deployed, repaired) = Session::run(state, output, prepare, async |session: &mut Session, ()| {
        session.configure(&declared).await?;
        let began = Instant::now();
        session.push(workload::push(declared.intents.clone())).await?;
        let deployed = session.wait().await?.ended.duration_since(began);
        let began = Instant::now();
        session.request(request_of(RequestKind::Repair, Scope::default(), "")).await?;
        Ok((deployed, session.wait().await?.ended.duration_since(began)))
    })
    .await?;
    Ok(vec![
        Figure::new("file_attempts_per_s.deploy", rate(FILES, deployed)).beside("write, fsync, rename", written),
        Figure::new("file_attempts_per_s.repair", rate(FILES, repaired)).beside("read", read),
    ])
}

fn declared(folder: &Path) -> Declared {
    let target: Target = workload::target(workload::target_name(0), CONCURRENCY);
    let file = |number: usize| {
        let (path, content) = (folder.join(number.to_string()), "x".repeat(BYTES));
        let attributes = serde_json::json!({"content": content, "path": path}).to_string();
        workload::intent(workload::name_of(number), "host.File", target.name.clone(), attributes, Vec::new())
    };
    let intents = (0..FILES).map(file).collect();
    Declared { intents, targets: vec![target.clone()], ..workload::declared("files", 0, 0) }
}

fn write_all(folder: &Path) -> Result<f64, std::io::Error> {
    let content = "x".repeat(BYTES);
    let began = Instant::now();
    for number in 0..FILES {
        let (temporary, path) = (folder.join("new"), folder.join(number.to_string()));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
    }
    Ok(rate(FILES, began.elapsed()))
}

fn read_all(folder: &Path) -> Result<f64, std::io::Error> {
    let began = Instant::now();
    let mut bytes = 0;
    for number in 0..FILES {
        bytes += fs::read(folder.join(number.to_string()))?.len();
    }
    debug_assert_eq!(bytes, FILES * BYTES);
    Ok(rate(FILES, began.elapsed()))
}
