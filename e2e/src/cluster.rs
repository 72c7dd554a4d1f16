//! The cluster of this run, as `e2e/run` left it in the environment: a client, `kubectl`, and a URL of PostgreSQL.

use crate::failure::{Failure, Outcome};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The group of our objects.
pub const GROUP: &str = "homeostat.dev";
/// Our kinds. An Environment comes first: deleting a folder in this order is the hardest one.
pub const KINDS: [&str; 4] = ["Environment", "Executor", "Target", "Resource"];
/// Where the operator runs.
pub const OPERATOR_NAMESPACE: &str = "homeostat-system";
/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);

/// The cluster.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    postgres: String,
}

impl Cluster {
    /// The cluster that the environment variables of `e2e/run` lead to.
    pub async fn connect() -> Outcome<Self> {
        let postgres =
            std::env::var("E2E_POSTGRES").map_err(|_| Failure::NoCluster("E2E_POSTGRES is not set".to_owned()))?;
        let config = kube::Config::infer().await.map_err(|error| Failure::NoCluster(error.to_string()))?;
        let client = kube::Client::try_from(config).map_err(|error| Failure::NoCluster(error.to_string()))?;
        Ok(Self { client, postgres })
    }

    /// Calls to the API server.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Where history is.
    pub fn postgres(&self) -> &str {
        &self.postgres
    }

    /// Objects of one of our kinds.
    pub fn api(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind));
        Api::namespaced_with(self.client(), namespace, &kind)
    }

    /// Objects of a kind of the core group.
    pub fn core_api(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
        Api::namespaced_with(self.client(), namespace, &kind)
    }

    /// Persistent volumes.
    pub fn volumes(&self) -> Api<DynamicObject> {
        Api::all_with(self.client(), &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "PersistentVolume")))
    }

    /// The `CustomResourceDefinitions`.
    pub fn definitions(&self) -> Api<DynamicObject> {
        let kind =
            ApiResource::from_gvk(&GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"));
        Api::all_with(self.client(), &kind)
    }
}

/// Runs `kubectl`, and returns what it printed.
pub async fn kubectl(arguments: &[&str]) -> Outcome<String> {
    command("kubectl", arguments).await
}

/// Runs a command, and returns what it printed on standard output.
pub async fn command(program: &str, arguments: &[&str]) -> Outcome<String> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let failed = |source| Failure::Io { doing: format!("run `{}`", shown()), source };
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(COMMAND_TIMEOUT, child).await {
        Ok(output) => output.map_err(failed)?,
        Err(_) => {
            return Err(Failure::Deadline {
                what: format!("done: `{}`", shown()),
                lacking: "it runs".to_owned(),
                deadline: COMMAND_TIMEOUT,
            });
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(Failure::Command {
        command: shown(),
        status: output.status.to_string(),
        output: text(&output.stdout) + &text(&output.stderr),
    })
}

/// Turns an error of a call into a failure that says what was tried.
pub fn calling(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Failure {
    let doing = doing.into();
    move |source| Failure::Call { doing, source: Box::new(source) }
}

/// The text at a JSON pointer of an object; empty where there is none.
pub fn text<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    object.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
