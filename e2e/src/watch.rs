//! Awaiting a condition over all objects of a kind, by a watch.

use crate::failure::{Failure, Outcome};
use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Objects by name.
pub type Objects = BTreeMap<String, DynamicObject>;

/// Awaits that `check` finds what it looks for among the objects, each time one of them changes. Its error says what is lacking.
pub async fn until<T>(
    api: Api<DynamicObject>,
    what: &str,
    deadline: Duration,
    mut check: impl FnMut(&Objects) -> Result<T, String>,
) -> Outcome<T> {
    let end = Instant::now() + deadline;
    let mut lacking = "the objects could not be listed".to_owned();
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let (mut objects, mut listed) = (Objects::new(), false);
    while let Ok(Some(event)) = timeout_at(end, events.next()).await {
        match event {
            Ok(event) => listed = take(&mut objects, event, listed),
            Err(error) => lacking = format!("the watch failed: {error}"),
        }
        if listed {
            match check(&objects) {
                Ok(found) => return Ok(found),
                Err(still) => lacking = still,
            }
        }
    }
    Err(Failure::Deadline { what: what.to_owned(), lacking, deadline })
}

/// Fails when an object changes, comes or goes within the time.
pub async fn unchanged(api: Api<DynamicObject>, since: &Objects, during: Duration) -> Outcome {
    let before = versions(since);
    let changed = |objects: &Objects| {
        let now = versions(objects);
        if now == before { Err(String::new()) } else { Ok(difference(since, objects)) }
    };
    match until(api, "changed", during, changed).await {
        Err(Failure::Deadline { lacking, .. }) if lacking.is_empty() => Ok(()),
        Err(failure) => Err(failure),
        Ok(difference) => {
            Err(Failure::Wrong(format!("objects were written although nothing had changed:\n{difference}")))
        }
    }
}

/// Takes one event in; returns whether the objects are complete.
fn take(objects: &mut Objects, event: watcher::Event<DynamicObject>, listed: bool) -> bool {
    let name = |object: &DynamicObject| object.metadata.name.clone().unwrap_or_default();
    match event {
        watcher::Event::Init => {
            objects.clear();
            return false;
        }
        watcher::Event::InitDone => return true,
        watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
            objects.insert(name(&object), object);
        }
        watcher::Event::Delete(object) => {
            objects.remove(&name(&object));
        }
    }
    listed
}

fn versions(objects: &Objects) -> BTreeMap<&str, Option<&str>> {
    objects.iter().map(|(name, object)| (name.as_str(), object.metadata.resource_version.as_deref())).collect()
}

/// What was written, field by field, so that the writer is found at once.
fn difference(before: &Objects, now: &Objects) -> String {
    let mut lines = Vec::new();
    for name in before.keys().chain(now.keys().filter(|name| !before.contains_key(*name))) {
        match (before.get(name), now.get(name)) {
            (Some(old), Some(new)) if old.metadata.resource_version != new.metadata.resource_version => {
                lines.push(format!("{name}:\n  before {}\n  now    {}", written(old), written(new)));
            }
            (Some(_), Some(_)) => {}
            (old, _) => lines.push(format!("{name}: {}", if old.is_some() { "gone" } else { "new" })),
        }
    }
    lines.join("\n")
}

fn written(object: &DynamicObject) -> String {
    let metadata = serde_json::json!({
        "generation": object.metadata.generation, "finalizers": object.metadata.finalizers,
        "annotations": object.metadata.annotations, "deletionTimestamp": object.metadata.deletion_timestamp,
    });
    format!("{metadata} {}", object.data.get("status").unwrap_or(&serde_json::Value::Null))
}
