//! `homeostat bench`: attempts per second of the whole embedded path, with resources that do nothing.
//!
//! In the same run, on the same server, it measures the floor: the same rows written by bare array inserts, one commit per batch, and nothing
//! else. So a slow disk is told from a slow scheduler.

use super::arguments::{BenchOptions, StateOptions};
use super::embedded::{Finished, Place, Session, push_of};
use super::manifests::Declared;
use super::output::{Output, Table};
use super::{CliError, Exit, SET};
use crate::core::{Intent, IntentParts, Name, Policy, Push, RequestKind, Scope, Settings, Target};
use serde::Serialize;
use sqlx::{Connection, PgConnection, Row};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows per bare insert: about what a group commit gathers under load.
const FLOOR_BATCH: usize = 1_000;
/// Targets over which the resources are spread.
const TARGETS: u32 = 8;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BenchDocument {
    resources: u32,
    deploy: Measure,
    repair: Measure,
    floor: Measure,
    /// `fsync`, `synchronous_commit`, `full_page_writes`, `wal_sync_method` as the server has them.
    settings: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measure {
    attempts: usize,
    seconds: f64,
    attempts_per_second: f64,
}

impl Measure {
    fn new(attempts: usize, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self { attempts, seconds, attempts_per_second: attempts as f64 / seconds.max(1e-6) }
    }
}

/// Deploys, repairs, measures the floor, and prints all of it.
pub(crate) async fn run(options: BenchOptions, output: Output) -> Result<Exit, CliError> {
    let temporary = tempfile::Builder::new().prefix("homeostat-bench-").tempdir()?;
    let data_dir = options.data_dir.clone().unwrap_or_else(|| temporary.path().join("data"));
    let state = StateOptions { data_dir, database_url: None, environment: None };
    let declared = declared(options.resources);
    let deploy = measure(&state, output, &declared, RequestKind::Deploy).await?;
    let repair = measure(&state, output, &declared, RequestKind::Repair).await?;
    let (settings, floor) = floor(&state, output, options.resources as usize).await?;
    let document = BenchDocument { resources: options.resources, deploy, repair, floor, settings };
    output.print(&document, || text(&document))?;
    Ok(Exit::Done)
}

/// An environment of resources that do nothing.
fn declared(resources: u32) -> Declared {
    let target = |number: u32| Name::from(format!("nowhere-{number}"));
    let targets = (0..TARGETS).map(|number| Target {
        name: target(number),
        pool: crate::api::DEFAULT_POOL.into(),
        connection: r#"{"type":"local"}"#.into(),
        concurrency: 64,
        suspend: false,
        windows: crate::core::Windows::default(),
        rate_limit: None,
    });
    let intent = |number: u32| {
        let name = Name::from(format!("nothing-{number}"));
        Arc::new(Intent::new(IntentParts {
            identity: format!(r#"{{"name":"{name}"}}"#).into(),
            name,
            kind: "test.Nothing".into(),
            target: target(number % TARGETS),
            attributes: "{}".into(),
            requires: Vec::new(),
            policy: Policy::default(),
        }))
    };
    Declared {
        name: "bench".into(),
        settings: Settings::default(),
        targets: targets.collect(),
        pools: Vec::new(),
        intents: (0..resources).map(intent).collect(),
    }
}

/// One run. Its time is from the push, or the request, to the commit of the last outcome.
async fn measure(
    state: &StateOptions,
    output: Output,
    declared: &Declared,
    kind: RequestKind,
) -> Result<Measure, CliError> {
    let prepare = async |_: &Place| Ok((declared.name.clone(), ()));
    let (began, finished) = Session::run(state, output, prepare, async |session: &mut Session, ()| {
        session.configure(declared).await?;
        let began = Instant::now();
        if kind == RequestKind::Deploy {
            session.push(Push { upserts: declared.intents.clone(), ..push_of(SET.into(), "bench", "") }).await?;
        } else {
            session.request(kind, Scope::default()).await?;
        }
        Ok::<(Instant, Finished), CliError>((began, session.wait().await?))
    })
    .await?;
    let ended = finished.ended;
    Ok(Measure::new(finished.attempts.len(), ended.duration_since(began)))
}

/// The server's settings, and the time that bare array inserts of grants and outcomes take.
async fn floor(
    state: &StateOptions,
    output: Output,
    rows: usize,
) -> Result<(Vec<(String, String)>, Measure), CliError> {
    let place = Place::visit(state, output).await?;
    let measured = bare_inserts(&place, rows)
        .await
        .map_err(|error| CliError::Document(format!("the floor cannot be measured: {error}")));
    place.close().await?;
    measured
}

async fn bare_inserts(place: &Place, rows: usize) -> Result<(Vec<(String, String)>, Measure), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&place.connect_options()).await?;
    let settings = sqlx::query(
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method') ORDER BY name",
    );
    let settings = settings.fetch_all(&mut connection).await?;
    let settings = settings.iter().map(|row| (row.get(0), row.get(1))).collect();
    sqlx::query("DROP TABLE IF EXISTS bench_floor").execute(&mut connection).await?;
    sqlx::query("CREATE TABLE bench_floor (attempt bigint PRIMARY KEY, kind text NOT NULL, at bigint NOT NULL, detail text NOT NULL)")
        .execute(&mut connection)
        .await?;
    let began = Instant::now();
    // A grant row and an outcome row per attempt, as history has them.
    let numbers: Vec<i64> = (0..rows as i64 * 2).collect();
    for batch in numbers.chunks(FLOOR_BATCH) {
        sqlx::query(
            "INSERT INTO bench_floor SELECT n, 'outcome', n, '{\"change\":\"None\"}' FROM unnest($1::bigint[]) AS n",
        )
        .bind(batch)
        .execute(&mut connection)
        .await?;
    }
    let elapsed = began.elapsed();
    sqlx::query("DROP TABLE bench_floor").execute(&mut connection).await?;
    connection.close().await?;
    Ok((settings, Measure::new(rows, elapsed)))
}

fn text(document: &BenchDocument) -> String {
    let mut table = Table::new(&["MEASURED", "ATTEMPTS", "SECONDS", "PER SECOND"]);
    let measures = [("deploy", document.deploy), ("repair", document.repair), ("floor: bare inserts", document.floor)];
    for (name, measure) in measures {
        table.row(vec![
            name.to_owned(),
            measure.attempts.to_string(),
            format!("{:.2}", measure.seconds),
            format!("{:.0}", measure.attempts_per_second),
        ]);
    }
    let settings: Vec<String> = document.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}\n{}", table.render(), settings.join("  "))
}
