//! One scenario: a namespace of its own, a folder of manifests, and what every scenario asks of them.

use crate::cluster::{Cluster, GROUP, KINDS, OPERATOR_NAMESPACE, calling, kubectl};
use crate::failure::{Failure, Outcome, ensure};
use crate::folder::{self, Folder};
use crate::watch::{self, Objects};
use crate::{conditions, report};
use futures::FutureExt;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// How long a few resources may take to become Ready, with the start of a pod.
pub const READY: Duration = Duration::from_mins(1);
/// How long everything may take to be gone, in seconds.
const GONE_SECONDS: u32 = 60;
/// For how long nothing may be written after nothing was changed: many times the settle time, and longer than status writes are held back.
const QUIET: Duration = Duration::from_secs(2);

/// One scenario.
pub struct Scenario {
    /// The cluster.
    pub cluster: Cluster,
    /// The namespace.
    pub namespace: String,
    /// The manifests.
    pub folder: Folder,
}

/// Runs a scenario in a namespace of this name, then applies its manifests again and deletes them: neither may surprise.
///
/// # Panics
/// When the scenario fails: after it has told all that is known of the namespace.
pub async fn run(name: &str, body: impl AsyncFnOnce(&mut Scenario) -> Outcome) {
    let began = Instant::now();
    let mut scenario = Scenario::new(name).await.unwrap_or_else(|failure| fail(name, &failure));
    let whole = async {
        body(&mut scenario).await?;
        scenario.applies_again_without_a_write().await?;
        scenario.deletes_completely().await
    };
    let ended = match AssertUnwindSafe(whole).catch_unwind().await {
        Ok(ended) => ended,
        Err(panic) => Err(Failure::Wrong(
            panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "the scenario panicked".to_owned()),
        )),
    };
    if let Err(failure) = ended {
        report::tell(&scenario).await;
        fail(name, &failure);
    }
    eprintln!("{name}: {:.1} s", began.elapsed().as_secs_f32());
}

/// Ends a test that failed.
///
/// # Panics
/// Always.
#[allow(clippy::panic, reason = "this is how a test fails")]
pub fn fail(name: &str, failure: &Failure) -> ! {
    panic!("{name}: {}", failure.told())
}

impl Scenario {
    async fn new(name: &str) -> Outcome<Self> {
        let cluster = Cluster::connect().await?;
        kubectl(&["create", "namespace", name]).await?;
        let folder = Folder::new(name)?;
        folder.apply_rights().await?;
        folder.put(&folder::environment(&json!({})))?;
        folder.put(&folder::executor(&json!({})))?;
        for target in folder::targets() {
            folder.put(&target)?;
        }
        Ok(Self { cluster, namespace: name.to_owned(), folder })
    }

    /// A `ConfigMap` of this namespace as a `kubernetes.Manifest` resource.
    pub fn config_map(&self, name: &str, value: &str, requires: &[&str]) -> Value {
        folder::config_map(&self.namespace, name, value, requires)
    }

    /// Provides the volume that a [`folder::claim`] waits for, so that its attempt can end.
    pub async fn provide(&self, claim: &str) -> Outcome {
        let manifest = folder::volume(&self.namespace, claim);
        let volume = serde_json::from_value(manifest).map_err(|error| Failure::Wrong(error.to_string()))?;
        let volumes = self.cluster.volumes();
        let created = volumes.create(&PostParams::default(), &volume).await;
        let name = created.map_err(calling(format!("provide a volume for {claim}")))?.metadata.name.unwrap_or_default();
        let seen = |volumes: &Objects| match volumes.get(&name) {
            Some(volume) if volume.data.pointer("/status/phase").is_some_and(|phase| phase != "Pending") => Ok(()),
            _ => Err(format!("volume {name} has no phase")),
        };
        watch::until(volumes, "seen by its controller: a volume", READY, seen).await?;
        // The controller looks at a claim when the claim changes, else every 15 s.
        let touch = Patch::Merge(json!({"metadata": {"annotations": {"e2e/provided": "true"}}}));
        let claims = self.cluster.core_api(&self.namespace, "PersistentVolumeClaim");
        let touched = claims.patch(claim, &PatchParams::default(), &touch).await;
        touched.map(drop).map_err(calling(format!("touch claim {claim}")))
    }

    /// Awaits that the attempt at a [`folder::claim`] has begun: its effect is there, its result is not.
    pub async fn until_claimed(&self, claim: &str) -> Outcome {
        self.until_one(("PersistentVolumeClaim", claim), "exists", READY, |_| Some(())).await
    }

    /// Awaits that all objects of a kind together are as wanted.
    pub async fn until<T>(
        &self,
        kind: &str,
        what: &str,
        deadline: Duration,
        check: impl FnMut(&Objects) -> Result<T, String>,
    ) -> Outcome<T> {
        let api = if KINDS.contains(&kind) {
            self.cluster.api(&self.namespace, kind)
        } else {
            self.cluster.core_api(&self.namespace, kind)
        };
        watch::until(api, what, deadline, check).await
    }

    /// Awaits that one object is as wanted.
    pub async fn until_one<T>(
        &self,
        (kind, name): (&str, &str),
        what: &str,
        deadline: Duration,
        mut check: impl FnMut(&DynamicObject) -> Option<T>,
    ) -> Outcome<T> {
        let what = format!("{kind} {name} {what}");
        let one = |objects: &Objects| {
            let object = objects.get(name).ok_or_else(|| format!("there is no {kind} {name}"))?;
            check(object)
                .ok_or_else(|| if KINDS.contains(&kind) { conditions::line(object) } else { object.data.to_string() })
        };
        self.until(kind, &what, deadline, one).await
    }

