//! The committed definitions are those the types say, and they are what a reviewer of Kubernetes APIs expects.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use std::path::Path;

#[test]
fn the_committed_definitions_are_not_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let mut expected = Vec::new();
    for (file, yaml) in crds().unwrap() {
        let committed = std::fs::read_to_string(folder.join(&file)).unwrap_or_default();
        assert!(committed == yaml, "crds/{file} is stale: run `make generate`");
        expected.push(file);
    }
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    assert_eq!(there, expected, "crds/ holds other files");
}

#[test]
fn the_yaml_means_what_the_types_mean() {
    for ((_, object), (file, yaml)) in crd_objects().unwrap().into_iter().zip(crds().unwrap()) {
        let read: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read, object, "{file}");
    }
}

/// Every list, map and string is bounded, every list says how it merges, nothing is nullable, everything is described.
#[test]
fn everything_is_bounded_and_described() {
    let mut missing = Vec::new();
    for (kind, definition) in crd_objects().unwrap() {
        let root = schema_of(&definition).unwrap();
        for below in ["spec", "status"] {
            walk(root.pointer(&format!("/properties/{below}")).unwrap(), &format!("{kind}.{below}"), &mut missing);
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn walk(schema: &Value, path: &str, missing: &mut Vec<String>) {
    let has = |key: &str| schema.get(key).is_some();
    let mut want = |ok: bool, what: &str| {
        if !ok {
            missing.push(format!("{path}: {what}"));
        }
    };
    want(!has("nullable"), "nullable");
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => want(has("maxLength") || has("enum"), "maxLength or enum"),
        Some("array") => {
            want(has("maxItems"), "maxItems");
            want(has("x-kubernetes-list-type"), "x-kubernetes-list-type");
        }
        Some("object") if !has("properties") => want(has("maxProperties"), "maxProperties"),
        _ => {}
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{path}[]"), missing);
    }
    if let Some(like) = schema.get("additionalProperties") {
        walk(like, &format!("{path}{{}}"), missing);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if property.get("description").is_none() {
            missing.push(format!("{path}.{name}: description"));
        }
        walk(property, &format!("{path}.{name}"), missing);
    }
}

#[test]
fn names_columns_and_selectable_fields_are_there() {
    let short = ["henv", "hexec", "hres", "htgt"];
    for ((kind, definition), short) in crd_objects().unwrap().into_iter().zip(short) {
        assert_eq!(definition.pointer("/spec/names/shortNames"), Some(&json!([short])), "{kind}");
        assert_eq!(definition.pointer("/spec/names/categories"), Some(&json!(["homeostat"])), "{kind}");
        assert_eq!(definition.pointer("/spec/scope"), Some(&json!("Namespaced")), "{kind}");
        let version = definition.pointer("/spec/versions/0").unwrap();
        let columns: Vec<&str> = version
            .get("additionalPrinterColumns")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.get("name").unwrap().as_str().unwrap())
            .collect();
        assert!(["Ready", "Reason", "Age"].iter().all(|column| columns.contains(column)), "{kind}: {columns:?}");
        let selectable = version.pointer("/selectableFields/0/jsonPath").and_then(Value::as_str);
        assert_eq!(selectable, (kind != "Environment").then_some(".spec.environmentRef.name"), "{kind}");
        assert!(version.pointer("/subresources/status").is_some(), "{kind}");
    }
}
