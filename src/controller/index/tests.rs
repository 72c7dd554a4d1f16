//! The index without a client.
#![allow(clippy::unwrap_used)]

use super::{Index, Key, OwnPod};
use crate::api::{ExecutorStatus, ResourceStatus};
use crate::cluster::PodSeen;
use crate::controller::seen::{Kind, Meta, Object, Placed, Seen};
use std::sync::Arc;

fn meta(name: &str) -> Meta {
    Meta { namespace: "infra".to_owned(), name: name.to_owned(), uid: format!("uid-of-{name}"), ..Meta::default() }
}

fn resource(environment: Option<&str>, name: &str) -> Placed {
    let seen = Seen { meta: meta(name), parsed: Err(String::new()), status: ResourceStatus::default() };
    Placed { environment: environment.map(str::to_owned), object: Object::Resource(Arc::new(seen)) }
}

fn key(environment: &str) -> Key {
    ("infra".to_owned(), environment.to_owned())
}

fn taken(index: &Index, environment: &str) -> Vec<(String, bool)> {
    index.take(&key(environment)).resources.into_iter().map(|(name, seen)| (name, seen.is_some())).collect()
}

fn seen(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn gone(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

#[test]
fn only_what_changed_since_the_last_look_is_told() {
    let index = Index::default();
    index.apply(resource(Some("lab"), "a"));
    index.apply(resource(Some("lab"), "b"));
    index.apply(resource(Some("prod"), "c"));
    assert_eq!(taken(&index, "lab"), [seen("a"), seen("b")]);
    assert_eq!(taken(&index, "lab"), []);
    index.delete(Kind::Resource, "infra", "a");
    assert_eq!(taken(&index, "lab"), [gone("a")]);
    index.retell(&key("lab"));
    assert_eq!(taken(&index, "lab"), [seen("b")]);
}

#[test]
fn a_relist_tells_what_vanished_in_its_namespace_only() {
    let index = Index::default();
    index.expect("resources");
    assert!(!index.is_synced());
    index.apply(resource(Some("lab"), "a"));
    index.apply(resource(Some("lab"), "b"));
    taken(&index, "lab");
    index.reset("resources", Kind::Resource, Some("elsewhere"), vec![]);
    assert_eq!(taken(&index, "lab"), []);
    index.reset("resources", Kind::Resource, Some("infra"), vec![resource(Some("lab"), "b")]);
    assert_eq!(taken(&index, "lab"), [gone("a"), seen("b")]);
    assert!(index.is_synced());
}

#[test]
fn an_object_that_no_longer_says_where_it_belongs_stays_where_it_was() {
    let index = Index::default();
    index.apply(resource(Some("lab"), "a"));
    taken(&index, "lab");
    index.apply(resource(None, "a"));
    assert_eq!(taken(&index, "lab"), [seen("a")]);
    index.apply(resource(None, "never-placed"));
    assert_eq!(taken(&index, ""), [seen("never-placed")]);
}

#[test]
fn an_object_made_again_for_another_environment_leaves_the_old_one() {
    let index = Index::default();
    index.apply(resource(Some("lab"), "a"));
    taken(&index, "lab");
    index.apply(resource(Some("prod"), "a"));
    assert_eq!(taken(&index, "lab"), [gone("a")]);
    assert_eq!(taken(&index, "prod"), [seen("a")]);
}

#[test]
fn a_pod_proves_something_only_while_its_executor_object_is_there() {
    let index = Index::default();
    let seen = PodSeen { name: "p".to_owned(), uid: "u".into(), ..PodSeen::default() };
    let pod = OwnPod {
        namespace: "infra".to_owned(),
        seen,
        environment: "infra/lab/uid".to_owned(),
        pool: "main".to_owned(),
        owner: "uid-of-main".to_owned(),
    };
    index.apply_pod(pod.clone());
    assert_eq!(index.pod_made_for("u"), None);
    let executor = Seen { meta: meta("main"), parsed: Err(String::new()), status: ExecutorStatus::default() };
    index.apply(Placed { environment: Some("lab".to_owned()), object: Object::Executor(Arc::new(executor)) });
    assert_eq!(index.pod_made_for("u"), Some(("infra/lab/uid".into(), "main".into())));
    assert_eq!(index.take(&key("lab")).pods.len(), 1);
    index.delete_pod("infra", "p", "another");
    assert!(index.pod_made_for("u").is_some());
    index.delete_pod("infra", "p", "u");
    assert_eq!(index.pod_made_for("u"), None);
}
