//! The world in a file: counts, scripts, and many writers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::world::{ThingState, World};
use super::*;
use crate::adaptors::{Log, Work};
use std::path::Path;

fn desired(path: &Path, attributes: Value) -> Desired {
    assert_eq!(crate::api::Types::built_in().unwrap().complaints(THING, &attributes), []);
    Desired {
        environment: "default".into(),
        name: "r1".into(),
        kind: THING.into(),
        target: "t1".into(),
        connection: json!({"type": "file", "path": path}),
        attributes,
        sensitive: Vec::new(),
        remote_identity: None,
        reload: false,
        attempt: 1,
        deadline: Duration::from_secs(10),
        work: Work::new().0,
        log: Log::default(),
    }
}

fn world(path: &Path) -> World {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

async fn attempt(desired: &Desired, deleting: bool) -> Result<(Change, String), AdaptorError> {
    let found = Test.difference(desired, deleting).await?;
    if found.difference.change != Change::None {
        Test.apply(desired, &found).await?;
    }
    Ok((found.difference.change, found.difference.diff))
}

#[tokio::test]
async fn it_is_made_changed_and_deleted_and_everything_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let thing = |value: &str| desired(&path, json!({"key": "a", "value": value}));
    assert_eq!(attempt(&thing("1"), false).await.unwrap(), (Change::Create, "value: \"1\"\n".into()));
    assert_eq!(attempt(&thing("1"), false).await.unwrap().0, Change::None);
    // Drift by hand.
    let text = std::fs::read_to_string(&path).unwrap().replace("\"value\": \"1\"", "\"value\": \"drift\"");
    std::fs::write(&path, text).unwrap();
    assert_eq!(attempt(&thing("1"), false).await.unwrap(), (Change::Update, "value: \"drift\" -> \"1\"\n".into()));
    assert_eq!(attempt(&thing("1"), true).await.unwrap(), (Change::Delete, "delete a\n".into()));
    assert_eq!(attempt(&thing("1"), true).await.unwrap().0, Change::None);
    assert_eq!(world(&path).things["a"], ThingState { value: None, reads: 5, applies: 2, deletes: 1, reloads: 0 });
    let line = "apply a begin,apply a end,apply a begin,apply a end,delete a begin,delete a end";
    assert_eq!(Vec::from(world(&path).journal).join(","), line);
}

#[tokio::test]
async fn its_facts_are_what_it_is_and_how_often_it_was_applied() {
    let folder = tempfile::tempdir().unwrap();
    let thing = desired(&folder.path().join("world.json"), json!({"key": "a", "value": "1"}));
    let found = Test.difference(&thing, false).await.unwrap();
    assert!(Test.facts(&thing, &found, false).await.unwrap().is_empty());
    Test.apply(&thing, &found).await.unwrap();
    let facts = Test.facts(&thing, &found, true).await.unwrap();
    assert_eq!(Value::from(facts), json!({"value": "1", "applies": 1}));
}

#[tokio::test]
async fn told_to_reload_it_does_so_also_where_nothing_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let told = |reload| Desired { reload, ..desired(&path, json!({"key": "a", "value": "1"})) };
    assert_eq!(attempt(&told(false), false).await.unwrap().0, Change::Create);
    assert_eq!(attempt(&told(true), false).await.unwrap(), (Change::Update, "reload\n".into()));
    assert_eq!(attempt(&told(false), false).await.unwrap().0, Change::None);
    assert_eq!(world(&path).things["a"].reloads, 1);
}

#[tokio::test]
async fn its_script_says_how_its_first_applies_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let script = json!([{"result": "fail", "message": "no"}, {"result": "fail"}, {"result": "succeed"}]);
    let thing = desired(&path, json!({"key": "a", "value": "1", "script": script}));
    assert_eq!(attempt(&thing, false).await.unwrap_err().to_string(), "no");
    assert_eq!(attempt(&thing, false).await.unwrap_err().to_string(), "the script says so");
    attempt(&thing, false).await.unwrap();
    assert_eq!((world(&path).things["a"].applies, world(&path).things["a"].value.as_deref()), (3, Some("1")));
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let writers = (0..20).map(|number| {
        let thing = desired(&path, json!({"key": format!("k{}", number % 2), "value": "1"}));
        async move { Test.difference(&thing, false).await.unwrap().difference.change }
    });
    futures::future::join_all(writers).await;
    assert_eq!((world(&path).things["k0"].reads, world(&path).things["k1"].reads), (10, 10));
}

#[tokio::test]
async fn a_connection_of_another_kind_is_refused() {
    let mut thing = desired(Path::new("/x"), json!({"key": "a"}));
    thing.connection = json!({"type": "ssh"});
    let error = Test.difference(&thing, false).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("unknown variant `ssh`") && error.contains("configMap"), "{error}");
}

#[tokio::test]
async fn without_a_key_it_is_called_as_its_resource_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let thing = desired(&path, json!({"value": "1"}));
    attempt(&thing, false).await.unwrap();
    assert_eq!(world(&path).things.keys().collect::<Vec<_>>(), [&thing.name]);
}
