//! The world of `test.Thing`: one JSON text, in a file (`{"type": "file", "path": …}`) or in the key `world.json` of a `ConfigMap`
//! (`{"type": "configMap", "name": …}`, and `"namespace"` where it is not the executor's own).
//!
//! Every change of it is read, made and written as a whole: the file under a lock, synced and renamed; the `ConfigMap` by its resource version.
//! So it counts exactly, whoever is killed and however many write.

use crate::adaptors::limits::{
    JOURNAL_LINES, WORLD_CALL_TIMEOUT, WORLD_CONFLICT_PAUSE, WORLD_CONFLICT_PAUSE_MOST, WORLD_CONFLICTS,
};
use crate::adaptors::{AdaptorError, Desired, blocking};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

/// The key of the `ConfigMap`.
const CONFIG_MAP_KEY: &str = "world.json";

/// Everything there is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct World {
    pub(super) things: BTreeMap<String, ThingState>,
    /// `apply KEY begin`, `apply KEY end`, `delete KEY begin`, `delete KEY end`, in order; the oldest lines fall off.
    pub(super) journal: VecDeque<String>,
}

/// One thing: what it is, and what was done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ThingState {
    /// `null`: it does not exist.
    pub(super) value: Option<String>,
    pub(super) reads: u64,
    /// Applies that began.
    pub(super) applies: u64,
    /// Deletes that began.
    pub(super) deletes: u64,
    /// Applies that ended and were told to reload.
    pub(super) reloads: u64,
}

impl World {
    pub(super) fn thing(&mut self, key: &str) -> &mut ThingState {
        self.things.entry(key.to_owned()).or_default()
    }

    pub(super) fn note(&mut self, line: String) {
        if self.journal.len() >= JOURNAL_LINES {
            self.journal.pop_front();
        }
        self.journal.push_back(line);
    }
}

/// Where a world is.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Place {
    File { path: PathBuf },
    ConfigMap { namespace: Option<String>, name: String },
}

impl Place {
    pub(super) fn of(desired: &Desired) -> Result<Self, AdaptorError> {
        Self::deserialize(&desired.connection).map_err(|error| {
            AdaptorError(format!(
                "the connection of target {}: {error}; test.Thing needs {{\"type\": \"file\", \"path\": …}} or {{\"type\": \"configMap\", \"name\": …}}",
                desired.target
            ))
        })
    }

    /// Changes the world, all at once.
    pub(super) async fn update<T: Send + 'static>(
        self,
        desired: &Desired,
        mut change: impl FnMut(&mut World) -> T + Send + 'static,
    ) -> Result<T, AdaptorError> {
        match self {
            Self::File { path } => {
                let work = desired.work.clone();
                blocking(move || {
                    let _work = work;
                    update_file(&path, change)
                        .map_err(|error| AdaptorError(format!("cannot use the world in {}: {error}", path.display())))
                })
                .await
            }
            Self::ConfigMap { namespace, name } => {
                let updated = update_config_map(namespace.as_deref(), &name, &mut change).await;
                updated.map_err(|error| AdaptorError(format!("cannot use the world in ConfigMap {name}: {error}")))
            }
        }
    }
}

fn update_file<T>(path: &Path, mut change: impl FnMut(&mut World) -> T) -> std::io::Result<T> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let lock = File::options().create(true).append(true).open(beside(".lock"))?;
    lock.lock()?;
    let mut world = match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => World::default(),
        Err(error) => return Err(error),
    };
    let result = change(&mut world);
    let temporary = beside(".new");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(&world)?)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    Ok(result)
}

async fn update_config_map<T>(
    namespace: Option<&str>,
    name: &str,
    change: &mut (impl FnMut(&mut World) -> T + Send),
) -> Result<T, String> {
    static CLIENT: OnceCell<Client> = OnceCell::const_new();
    let client = CLIENT.get_or_try_init(Client::try_default).await.map_err(|error| error.to_string())?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace.unwrap_or(client.default_namespace()));
    for _ in 0..WORLD_CONFLICTS {
        let found = timed(maps.get_opt(name)).await?;
        let text = found.as_ref().and_then(|map| map.data.as_ref()?.get(CONFIG_MAP_KEY));
        let mut world: World = match text {
            Some(text) => serde_json::from_str(text).map_err(|error| format!("{CONFIG_MAP_KEY}: {error}"))?,
            None => World::default(),
        };
        let result = change(&mut world);
        let text = serde_json::to_string_pretty(&world).map_err(|error| error.to_string())?;
        let is_new = found.is_none();
        let mut map = found.unwrap_or_else(|| ConfigMap {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..ConfigMap::default()
        });
        map.data.get_or_insert_default().insert(CONFIG_MAP_KEY.to_owned(), text);
        let parameters = PostParams::default();
        let written = if is_new {
            tokio::time::timeout(WORLD_CALL_TIMEOUT, maps.create(&parameters, &map)).await
        } else {
            // With the resource version that was read: whoever wrote meanwhile makes it a conflict.
            tokio::time::timeout(WORLD_CALL_TIMEOUT, maps.replace(name, &parameters, &map)).await
        };
        match written {
            Ok(Ok(_)) => return Ok(result),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                tokio::time::sleep(rand::random_range(WORLD_CONFLICT_PAUSE..WORLD_CONFLICT_PAUSE_MOST)).await;
            }
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {} s", WORLD_CALL_TIMEOUT.as_secs())),
        }
    }
    Err(format!("{WORLD_CONFLICTS} writes in a row met somebody else's"))
}

async fn timed<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(WORLD_CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", WORLD_CALL_TIMEOUT.as_secs())),
    }
}
