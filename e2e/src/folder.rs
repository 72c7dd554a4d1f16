//! A folder of manifests, as a user keeps one: written as files, applied and deleted by `kubectl` as a whole.
//!
//! What the executors may do in the namespace (service account, role, binding) is in a folder of its own that outlives the first: executors need
//! their rights until the last resource is deleted on its target.

use crate::cluster::kubectl;
use crate::failure::{Failure, Outcome};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The environment of every scenario.
pub const ENVIRONMENT: &str = "lab";
/// The target that is this cluster: `kubernetes.Manifest` goes there.
pub const CLUSTER_TARGET: &str = "cluster";
/// The target that is a `ConfigMap`: `test.*` goes there, and counts.
pub const TEST_TARGET: &str = "counters";
/// The pool of both.
pub const POOL: &str = "pool";
/// The service account of its pods.
const ACCOUNT: &str = "deployer";

/// A folder of manifests for one namespace.
pub struct Folder {
    root: tempfile::TempDir,
    namespace: String,
}

impl Folder {
    /// An empty one.
    pub fn new(namespace: &str) -> Outcome<Self> {
        let root = tempfile::tempdir()
            .map_err(|source| Failure::Io { doing: "make a folder for manifests".to_owned(), source })?;
        let folder = Self { root, namespace: namespace.to_owned() };
        for path in [folder.path(), folder.rights()] {
            std::fs::create_dir(&path)
                .map_err(|source| Failure::Io { doing: format!("make {}", path.display()), source })?;
        }
        for manifest in rights() {
            write(&folder.rights(), &manifest)?;
        }
        Ok(folder)
    }

    /// Where the manifests are.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("manifests")
    }

    fn rights(&self) -> PathBuf {
        self.root.path().join("rights")
    }

    /// Writes a manifest, or replaces the one of the same kind and name.
    pub fn put(&self, manifest: &Value) -> Outcome {
        write(&self.path(), manifest)
    }

    /// Takes a manifest out of the folder, and deletes its object.
    pub async fn delete_one(&self, kind: &str, name: &str) -> Outcome {
        let file = self.path().join(file_name(kind, name));
        kubectl(&["delete", "--namespace", &self.namespace, "--wait=false", "-f", &file.to_string_lossy()]).await?;
        std::fs::remove_file(&file)
            .map_err(|source| Failure::Io { doing: format!("remove {}", file.display()), source })
    }

    /// The manifests, as they were written.
    pub fn manifests(&self) -> Outcome<Vec<Value>> {
        let failed = |source| Failure::Io { doing: format!("read {}", self.path().display()), source };
        let mut manifests = Vec::new();
        for entry in std::fs::read_dir(self.path()).map_err(failed)? {
            let text = std::fs::read_to_string(entry.map_err(failed)?.path()).map_err(failed)?;
            manifests.push(serde_json::from_str(&text).map_err(|error| Failure::Wrong(error.to_string()))?);
        }
        Ok(manifests)
    }

    /// Gives the executors of the namespace one more right; it stays when the manifests are deleted.
    pub async fn grant_right(&self, resources: &str) -> Outcome {
        for manifest in further_right(resources) {
            write(&self.rights(), &manifest)?;
        }
        self.apply_rights().await
    }

    /// Gives the executors of the namespace their rights.
    pub async fn apply_rights(&self) -> Outcome {
        kubectl(&["apply", "--namespace", &self.namespace, "-f", &self.rights().to_string_lossy()]).await.map(drop)
    }

    /// `kubectl apply -f` of the folder. Returns a line per object: what happened to it.
    pub async fn apply(&self) -> Outcome<Vec<String>> {
        let printed = kubectl(&["apply", "--namespace", &self.namespace, "-f", &self.path().to_string_lossy()]).await?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// `kubectl delete -f` of the folder, which waits until the last object is gone.
    pub async fn delete(&self, deadline_seconds: u32) -> Outcome {
        let timeout = format!("--timeout={deadline_seconds}s");
        kubectl(&["delete", "--namespace", &self.namespace, &timeout, "-f", &self.path().to_string_lossy()])
            .await
            .map(drop)
    }
}

fn write(folder: &Path, manifest: &Value) -> Outcome {
    let read = |pointer| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or("unnamed");
    let path = folder.join(file_name(read("/kind"), read("/metadata/name")));
    std::fs::write(&path, manifest.to_string())
        .map_err(|source| Failure::Io { doing: format!("write {}", path.display()), source })
}

fn file_name(kind: &str, name: &str) -> String {
    format!("{}-{name}.json", kind.to_lowercase())
}

