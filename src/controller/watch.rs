//! Watches: from the API server into the index. Restarted with backoff for ever; what is missed meanwhile is found by the next list.
//!
//! Objects are watched untyped (see [`super::seen`]): there is nothing that could fail to decode, so nothing that could stop a watch.

use super::index::{Index, OwnPod};
use super::seen::{self, Kind};
use crate::api::{API_VERSION, Checker, GROUP, VERSION};
use crate::cluster::{pod_seen, pods};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use std::sync::Arc;

/// Starts all watches, in these namespaces or (none given) in all.
pub fn start(client: &Client, index: &Index, checker: &Arc<Checker>, namespaces: &[String]) {
    let scopes: Vec<Option<String>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
    for scope in &scopes {
        for kind in Kind::ALL {
            let watch = name_of(kind.as_str(), scope.as_deref());
            index.expect(&watch);
            tokio::spawn(watch_kind(client.clone(), index.clone(), Arc::clone(checker), kind, scope.clone(), watch));
        }
        let watch = name_of("Pod", scope.as_deref());
        index.expect(&watch);
        tokio::spawn(watch_pods(client.clone(), index.clone(), scope.clone(), watch));
    }
}

fn name_of(kind: &str, namespace: Option<&str>) -> String {
    format!("{kind} in {}", namespace.unwrap_or("all namespaces"))
}

/// How the API server calls a kind.
fn resource_of(kind: Kind) -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        api_version: API_VERSION.to_owned(),
        kind: kind.as_str().to_owned(),
        plural: format!("{}s", kind.as_str().to_lowercase()),
    }
}

/// With backoff. The announcement of a list is left out: it would count as a success, and reset the backoff at every try.
fn patient<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
) -> BoxStream<'static, watcher::Result<Event<K>>> {
    events.try_filter(|event| std::future::ready(!matches!(event, Event::Init))).default_backoff().boxed()
}

async fn watch_kind(
    client: Client,
    index: Index,
    checker: Arc<Checker>,
    kind: Kind,
    namespace: Option<String>,
    watch: String,
) {
    let resource = resource_of(kind);
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let mut events = patient(watcher::watcher(api, watcher::Config::default()));
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {}
            Ok(Event::InitApply(object)) => listed.push(seen::read(kind, &checker, object)),
            Ok(Event::InitDone) => {
                tracing::info!(watch, objects = listed.len(), "listed");
                index.reset(&watch, kind, namespace.as_deref(), std::mem::take(&mut listed));
            }
            Ok(Event::Apply(object)) => index.apply(seen::read(kind, &checker, object)),
            Ok(Event::Delete(object)) => {
                index.delete(kind, &object.namespace().unwrap_or_default(), &object.name_any());
            }
            Err(error) => {
                // A list that broke off starts again from its first page.
                listed.clear();
                tracing::warn!(watch, %error, "the watch is interrupted; trying again");
            }
        }
    }
}

async fn watch_pods(client: Client, index: Index, namespace: Option<String>, watch: String) {
    let api: Api<Pod> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = watcher::Config::default().labels(&format!("{}={}", pods::LABEL, pods::LABEL_VALUE));
    let mut events = patient(watcher::watcher(api, config));
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {}
            Ok(Event::InitApply(pod)) => listed.extend(own_pod(&pod)),
            Ok(Event::InitDone) => index.reset_pods(&watch, namespace.as_deref(), std::mem::take(&mut listed)),
            Ok(Event::Apply(pod)) => {
                if let Some(own) = own_pod(&pod) {
                    index.apply_pod(own);
                }
            }
            Ok(Event::Delete(pod)) => {
                index.delete_pod(&pod.namespace().unwrap_or_default(), &pod.name_any(), &pod.uid().unwrap_or_default());
            }
            Err(error) => {
                // A list that broke off starts again from its first page.
                listed.clear();
                tracing::warn!(watch, %error, "the watch is interrupted; trying again");
            }
        }
    }
}

/// A pod that says it was made for one of our pools; `None` for any other.
pub fn own_pod(pod: &Pod) -> Option<OwnPod> {
    let owner =
        pod.owner_references().iter().find(|owner| owner.kind == "Executor" && owner.api_version == API_VERSION)?;
    Some(OwnPod {
        namespace: pod.namespace()?,
        seen: pod_seen(pod),
        environment: pod.annotations().get(pods::ENVIRONMENT)?.clone(),
        pool: owner.name.clone(),
        owner: owner.uid.clone(),
    })
}
