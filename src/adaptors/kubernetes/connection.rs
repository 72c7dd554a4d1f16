//! How a target's connection leads to a cluster, and the clusters this process already talks to.
//!
//! Deliberately absent: anything that skips the verification of a server's certificate. A kubeconfig that asks for it is refused.

use super::cluster::Cluster;
use super::errors::KubernetesError;
use crate::adaptors::limits::{CLUSTER_CONNECT_TIMEOUT, CLUSTERS_KEPT};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// `{type: kubernetes, kubeconfig?, context?}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Connection {
    #[serde(rename = "type")]
    kind: String,
    /// The path of a kubeconfig file. Without it: `KUBECONFIG`, `~/.kube/config`, then the pod's own service account.
    kubeconfig: Option<PathBuf>,
    /// A context of that kubeconfig, instead of its current one.
    context: Option<String>,
}

/// The clusters that are talked to, by connection.
#[derive(Default)]
pub(crate) struct Clusters {
    known: Mutex<HashMap<String, Arc<Cluster>>>,
}

impl Clusters {
    /// The cluster that a target's connection leads to. Nothing is asked of it yet.
    pub(crate) async fn get(&self, connection: &Value) -> Result<Arc<Cluster>, KubernetesError> {
        let key = connection.to_string();
        if let Some(cluster) = self.lock().get(&key) {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(connect(connection).await?);
        let mut known = self.lock();
        if known.len() >= CLUSTERS_KEPT {
            known.clear();
        }
        Ok(Arc::clone(known.entry(key).or_insert(cluster)))
    }

    /// Makes the next attempt read the credentials again: they may have been rotated.
    pub(crate) fn forget(&self, connection: &Value) {
        self.lock().remove(&connection.to_string());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Cluster>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(connection: &Value) -> Result<Cluster, KubernetesError> {
    let connection =
        Connection::deserialize(connection).map_err(|error| KubernetesError::Connection(error.to_string()))?;
    if connection.kind != "kubernetes" {
        let why = format!("type {:?} leads to no cluster; it must be \"kubernetes\"", connection.kind);
        return Err(KubernetesError::Connection(why));
    }
    let mut config = configure(&connection).await?;
    if config.accept_invalid_certs {
        let why = "the kubeconfig says insecure-skip-tls-verify; give the certificate authority instead (certificate-authority-data)".to_owned();
        return Err(KubernetesError::Configuration { why });
    }
    config.connect_timeout = Some(CLUSTER_CONNECT_TIMEOUT);
    let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client =
        kube::Client::try_from(config).map_err(|error| KubernetesError::Configuration { why: error.to_string() })?;
    Ok(Cluster::new(client, url))
}

async fn configure(connection: &Connection) -> Result<kube::Config, KubernetesError> {
    let refused = |why: String| KubernetesError::Configuration { why };
    let options = KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
    let Some(path) = &connection.kubeconfig else {
        return match &connection.context {
            Some(_) => kube::Config::from_kubeconfig(&options).await.map_err(|error| refused(error.to_string())),
            None => kube::Config::infer().await.map_err(|error| refused(error.to_string())),
        };
    };
    let told = |error: kube::config::KubeconfigError| refused(format!("{}: {error}", path.display()));
    let kubeconfig = Kubeconfig::read_from(path).map_err(told)?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(told)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    async fn refusal(connection: Value) -> String {
        Clusters::default().get(&connection).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_connection_that_leads_nowhere_says_why() {
        assert!(refusal(json!({"type": "local"})).await.contains("type \"local\" leads to no cluster"));
        assert!(refusal(json!({"type": "kubernetes", "kubeConfig": "x"})).await.contains("unknown field `kubeConfig`"));
        let message = refusal(json!({"type": "kubernetes", "kubeconfig": "/nonexistent/kubeconfig"})).await;
        assert!(message.contains("no way to a cluster: /nonexistent/kubeconfig: "), "{message}");
    }

    #[tokio::test]
    async fn a_kubeconfig_without_verification_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {"token": "t"}}]});
        std::fs::write(file.path(), text.to_string()).unwrap();
        let connection = json!({"type": "kubernetes", "kubeconfig": file.path()});
        assert!(refusal(connection.clone()).await.contains("insecure-skip-tls-verify"));
        let message = refusal(json!({"type": "kubernetes", "kubeconfig": file.path(), "context": "nope"})).await;
        assert!(message.contains("nope"), "{message}");
    }
}