fn ours(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "homeostat.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The environment. Edits settle fast, failures are tried again fast; `spec` says what else.
pub fn environment(spec: &Value) -> Value {
    let mut whole = json!({"deploy": {"settle": {"quiet": "300ms", "max": "3s"}}, "retry": {"baseDelay": "500ms", "maxDelay": "2s"}, "executor": POOL});
    if let (Some(whole), Some(more)) = (whole.as_object_mut(), spec.as_object()) {
        whole.extend(more.clone());
    }
    ours("Environment", ENVIRONMENT, &whole)
}

/// The pool: one pod that stays, so that its status is quiet once it runs; `spec` says what else.
pub fn executor(spec: &Value) -> Value {
    let mut whole = json!({
        "environmentRef": {"name": ENVIRONMENT}, "adaptors": ["kubernetes", "test"], "serviceAccountName": ACCOUNT, "replicas": {"min": 1, "max": 1},
    });
    if let (Some(whole), Some(more)) = (whole.as_object_mut(), spec.as_object()) {
        whole.extend(more.clone());
    }
    ours("Executor", POOL, &whole)
}

/// Both targets.
pub fn targets() -> [Value; 2] {
    let target = |name, connection: Value| {
        ours("Target", name, &json!({"environmentRef": {"name": ENVIRONMENT}, "connection": connection}))
    };
    [
        target(CLUSTER_TARGET, json!({"type": "kubernetes"})),
        target(TEST_TARGET, json!({"type": "configMap", "name": TEST_TARGET})),
    ]
}

/// A `ConfigMap` with one value, as a `kubernetes.Manifest`.
pub fn config_map(namespace: &str, name: &str, value: &str, requires: &[&str]) -> Value {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"value": value}});
    let attributes = json!({"manifest": manifest});
    resource(name, "kubernetes.Manifest", CLUSTER_TARGET, &attributes, requires)
}

/// A `PersistentVolumeClaim` that only [`crate::Scenario::provide`] fulfils, as a `kubernetes.Manifest`: until then its attempt runs, so this is a
/// step that takes exactly as long as a scenario wants.
pub fn claim(namespace: &str, name: &str, requires: &[&str]) -> Value {
    let spec = json!({"storageClassName": "", "volumeName": volume_name(namespace, name), "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}}});
    let metadata = json!({"name": name, "namespace": namespace});
    let manifest = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec});
    resource(name, "kubernetes.Manifest", CLUSTER_TARGET, &json!({"manifest": manifest}), requires)
}

/// The volume that a [`claim`] waits for.
pub fn volume(namespace: &str, name: &str) -> Value {
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name, "namespace": namespace});
    let spec = json!({"storageClassName": "", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "claimRef": claim,
        "hostPath": {"path": "/tmp"}, "persistentVolumeReclaimPolicy": "Retain"});
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume_name(namespace, name)}, "spec": spec})
}

/// Volumes belong to the whole cluster.
fn volume_name(namespace: &str, name: &str) -> String {
    format!("{namespace}-{name}")
}

/// A resource of the `test` adaptor that succeeds.
pub fn step(name: &str, requires: &[&str]) -> Value {
    resource(name, "test.Thing", TEST_TARGET, &json!({"value": "1"}), requires)
}

/// A resource.
pub fn resource(name: &str, kind: &str, target: &str, attributes: &Value, requires: &[&str]) -> Value {
    let spec = json!({
        "environmentRef": {"name": ENVIRONMENT}, "type": kind, "targetRef": {"name": target}, "attributes": attributes, "requires": requires,
    });
    ours("Resource", name, &spec)
}

fn rights() -> [Value; 3] {
    let api = "rbac.authorization.k8s.io/v1";
    let name = json!({"name": ACCOUNT});
    let rules = json!([rule("configmaps"), rule("persistentvolumeclaims")]);
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name}),
        json!({"apiVersion": api, "kind": "Role", "metadata": name, "rules": rules}),
        json!({"apiVersion": api, "kind": "RoleBinding", "metadata": name,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}]}),
    ]
}

/// The right to do everything with a kind of object of the core group.
fn rule(resources: &str) -> Value {
    json!({"apiGroups": [""], "resources": [resources], "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]})
}

/// One more right for the executors of a namespace, in manifests of its own.
fn further_right(resources: &str) -> [Value; 2] {
    let api = "rbac.authorization.k8s.io/v1";
    let name = json!({"name": format!("{ACCOUNT}-{resources}")});
    [
        json!({"apiVersion": api, "kind": "Role", "metadata": name, "rules": [rule(resources)]}),
        json!({"apiVersion": api, "kind": "RoleBinding", "metadata": name,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("{ACCOUNT}-{resources}")},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}]}),
    ]
}
