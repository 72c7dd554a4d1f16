//! One cluster: which kinds it knows, and the few calls the adaptor makes, each with a timeout and each error in words.
//!
//! Objects stay JSON from end to end: no field that a newer API server knows gets lost in a type of ours.

use super::errors::{Call, KubernetesError};
use super::manifest::ObjectKey;
use crate::adaptors::limits::{CLUSTER_CALL_TIMEOUT, WATCH_SECONDS};
use futures::Stream;
use kube::Client;
use kube::api::{
    DeleteParams, DynamicObject, GetParams, Patch, PatchParams, Preconditions, PropagationPolicy, Resource, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind, Request, WatchEvent};
use kube::discovery::{self, Scope};
use serde_json::Value;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A kind as the cluster serves it.
#[derive(Debug)]
pub(crate) struct Kind {
    resource: ApiResource,
    namespaced: bool,
}

/// An object's place on a cluster: the key with the kind that was found for it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Which object.
    pub(crate) key: ObjectKey,
    kind: Arc<Kind>,
}

/// How an apply is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplyMode {
    /// The server computes the result and stores nothing.
    pub(crate) dry_run: bool,
    /// Fields that others own become ours.
    pub(crate) force: bool,
}

/// What a watch says of one object.
pub(crate) type Events = Pin<Box<dyn Stream<Item = Result<WatchEvent<Value>, kube::Error>> + Send>>;

/// A cluster that can be talked to.
pub(crate) struct Cluster {
    client: Client,
    /// Its address, for messages.
    pub(crate) url: String,
    kinds: Mutex<HashMap<(String, String), Arc<Kind>>>,
}

impl Cluster {
    /// Of a client that is ready to be used.
    pub(crate) fn new(client: Client, url: String) -> Self {
        Self { client, url, kinds: Mutex::default() }
    }

    /// Finds the kind of a declared object, and reads the object. A kind that moved since it was found is looked up once more.
    pub(crate) async fn read(&self, key: &ObjectKey) -> Result<(Place, Option<Value>), KubernetesError> {
        let place = self.place(key).await?;
        match self.get(&place).await {
            Err(KubernetesError::UnknownKind { .. }) => {
                let place = self.place(key).await?;
                let object = self.get(&place).await?;
                Ok((place, object))
            }
            read => Ok((place, read?)),
        }
    }

    /// The same of a recorded object. `None` where there is none, or no such kind any more.
    pub(crate) async fn read_recorded(&self, key: &ObjectKey) -> Result<Option<(Place, Value)>, KubernetesError> {
        let Some(place) = self.recorded_place(key).await? else { return Ok(None) };
        match self.get(&place).await {
            Err(KubernetesError::UnknownKind { .. }) => {
                let Some(place) = self.recorded_place(key).await? else { return Ok(None) };
                let object = self.get(&place).await?;
                Ok(object.map(|object| (place, object)))
            }
            read => Ok(read?.map(|object| (place, object))),
        }
    }

    /// Finds the kind of a declared object, and whether its namespace is right for it.
    async fn place(&self, key: &ObjectKey) -> Result<Place, KubernetesError> {
        let kind = self.kind(&key.api_version, &key.kind).await?;
        let refused = |why: String| KubernetesError::Attributes { path: "manifest.metadata.namespace".into(), why };
        match (&key.namespace, kind.namespaced) {
            (None, true) => {
                Err(refused(format!("is missing; a {} lives in a namespace, and none is assumed", key.kind)))
            }
            (Some(_), false) => Err(refused(format!("must not be set; a {} belongs to the whole cluster", key.kind))),
            _ => Ok(Place { key: key.clone(), kind }),
        }
    }

    /// Finds the kind of a recorded object in any version that is still served. `None` where the cluster knows no such kind any more, and
    /// hence no such object.
    async fn recorded_place(&self, key: &ObjectKey) -> Result<Option<Place>, KubernetesError> {
        match self.kind(&key.api_version, &key.kind).await {
            Ok(kind) => return Ok(Some(Place { key: key.clone(), kind })),
            Err(KubernetesError::UnknownKind { .. }) => {}
            Err(other) => return Err(other),
        }
        let call = self.call(format!("find the versions of {}", key.kind));
        let group = match tokio::time::timeout(CLUSTER_CALL_TIMEOUT, discovery::group(&self.client, key.group())).await
        {
            Err(_) => return Err(call.timed_out(CLUSTER_CALL_TIMEOUT.as_secs())),
            Ok(Err(kube::Error::Discovery(_))) => return Ok(None),
            Ok(Err(error)) => return Err(call.failed(error)),
            Ok(Ok(group)) => group,
        };
        Ok(group.recommended_kind(&key.kind).map(|(resource, capabilities)| {
            let key = ObjectKey { api_version: resource.api_version.clone(), ..key.clone() };
            Place { key, kind: Arc::new(Kind { resource, namespaced: capabilities.scope == Scope::Namespaced }) }
        }))
    }