    /// Awaits that all that the folder holds of our kinds is Ready as last written.
    pub async fn until_ready(&self, deadline: Duration) -> Outcome {
        let manifests = self.folder.manifests()?;
        for kind in ["Resource", "Target", "Executor", "Environment"] {
            let of_kind =
                manifests.iter().filter(|manifest| manifest.get("kind").and_then(Value::as_str) == Some(kind));
            let names: Vec<&str> =
                of_kind.filter_map(|manifest| manifest.pointer("/metadata/name").and_then(Value::as_str)).collect();
            self.until(kind, &format!("Ready: every {kind}"), deadline, |objects| all_ready(&names, objects)).await?;
        }
        Ok(())
    }

    /// `kubectl apply` of the whole folder, then Ready.
    pub async fn apply(&self) -> Outcome {
        self.folder.apply().await?;
        self.until_ready(READY).await
    }

    /// All objects of one of our kinds.
    pub async fn objects(&self, kind: &str) -> Outcome<Objects> {
        let api = self.cluster.api(&self.namespace, kind);
        let list = api
            .list(&ListParams::default())
            .await
            .map_err(calling(format!("list every {kind} of {}", self.namespace)))?;
        Ok(list.items.into_iter().filter_map(|object| Some((object.metadata.name.clone()?, object))).collect())
    }

    /// Applying the manifests again must write nothing, neither at once nor a while after: not by `kubectl`, not by the operator.
    pub async fn applies_again_without_a_write(&self) -> Outcome {
        self.until_ready(READY).await?;
        let mut before = Vec::new();
        for kind in KINDS {
            before.push((kind, self.objects(kind).await?));
        }
        let changed: Vec<String> =
            self.folder.apply().await?.into_iter().filter(|line| !line.ends_with(" unchanged")).collect();
        ensure(changed.is_empty(), || format!("kubectl changed what was applied before: {changed:?}"))?;
        let watches = before
            .iter()
            .map(|(kind, objects)| watch::unchanged(self.cluster.api(&self.namespace, kind), objects, QUIET));
        futures::future::try_join_all(watches).await.map(drop)
    }

    /// `kubectl delete -f` of the folder must end, and leave nothing of it: no object, no pod, nothing on the targets.
    pub async fn deletes_completely(&self) -> Outcome {
        self.folder.delete(GONE_SECONDS).await?;
        let left = kubectl(&["get", "--namespace", &self.namespace, "--output=name", &all_kinds()]).await?;
        ensure(left.trim().is_empty(), || format!("left over after the folder was deleted: {left}"))?;
        let deadline = Duration::from_secs(u64::from(GONE_SECONDS));
        self.until("Pod", "gone: every executor pod", deadline, |pods| {
            if pods.is_empty() { Ok(()) } else { Err(names(pods)) }
        })
        .await?;
        // The namespace's own, and what the test adaptor keeps: it outlives its target, as a machine outlives its files.
        let own = ["kube-root-ca.crt", folder::TEST_TARGET];
        let left = kubectl(&[
            "get",
            "--namespace",
            &self.namespace,
            "--output=name",
            "configmaps,persistentvolumeclaims,secrets",
        ])
        .await?;
        let left: Vec<&str> =
            left.lines().filter(|line| !own.iter().any(|own| line.ends_with(&format!("/{own}")))).collect();
        ensure(left.is_empty(), || format!("left over on the target after the folder was deleted: {left:?}"))
    }

    /// The running executor pod of the namespace: name and UID.
    pub async fn executor_pod(&self) -> Outcome<(String, String)> {
        self.until("Pod", "running: an executor pod", READY, running).await
    }

    /// The running operator pod: name and UID.
    pub async fn operator_pod(&self) -> Outcome<(String, String)> {
        let api = self.cluster.core_api(OPERATOR_NAMESPACE, "Pod");
        watch::until(api, "running: the operator's pod", READY, running).await
    }
}

/// Resources of our group, as `kubectl get` takes them.
fn all_kinds() -> String {
    KINDS.map(|kind| format!("{}s.{GROUP}", kind.to_lowercase())).join(",")
}

fn names(objects: &Objects) -> String {
    objects.keys().cloned().collect::<Vec<_>>().join(", ")
}

fn all_ready(names: &[&str], objects: &Objects) -> Result<(), String> {
    let lacking: Vec<String> = names
        .iter()
        .filter_map(|name| match objects.get(*name) {
            Some(object) if conditions::is_ready(object) => None,
            Some(object) => Some(conditions::line(object)),
            None => Some(format!("{name}: does not exist")),
        })
        .collect();
    if lacking.is_empty() { Ok(()) } else { Err(format!("\n  {}", lacking.join("\n  "))) }
}

fn running(pods: &Objects) -> Result<(String, String), String> {
    let found = pods.values().find(|pod| {
        let started = pod.data.pointer("/status/containerStatuses/0/state/running").is_some();
        started && pod.metadata.deletion_timestamp.is_none()
    });
    let found = found.and_then(|pod| Some((pod.metadata.name.clone()?, pod.metadata.uid.clone()?)));
    found.ok_or_else(|| {
        let states = pods.iter().map(|(name, pod)| {
            format!("{name}: {}", pod.data.pointer("/status/containerStatuses/0/state").unwrap_or(&Value::Null))
        });
        format!("pods: [{}]", states.collect::<Vec<_>>().join(", "))
    })
}
