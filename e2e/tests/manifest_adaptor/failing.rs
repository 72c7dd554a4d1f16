//! What is said where nothing can be done: what, where, why, what next.

use crate::{Scenario, connection, refusal};
use e2e::control_plane::control_plane;
use serde_json::{Value, json};

impl Scenario {
    async fn refused(&self, manifest: &Value) -> String {
        refusal(self.differs(&self.desired(manifest)).await)
    }
}

#[tokio::test]
async fn a_manifest_that_fits_no_kind_is_refused_with_its_path() {
    let scenario = Scenario::new("misfits").await;
    let mut homeless = scenario.config_map("x", &json!({}));
    homeless["metadata"].as_object_mut().unwrap().remove("namespace");
    let message = scenario.refused(&homeless).await;
    assert_eq!(
        message,
        "attributes.manifest.metadata.namespace: is missing; a ConfigMap lives in a namespace, and none is assumed"
    );
    let housed = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "namespace": "misfits"}});
    assert!(scenario.refused(&housed).await.contains("must not be set; a Namespace belongs to the whole cluster"));

    let message = scenario
        .refused(&json!({"apiVersion": "nowhere.example.org/v1", "kind": "Thing", "metadata": {"name": "x"}}))
        .await;
    assert!(
        message.contains("knows no kind Thing in nowhere.example.org/v1; check the spelling, or apply"),
        "{message}"
    );
    let message = scenario.refused(&json!({"apiVersion": "v1", "kind": "Configmap", "metadata": {"name": "x"}})).await;
    assert!(message.contains("knows no kind Configmap in v1"), "{message}");

    let mut unknown = scenario.config_map("x", &json!({}));
    unknown["dat"] = json!({"a": "b"});
    assert!(scenario.refused(&unknown).await.contains(".dat: field not declared in schema"));
    let incomplete = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "misfits"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}});
    let message = scenario.refused(&incomplete).await;
    assert!(message.contains("spec.template.spec.containers: Required value"), "{message}");
}

#[tokio::test]
async fn a_guest_is_told_which_right_is_missing() {
    let scenario = Scenario::new("rights").await;
    let mut desired = scenario.desired(&scenario.config_map("x", &json!({})));
    desired.connection = connection(&control_plane().guest());
    let message = refusal(scenario.differs(&desired).await);
    assert!(message.contains("User \"guest\" cannot get resource \"configmaps\""), "{message}");
    assert!(message.ends_with("; give user guest a role with the verb `get` on `configmaps`"), "{message}");
}

/// A kubeconfig like the administrator's, changed.
fn changed(from: &str, to: &str) -> (tempfile::NamedTempFile, Value) {
    let text = std::fs::read_to_string(control_plane().admin()).unwrap();
    let line = text.lines().find(|line| line.contains(from)).unwrap().to_owned();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text.replace(&line, to)).unwrap();
    let connection = connection(file.path());
    (file, connection)
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_with_the_reason() {
    let scenario = Scenario::new("unreachable").await;
    let mut desired = scenario.desired(&scenario.config_map("x", &json!({})));

    let (_closed, connection) =
        changed("clusters: [", "clusters: [{name: e2e, cluster: {server: \"https://127.0.0.1:1\"}}]");
    desired.connection = connection;
    let message = refusal(scenario.differs(&desired).await);
    assert!(message.contains("https://127.0.0.1:1: nothing listens there"), "{message}");

    let (_nameless, connection) =
        changed("clusters: [", "clusters: [{name: e2e, cluster: {server: \"https://nowhere.invalid:6443\"}}]");
    desired.connection = connection;
    let message = refusal(scenario.differs(&desired).await);
    assert!(message.contains("https://nowhere.invalid:6443: its name cannot be resolved"), "{message}");

    let (_tokenless, connection) = changed("users: [", "users: [{name: admin, user: {token: wrong}}]");
    desired.connection = connection;
    let message = refusal(scenario.differs(&desired).await);
    assert!(message.contains("does not accept the credentials"), "{message}");

    let text = std::fs::read_to_string(control_plane().admin()).unwrap();
    let server = text.split('"').find(|part| part.starts_with("https://")).unwrap();
    let (_untrusted, connection) =
        changed("clusters: [", &format!("clusters: [{{name: e2e, cluster: {{server: \"{server}\"}}}}]"));
    desired.connection = connection;
    let message = refusal(scenario.differs(&desired).await);
    assert!(message.contains(server) && message.contains("its certificate is not accepted"), "{message}");
}
