//! What an executor pod looks like: plain pods of the *restricted* level, owned by their `Executor` object.
//!
//! Pure. The pod's name is made of a safe prefix, a hash and a slot: the same slot always has the same name, so that a create whose reply was lost
//! cannot make a second pod. The authority that the executor trusts comes in an annotation, which the kubelet shows as a file: it needs no object of
//! its own in the user's namespace, and no right to write one.

use crate::cluster::limits::{POD_GRACE_SECONDS, POD_PREFIX_BYTES, TOKEN_SECONDS};
use crate::core::Hash;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, DownwardAPIProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource, EnvVar, EnvVarSource,
    LocalObjectReference, ObjectFieldSelector, Pod, PodSecurityContext, PodSpec, ProjectedVolumeSource,
    ResourceRequirements, SeccompProfile, SecurityContext, ServiceAccountTokenProjection, Toleration, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::{BTreeMap, BTreeSet};

/// The label every executor pod has; the operator watches only these.
pub const LABEL: &str = "app.kubernetes.io/name";
/// Its value.
pub const LABEL_VALUE: &str = "homeostat-executor";
/// The annotation that names the environment in history, and with it what the executor may ask for.
pub const ENVIRONMENT: &str = "homeostat.dev/environment";
/// The annotation that names the pool.
pub const POOL: &str = "homeostat.dev/executor";
/// The annotation with the certificates that the executor trusts.
pub const AUTHORITY: &str = "homeostat.dev/authority";
/// Whom the executor's token is meant for.
pub const AUDIENCE: &str = "homeostat-executors";
/// Where the executor finds its token.
pub const TOKEN_FILE: &str = "/var/run/homeostat/token";
/// Where the executor finds the certificates that it trusts.
pub const AUTHORITY_FILE: &str = "/var/run/homeostat/ca.crt";

/// The pool that pods are made for: what its `Executor` object says, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodTemplate {
    /// Image; the operator's own where absent.
    pub image: Option<String>,
    /// Service account; without one the pod gets no token for the cluster's API.
    pub service_account: Option<String>,
    /// Requests and limits.
    pub resources: Option<ResourceRequirements>,
    /// Where it may run.
    pub node_selector: BTreeMap<String, String>,
    /// What it tolerates.
    pub tolerations: Vec<Toleration>,
    /// How private images are pulled.
    pub image_pull_secrets: Vec<String>,
}

/// Whose pod it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The namespace of the `Executor` object.
    pub namespace: &'a str,
    /// Its name: the pool.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// The environment's name in history.
    pub environment: &'a str,
}

/// What all executor pods of this operator share.
#[derive(Clone, Debug)]
pub struct Common {
    /// The operator's image.
    pub image: String,
    /// `Always`, `IfNotPresent`, `Never`.
    pub pull_policy: Option<String>,
    /// Where executors dial, as an `https` address.
    pub connect: String,
    /// What their logs say, as `RUST_LOG`.
    pub log: String,
}

/// The name of the pod in a slot.
pub fn name(owner: Owner<'_>, slot: u32) -> String {
    let safe =
        |character: char| if character.is_ascii_lowercase() || character.is_ascii_digit() { character } else { '-' };
    let prefix: String = owner.name.chars().take(POD_PREFIX_BYTES).map(safe).collect();
    let hash = Hash::of(&[owner.uid.as_bytes()]).to_string();
    format!("{}-{}-{slot}", prefix.trim_matches('-'), hash.get(..8).unwrap_or(&hash))
}

/// Names for so many new pods: the lowest slots that no pod has.
pub fn free_names(owner: Owner<'_>, taken: &BTreeSet<String>, count: u32) -> Vec<String> {
    (0..u32::MAX).map(|slot| name(owner, slot)).filter(|name| !taken.contains(name)).take(count as usize).collect()
}

/// The pod.
pub fn pod(name: String, owner: Owner<'_>, template: &PodTemplate, common: &Common, trusted: &str) -> Pod {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let metadata = ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.to_owned()),
        labels: Some(pairs(&[
            (LABEL, LABEL_VALUE),
            ("app.kubernetes.io/managed-by", "homeostat"),
            ("app.kubernetes.io/component", "executor"),
        ])),
        annotations: Some(pairs(&[(ENVIRONMENT, owner.environment), (POOL, owner.name), (AUTHORITY, trusted)])),
        owner_references: Some(vec![OwnerReference {
            api_version: "homeostat.dev/v1alpha1".to_owned(),
            kind: "Executor".to_owned(),
            name: owner.name.to_owned(),
            uid: owner.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        }]),
        ..ObjectMeta::default()
    };
    let secrets = template.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    let spec = PodSpec {
        automount_service_account_token: Some(template.service_account.is_some()),
        containers: vec![container(owner, template, common)],
        enable_service_links: Some(false),
        image_pull_secrets: Some(secrets),
        node_selector: Some(template.node_selector.clone()),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        service_account_name: template.service_account.clone(),
        termination_grace_period_seconds: Some(POD_GRACE_SECONDS),
        tolerations: Some(template.tolerations.clone()),
        volumes: Some(volumes()),
        ..PodSpec::default()
    };
    Pod { metadata, spec: Some(spec), status: None }
}

