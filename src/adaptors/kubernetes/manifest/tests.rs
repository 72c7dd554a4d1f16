//! What is accepted as a manifest, and with which words the rest is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Conflicts, Manifest};
use serde_json::{Value, json};

fn config_map(change: impl FnOnce(&mut Value)) -> Value {
    let mut attributes = json!({"manifest": {"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "shop"}, "data": {"a": "1"}}});
    change(&mut attributes);
    attributes
}

fn refusal(change: impl FnOnce(&mut Value)) -> String {
    Manifest::parse(&config_map(change)).unwrap_err().to_string()
}

#[test]
fn a_whole_object_is_accepted_with_its_defaults() {
    let manifest = Manifest::parse(&config_map(|_| ())).unwrap();
    assert!(manifest.waits);
    assert_eq!(manifest.conflicts, Conflicts::Report);
    assert_eq!(manifest.key.to_string(), "ConfigMap shop/settings");
    let quick = Manifest::parse(&config_map(|all| all["readiness"] = json!("None"))).unwrap();
    assert!(!quick.waits);
    assert!(refusal(|all| all["readiness"] = json!("Maybe")).contains("readiness: must be Wait or None"));
}

#[test]
fn a_display_names_foreign_groups_only() {
    let key = |api_version: &str| {
        Manifest::parse(&config_map(|all| all["manifest"]["apiVersion"] = json!(api_version))).unwrap().key.to_string()
    };
    assert_eq!(key("apps/v1"), "ConfigMap shop/settings");
    assert_eq!(key("networking.k8s.io/v1"), "ConfigMap shop/settings");
    assert_eq!(key("example.org/v1"), "ConfigMap.example.org shop/settings");
}

#[test]
fn what_only_the_server_writes_is_refused_with_its_path() {
    for field in ["uid", "resourceVersion", "managedFields", "generation", "creationTimestamp"] {
        let message = refusal(|all| all["manifest"]["metadata"][field] = json!("x"));
        assert!(message.contains(&format!("manifest.metadata.{field}: is written by the API server")), "{message}");
    }
    assert!(refusal(|all| all["manifest"]["status"] = json!({})).contains("manifest.status: is written"));
}

#[test]
fn what_could_not_be_found_again_is_refused() {
    assert!(
        refusal(|all| all["manifest"]["metadata"] = json!({"generateName": "web-"}))
            .contains("metadata.generateName: a name that")
    );
    assert!(refusal(|all| all["manifest"]["metadata"] = json!({})).contains("manifest.metadata.name: is missing"));
    assert!(
        refusal(|all| {
            all["manifest"].as_object_mut().unwrap().remove("metadata");
        })
        .contains("manifest.metadata: is missing")
    );
    let list = refusal(|all| {
        all["manifest"]["kind"] = json!("ConfigMapList");
        all["manifest"]["items"] = json!([]);
    });
    assert!(list.contains("manifest.items: a ConfigMapList is a list"), "{list}");
}

#[test]
fn names_cannot_lead_a_request_elsewhere() {
    for name in ["", ".", "..", "../secrets/x", "a/b", "a?force=true", "a#b", "a%2fb", "a b", "a\u{202e}b", "a\0"] {
        let message = refusal(|all| all["manifest"]["metadata"]["name"] = json!(name));
        assert!(message.contains("manifest.metadata.name: "), "{message}");
        let message = refusal(|all| all["manifest"]["metadata"]["namespace"] = json!(name));
        assert!(message.contains("manifest.metadata.namespace: "), "{message}");
    }
    assert!(refusal(|all| all["manifest"]["metadata"]["name"] = json!("x".repeat(300))).contains("has 300 bytes"));
    for version in ["", "/v1", "apps/", "apps/v1/x", "../v1", "Apps/v1", "apps/v1?x"] {
        assert!(
            refusal(|all| all["manifest"]["apiVersion"] = json!(version)).contains("manifest.apiVersion: "),
            "{version}"
        );
    }
    assert!(refusal(|all| all["manifest"]["kind"] = json!("Config/Map")).contains("manifest.kind: "));
    // names of RBAC objects hold colons
    assert!(Manifest::parse(&config_map(|all| all["manifest"]["metadata"]["name"] = json!("system:node"))).is_ok());
}

#[test]
fn string_data_becomes_data_and_wins() {
    let secret = config_map(|all| {
        all["manifest"]["kind"] = json!("Secret");
        all["manifest"]["data"] = json!({"kept": "a2VwdA==", "both": "b2xk"});
        all["manifest"]["stringData"] = json!({"both": "new", "plain": "text"});
    });
    let object = Manifest::parse(&secret).unwrap().object;
    assert_eq!(object["data"], json!({"kept": "a2VwdA==", "both": "bmV3", "plain": "dGV4dA=="}));
    assert!(object.get("stringData").is_none());
}

#[test]
fn a_secret_value_of_the_wrong_type_is_refused_without_being_quoted() {
    let message = refusal(|all| {
        all["manifest"]["kind"] = json!("Secret");
        all["manifest"]["stringData"] = json!({"pin": 424_242});
    });
    assert!(message.contains("manifest.stringData: the value of \"pin\" must be a string"), "{message}");
    assert!(!message.contains("424242"), "{message}");
}
