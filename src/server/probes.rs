//! The probes of the kubelet. `/livez`: the runtime makes progress, whatever the database does. `/readyz`: the watches have listed and the database
//! answers. The only endpoints without authentication; they say nothing else.

use crate::history::Store;
use crate::server::limits::{ANSWER, BEAT, CHECK, CHECKS, STUCK};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Says whether the process can do its work now; the text says what is missing.
pub type Readiness = Arc<dyn Fn() -> futures::future::BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Half of what is needed to be ready: history answers, soon.
///
/// # Errors
/// It does not; the text says how.
pub async fn database_answers(store: &dyn Store) -> Result<(), String> {
    match tokio::time::timeout(ANSWER, store.environments()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the database does not answer".to_owned()),
    }
}

/// What the probes look at. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    started: Instant,
    last_beat_ms: Arc<AtomicI64>,
    ready: Readiness,
    checks: Arc<Semaphore>,
}

impl Health {
    /// Starts the heartbeat. Needs a tokio runtime.
    pub fn start(ready: Readiness) -> Self {
        let health = Self {
            started: Instant::now(),
            last_beat_ms: Arc::default(),
            ready,
            checks: Arc::new(Semaphore::new(CHECKS)),
        };
        let beating = health.clone();
        tokio::spawn(async move {
            let mut beats = tokio::time::interval(BEAT);
            loop {
                beats.tick().await;
                beating.last_beat_ms.store(beating.elapsed_ms(), Ordering::Relaxed);
            }
        });
        health
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn is_live(&self) -> bool {
        let silent_ms = self.elapsed_ms() - self.last_beat_ms.load(Ordering::Relaxed);
        u128::from(silent_ms.unsigned_abs()) < STUCK.as_millis()
    }
}

/// Serves the probes until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = axum::Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(health);
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
}

async fn livez(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.is_live() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "no progress\n") }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let check = async {
        let _turn = health.checks.acquire().await;
        (health.ready)().await
    };
    match tokio::time::timeout(CHECK, check).await {
        Ok(Ok(())) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Err(missing)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer in time\n".to_owned()),
    }
}
