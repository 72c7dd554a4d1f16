//! One task per environment, each on its own: a panic in one ends nothing else, shows in its status, and starts it again after a while.

use super::environment::{EnvironmentLoop, Shared};
use super::index::Key;
use crate::controller::limits::AFTER_PANIC;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// Runs a task for every environment there is, until this future is dropped.
pub async fn run(shared: Arc<Shared>) {
    while !shared.index.is_synced() {
        shared.index.news().await;
    }
    let mut tasks: JoinSet<Key> = JoinSet::new();
    let mut running: BTreeMap<tokio::task::Id, Key> = BTreeMap::new();
    loop {
        for key in shared.index.keys() {
            if !running.values().any(|other| *other == key) {
                let id = spawn(&mut tasks, &shared, key.clone(), None);
                running.insert(id, key);
            }
        }
        tokio::select! {
            () = shared.index.news() => {}
            Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                let (id, why) = match ended {
                    Ok((id, _)) => (id, "its task ended".to_owned()),
                    Err(error) => (error.id(), panic_text(error)),
                };
                if let Some(key) = running.remove(&id) {
                    tracing::error!(namespace = key.0, environment = key.1, why, "the environment's task is started again");
                    let id = spawn(&mut tasks, &shared, key.clone(), Some(why));
                    running.insert(id, key);
                }
            }
        }
    }
}

fn spawn(tasks: &mut JoinSet<Key>, shared: &Arc<Shared>, key: Key, defect: Option<String>) -> tokio::task::Id {
    let shared = Arc::clone(shared);
    let task = tasks.spawn(async move {
        let mut environment = EnvironmentLoop::new(shared, key.clone());
        if let Some(why) = defect {
            environment.report_defect(why);
            tokio::time::sleep(AFTER_PANIC).await;
        }
        environment.run().await;
        key
    });
    task.id()
}

fn panic_text(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            format!("a defect of the operator: {}", text.unwrap_or_else(|| "a panic without words".to_owned()))
        }
        Err(error) => error.to_string(),
    }
}