fn container(owner: Owner<'_>, template: &PodTemplate, common: &Common) -> Container {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(read_only),
        ..VolumeMount::default()
    };
    let uid = EnvVarSource {
        field_ref: Some(ObjectFieldSelector { api_version: None, field_path: "metadata.uid".to_owned() }),
        ..EnvVarSource::default()
    };
    Container {
        name: "executor".to_owned(),
        image: Some(template.image.clone().unwrap_or_else(|| common.image.clone())),
        image_pull_policy: common.pull_policy.clone(),
        args: Some(arguments(owner, common)),
        env: Some(vec![
            EnvVar { name: "POD_UID".to_owned(), value: None, value_from: Some(uid) },
            EnvVar { name: "RUST_LOG".to_owned(), value: Some(common.log.clone()), value_from: None },
        ]),
        resources: template.resources.clone(),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![mount("homeostat", "/var/run/homeostat", true), mount("tmp", "/tmp", false)]),
        ..Container::default()
    }
}

/// The command line.
fn arguments(owner: Owner<'_>, common: &Common) -> Vec<String> {
    [
        "executor",
        &format!("--connect={}", common.connect),
        &format!("--environment={}", owner.environment),
        &format!("--pool={}", owner.name),
        // Filled in by the kubelet from the variable of that name.
        "--id=$(POD_UID)",
        &format!("--token-file={TOKEN_FILE}"),
        &format!("--ca-file={AUTHORITY_FILE}"),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn volumes() -> Vec<Volume> {
    let token = ServiceAccountTokenProjection {
        audience: Some(AUDIENCE.to_owned()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: "token".to_owned(),
    };
    let authority = DownwardAPIVolumeFile {
        path: "ca.crt".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: None,
            field_path: format!("metadata.annotations['{AUTHORITY}']"),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection { items: Some(vec![authority]) }),
            ..VolumeProjection::default()
        },
    ];
    vec![
        Volume {
            name: "homeostat".to_owned(),
            projected: Some(ProjectedVolumeSource { default_mode: Some(0o444), sources: Some(sources) }),
            ..Volume::default()
        },
        Volume { name: "tmp".to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() },
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Common, Owner, PodTemplate, free_names, name, pod};
    use std::collections::BTreeSet;

    const OWNER: Owner<'static> =
        Owner { namespace: "infra", name: "main", uid: "5f2c", environment: "infra/lab/77aa" };

    #[test]
    fn names_are_safe_stable_and_never_taken_twice() {
        let strange =
            Owner { name: "--flag.with..DOTS-and-a-name-that-is-longer-than-any-pod-name-should-be", ..OWNER };
        let safe = name(strange, 3);
        assert!(safe.len() <= 63 && safe.ends_with("-3") && !safe.starts_with('-'), "{safe}");
        assert!(
            safe.chars()
                .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-')
        );
        assert_ne!(name(OWNER, 0), name(Owner { uid: "5f2d", ..OWNER }, 0));
        let taken = BTreeSet::from([name(OWNER, 0), name(OWNER, 2)]);
        assert_eq!(free_names(OWNER, &taken, 2), [name(OWNER, 1), name(OWNER, 3)]);
    }

    #[test]
    fn pods_meet_the_restricted_level() {
        let common = Common {
            image: "i".to_owned(),
            pull_policy: None,
            connect: "https://h:1".to_owned(),
            log: "info".to_owned(),
        };
        let pod = pod(name(OWNER, 0), OWNER, &PodTemplate::default(), &common, "PEM");
        let pod = serde_json::to_value(pod).unwrap();
        assert_eq!(pod.pointer("/spec/securityContext/runAsNonRoot").unwrap(), true);
        assert_eq!(pod.pointer("/spec/securityContext/seccompProfile/type").unwrap(), "RuntimeDefault");
        assert_eq!(pod.pointer("/spec/automountServiceAccountToken").unwrap(), false);
        let container = pod.pointer("/spec/containers/0/securityContext").unwrap();
        assert_eq!(
            container,
            &serde_json::json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true})
        );
        for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod.pointer(&format!("/spec/{forbidden}")).is_none());
        }
        assert_eq!(pod.pointer("/metadata/ownerReferences/0/uid").unwrap(), "5f2c");
        assert_eq!(pod.pointer("/spec/restartPolicy").unwrap(), "Never");
    }
}
