//! `kubernetes.Manifest` against a real API server: what it does to objects, and what it says where it cannot.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod deleting;
mod enforcing;
mod failing;
mod waiting;

use e2e::control_plane::control_plane;
use homeostat::adaptors::kubernetes::Kubernetes;
use homeostat::adaptors::{Adaptor, Assessment, Desired, Log, Work};
use homeostat::core::Change;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// One scenario: a namespace of its own, an adaptor of its own, an administrator's client.
struct Scenario {
    adaptor: Kubernetes,
    client: kube::Client,
    /// The namespace, and the environment's name.
    name: String,
    connection: Value,
}

impl Scenario {
    async fn new(name: &str) -> Self {
        let control_plane = tokio::task::spawn_blocking(control_plane).await.unwrap();
        let connection = connection(&control_plane.admin());
        let kubeconfig = kube::config::Kubeconfig::read_from(control_plane.admin()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
        let scenario = Self {
            adaptor: Kubernetes::new(),
            client: kube::Client::try_from(config).unwrap(),
            name: name.to_owned(),
            connection,
        };
        scenario.by("setup", &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
        scenario
    }

    fn desired(&self, manifest: &Value) -> Desired {
        Desired {
            environment: self.name.clone(),
            name: "resource".into(),
            kind: "kubernetes.Manifest".into(),
            target: "cluster".into(),
            connection: self.connection.clone(),
            attributes: json!({"manifest": manifest}),
            sensitive: Vec::new(),
            remote_identity: None,
            reload: false,
            attempt: 1,
            log: Log::default(),
            deadline: Duration::from_secs(30),
            work: Work::new().0,
        }
    }

    fn config_map(&self, name: &str, data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.name}, "data": data})
    }

    /// What another actor applies, by force.
    async fn by(&self, manager: &str, object: &Value) -> Value {
        let parameters = PatchParams::apply(manager).force();
        let applied = self.api(object).patch(name_of(object), &parameters, &Patch::Apply(object)).await.unwrap();
        serde_json::to_value(applied).unwrap()
    }

    async fn live(&self, object: &Value) -> Option<Value> {
        self.api(object).get_opt(name_of(object)).await.unwrap().map(|object| serde_json::to_value(object).unwrap())
    }

    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap()));
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn differs(&self, desired: &Desired) -> Result<Assessment, String> {
        self.adaptor.difference(desired, false).await.map_err(|error| error.to_string())
    }

    /// A whole enforcement: what was found, and the identity that history would record.
    async fn enforce(&self, desired: &Desired) -> Result<(Assessment, Option<String>), String> {
        let assessment = self.differs(desired).await?;
        let identity = match assessment.difference.change {
            Change::None => assessment.remote_identity.clone(),
            _ => self.adaptor.apply(desired, &assessment).await.map_err(|error| error.to_string())?,
        };
        Ok((assessment, identity))
    }

    /// A whole deletion: what was found.
    async fn delete(&self, desired: &Desired) -> Result<Assessment, String> {
        let assessment = self.adaptor.difference(desired, true).await.map_err(|error| error.to_string())?;
        if assessment.difference.change != Change::None {
            self.adaptor.apply(desired, &assessment).await.map_err(|error| error.to_string())?;
        }
        Ok(assessment)
    }
}

fn connection(kubeconfig: &Path) -> Value {
    json!({"type": "kubernetes", "kubeconfig": kubeconfig})
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn refusal<T>(result: Result<T, String>) -> String {
    result.err().unwrap()
}

fn version_of(object: Option<Value>) -> String {
    object.unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}
