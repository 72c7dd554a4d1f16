//! Every call to the API server that is not a watch: each with a timeout, each named, each with a precondition on the object's UID.
//!
//! Deliberately absent: retries. Who asks decides by [`ClusterError::class`]; the next look at the cluster starts from what is true then.

use super::error::ClusterError;
use super::events::Events;
use crate::cluster::limits::CALL_TIMEOUT;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{DeserializeGuard, NamespaceResourceScope, Resource};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The one field manager of the operator.
pub const FIELD_MANAGER: &str = "homeostat";

/// An object that is written to: it must still be the same one.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRef<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// The API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    events: Events,
}

impl Cluster {
    /// Calls go through this client.
    pub fn new(client: Client, instance: &str) -> Self {
        Self { events: Events::new(client.clone(), instance), client }
    }

    /// The client, for watches.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where things that happened are told.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Replaces the whole status by server-side apply, whatever the spec looks like (a status of an object that does not fit its definition is
    /// merged instead, so what the new one leaves out stays). Returns the new resource version.
    pub async fn apply_status<K>(&self, object: ObjectRef<'_>, status: &Value) -> Result<String, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<DeserializeGuard<K>> = Api::namespaced(self.client.clone(), object.namespace);
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": object.name, "namespace": object.namespace, "uid": object.uid},
            "status": status,
        });
        let (doing, about) = ("write the status of", about::<K>(object));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = bounded(doing, &about, api.patch_status(object.name, &params, &Patch::Apply(&patch))).await;
        let written = match applied {
            // Server-side apply cannot touch an object that no longer fits its definition; just such a one must be told. A merge can.
            Err(error) if error.object_does_not_fit() => {
                let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
                bounded(doing, &about, api.patch_status(object.name, &params, &Patch::Merge(&patch))).await?
            }
            other => other?,
        };
        Ok(written.meta().resource_version.clone().unwrap_or_default())
    }

    /// Replaces the finalizers, if the object is still exactly the one that was seen.
    pub async fn set_finalizers<K>(
        &self,
        object: ObjectRef<'_>,
        seen: &str,
        finalizers: &[String],
    ) -> Result<(), ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<DeserializeGuard<K>> = Api::namespaced(self.client.clone(), object.namespace);
        let patch = json!({"metadata": {"uid": object.uid, "resourceVersion": seen, "finalizers": finalizers}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        bounded("write the finalizers of", &about::<K>(object), api.patch(object.name, &params, &Patch::Merge(patch)))
            .await?;
        Ok(())
    }

    /// Makes a pod.
    pub async fn create_pod(&self, namespace: &str, pod: &Pod) -> Result<Pod, ClusterError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        bounded("make", &format!("Pod {namespace}/{name}"), api.create(&params, pod)).await
    }

    /// Deletes a pod, if it is still the same one.
    pub async fn delete_pod(&self, object: ObjectRef<'_>) -> Result<(), ClusterError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), object.namespace);
        let preconditions = Preconditions { uid: Some(object.uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        bounded("delete", &about::<Pod>(object), api.delete(object.name, &params)).await?;
        Ok(())
    }

    /// Whether a pod of that name and UID exists.
    pub async fn pod_exists(&self, object: ObjectRef<'_>) -> Result<bool, ClusterError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), object.namespace);
        let found = bounded("look for", &about::<Pod>(object), api.get_metadata_opt(object.name)).await?;
        Ok(found.is_some_and(|pod| pod.metadata.uid.as_deref() == Some(object.uid)))
    }

    /// Asks who a token belongs to, and whether it is meant for that audience.
    pub async fn review_token(&self, token: &str, audience: &str) -> Result<TokenReviewStatus, ClusterError> {
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let spec = TokenReviewSpec { audiences: Some(vec![audience.to_owned()]), token: Some(token.to_owned()) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviewed = bounded("review", "a token", api.create(&PostParams::default(), &review)).await?;
        Ok(reviewed.status.unwrap_or_default())
    }

    /// Reads a Secret of the operator's own namespace as text, with its resource version; `None` where there is none.
    pub async fn read_secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<(BTreeMap<String, String>, String)>, ClusterError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = bounded("read", &format!("Secret {namespace}/{name}"), api.get_opt(name)).await?;
        Ok(found.map(|secret| {
            let data = secret.data.unwrap_or_default().into_iter();
            let text = data.filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?))).collect();
            (text, secret.metadata.resource_version.unwrap_or_default())
        }))
    }

    /// Writes a Secret: a new one, or the one that was read, if nobody else wrote it meanwhile.
    pub async fn write_secret(
        &self,
        namespace: &str,
        name: &str,
        fields: BTreeMap<String, String>,
        read: Option<String>,
    ) -> Result<(), ClusterError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let about = format!("Secret {namespace}/{name}");
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let mut secret = Secret { string_data: Some(fields), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.resource_version.clone_from(&read);
        secret.metadata.labels =
            Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "homeostat".to_owned())]));
        match read {
            Some(_) => bounded("write", &about, api.replace(name, &params, &secret)).await?,
            None => bounded("make", &about, api.create(&params, &secret)).await?,
        };
        Ok(())
    }
}

fn about<K: Resource<DynamicType = ()>>(object: ObjectRef<'_>) -> String {
    format!("{} {}/{}", K::kind(&()), object.namespace, object.name)
}

async fn bounded<T>(
    doing: &'static str,
    object: &str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(ClusterError::Call { doing, object: object.to_owned(), source: Box::new(source) }),
        Err(_) => Err(ClusterError::Timeout { doing, object: object.to_owned(), after: CALL_TIMEOUT }),
    }
}