    /// Asks the server anew whether it serves a kind.
    pub(crate) async fn serves(&self, api_version: &str, kind: &str) -> Result<bool, KubernetesError> {
        self.forget(api_version, kind);
        match self.kind(api_version, kind).await {
            Ok(_) => Ok(true),
            Err(KubernetesError::UnknownKind { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// A kind, from memory or from the server. A kind that is not known is asked for every time: it may have come.
    async fn kind(&self, api_version: &str, kind: &str) -> Result<Arc<Kind>, KubernetesError> {
        let name = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.kinds().get(&name) {
            return Ok(Arc::clone(known));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let wanted = GroupVersionKind::gvk(group, version, kind);
        let call = self.call(format!("find the kind {kind} in {api_version}"));
        let found =
            match tokio::time::timeout(CLUSTER_CALL_TIMEOUT, discovery::pinned_kind(&self.client, &wanted)).await {
                Err(_) => return Err(call.timed_out(CLUSTER_CALL_TIMEOUT.as_secs())),
                Ok(Ok((resource, capabilities))) => {
                    Arc::new(Kind { resource, namespaced: capabilities.scope == Scope::Namespaced })
                }
                Ok(Err(kube::Error::Discovery(_))) => return Err(self.unknown(api_version, kind)),
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(self.unknown(api_version, kind)),
                Ok(Err(error)) => return Err(call.failed(error)),
            };
        self.kinds().insert(name, Arc::clone(&found));
        Ok(found)
    }

    fn unknown(&self, api_version: &str, kind: &str) -> KubernetesError {
        KubernetesError::UnknownKind { url: self.url.clone(), api_version: api_version.into(), kind: kind.into() }
    }

    fn forget(&self, api_version: &str, kind: &str) {
        self.kinds().remove(&(api_version.to_owned(), kind.to_owned()));
    }

    fn kinds(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Kind>>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the object; `None` where there is none.
    pub(crate) async fn get(&self, place: &Place) -> Result<Option<Value>, KubernetesError> {
        let call = self.call(format!("read {}", place.key));
        let request = place.request().get(&place.key.name, &GetParams::default());
        let answer = async { self.client.request(request.map_err(kube::Error::BuildRequest)?).await };
        match self.send(call, place, answer).await {
            Ok(object) => Ok(Some(object)),
            Err(KubernetesError::NotFound { missing, .. }) if missing.ends_with(&format!(" {}", place.key.name)) => {
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Applies the object for a field manager and returns what it is then, or would be.
    pub(crate) async fn apply(
        &self,
        place: &Place,
        object: &Value,
        manager: &str,
        mode: ApplyMode,
    ) -> Result<Value, KubernetesError> {
        let mut parameters = PatchParams::apply(manager).validation_strict();
        parameters.dry_run = mode.dry_run;
        parameters.force = mode.force;
        let call = self.call(format!("{} {}", if mode.dry_run { "compute the change of" } else { "apply" }, place.key));
        let request = place.request().patch(&place.key.name, &parameters, &Patch::Apply(object));
        self.send(call, place, async { self.client.request(request.map_err(kube::Error::BuildRequest)?).await }).await
    }

    /// Deletes the object with this UID, and no other that has its name.
    pub(crate) async fn delete(&self, place: &Place, uid: &str) -> Result<(), KubernetesError> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let call = self.call(format!("delete {}", place.key));
        let request = place.request().delete(&place.key.name, &parameters);
        self.send(call, place, async { self.client.request(request.map_err(kube::Error::BuildRequest)?).await })
            .await
            .map(drop)
    }

    /// Watches the object from a resource version on.
    pub(crate) async fn watch(
        &self,
        place: &Place,
        resource_version: &str,
        limit: Duration,
    ) -> Result<Events, KubernetesError> {
        let seconds = u32::try_from(limit.as_secs()).unwrap_or(WATCH_SECONDS).clamp(1, WATCH_SECONDS);
        let parameters = WatchParams::default().fields(&format!("metadata.name={}", place.key.name)).timeout(seconds);
        let call = self.call(format!("watch {}", place.key));
        let request = match place.request().watch(&parameters, resource_version) {
            Ok(request) => request,
            Err(error) => return Err(call.failed(kube::Error::BuildRequest(error))),
        };
        match tokio::time::timeout(CLUSTER_CALL_TIMEOUT, self.client.request_events::<Value>(request)).await {
            Err(_) => Err(call.timed_out(CLUSTER_CALL_TIMEOUT.as_secs())),
            Ok(Err(error)) => Err(call.failed(error)),
            Ok(Ok(events)) => Ok(Box::pin(events)),
        }
    }

    /// Awaits one request. A path that the server does not know means that the kind has gone or moved: it is looked up again next time.
    async fn send(
        &self,
        call: Call,
        place: &Place,
        request: impl Future<Output = kube::Result<Value>>,
    ) -> Result<Value, KubernetesError> {
        let answer = match tokio::time::timeout(CLUSTER_CALL_TIMEOUT, request).await {
            Err(_) => return Err(call.timed_out(CLUSTER_CALL_TIMEOUT.as_secs())),
            Ok(answer) => answer.map_err(|error| call.failed(error)),
        };
        if matches!(&answer, Err(KubernetesError::NotFound { missing, .. }) if missing.is_empty()) {
            let ObjectKey { api_version, kind, .. } = &place.key;
            self.forget(api_version, kind);
            return Err(self.unknown(api_version, kind));
        }
        answer
    }

    /// Names a call for the words of an error.
    pub(crate) fn call(&self, what: String) -> Call {
        Call { what, url: self.url.clone() }
    }
}

impl Place {
    fn request(&self) -> Request {
        let namespace = self.key.namespace.as_deref().filter(|_| self.kind.namespaced);
        Request::new(DynamicObject::url_path(&self.kind.resource, namespace))
    }
}
