//! One table per promise: what is refused and how it is said, what is let through, and that no schema or value makes it panic.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn said(schema: Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    Schema::compile(&schema).unwrap().check(value, &FieldPath::default(), &mut errors);
    errors.iter().map(ToString::to_string).collect()
}

fn example() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["path"],
        "properties": {
            "path": {"type": "string", "minLength": 1, "maxLength": 8},
            "ensure": {"enum": ["present", "absent"]},
            "list": {"type": "array", "maxItems": 3, "x-kubernetes-list-type": "set", "items": {"type": "integer", "minimum": 0}},
            "mode": {"type": ["string", "integer"]},
            "on": {"type": "boolean"},
            "free": {"type": "object"},
            "labels": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string", "pattern": "^[a-z]*$"}},
        },
    })
}

#[test]
fn every_error_is_said_with_its_path() {
    let table = [
        (json!([]), vec!["must be an object, is a list"]),
        (json!({}), vec!["path: is required"]),
        (json!({"path": ""}), vec!["path: must have between 1 and 8 characters, has 0"]),
        (json!({"path": "a\0"}), vec!["path: contains NUL, which cannot be stored"]),
        (json!({"path": 7}), vec!["path: must be a string, is the number 7; write \"7\", in quotes"]),
        (json!({"path": null}), vec!["path: must be a string, is empty; write a value, or leave the field out"]),
        (json!({"path": "a", "on": "true"}), vec!["on: must be a boolean, is \"true\"; write true without quotes"]),
        (
            json!({"path": "a", "mode": 1.5}),
            vec!["mode: must be a string or a whole number, is the number 1.5; write \"1.5\", in quotes"],
        ),
        (
            json!({"path": "a", "ensure": "abscent"}),
            vec!["ensure: must be present or absent, is \"abscent\"; did you mean `absent`?"],
        ),
        (json!({"path": "a", "list": [1, 1]}), vec!["list[1]: the number 1 is listed twice"]),
        (
            json!({"path": "a", "list": [-1, "2", 3]}),
            vec![
                "list[0]: must be at least 0, is -1",
                "list[1]: must be a whole number, is \"2\"; write 2 without quotes",
            ],
        ),
        (json!({"path": "a", "list": [1, 2, 3, 4]}), vec!["list: must have at most 3 items, has 4"]),
        (json!({"path": "a", "labels": {"a": "A"}}), vec!["labels.a: must match ^[a-z]*$, is \"A\""]),
        (
            json!({"path": "a", "labels": {"a": "", "b": "", "c": ""}}),
            vec!["labels: must have at most 2 fields, has 3"],
        ),
        (
            json!({"path": "a", "pathh": 1, "zzzzz": 1}),
            vec![
                "pathh: unknown field; did you mean `path`?",
                "zzzzz: unknown field; known here: ensure, free, labels, list, mode, on, path",
            ],
        ),
        (json!({"pth": "a"}), vec!["path: is required", "pth: unknown field; did you mean `path`?"]),
        (
            json!({"path": "a", "free": {"x": [{"y": "\0"}], "k\0": 1}}),
            vec![
                "free[\"k\\0\"]: contains NUL, which cannot be stored",
                "free.x[0].y: contains NUL, which cannot be stored",
            ],
        ),
    ];
    for (value, expected) in table {
        assert_eq!(said(example(), &value), expected, "{value}");
    }
}

#[test]
fn what_is_valid_is_let_through() {
    let value = json!({"path": "ü€ab", "ensure": "absent", "list": [0, 1, 2], "mode": 420, "on": false, "labels": {"a": "b"}, "free": {"any": [null, {"valueFrom": 1}]}});
    assert_eq!(said(example(), &value), [""; 0]);
}

#[test]
fn depth_is_refused_with_its_path_and_errors_are_bounded() {
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    let errors = said(json!({"type": "object"}), &deep);
    assert!(
        errors.len() == 1 && errors.iter().all(|error| error.ends_with(".a: is nested more than 64 levels deep")),
        "{errors:?}"
    );
    let many: Vec<Value> = (0..10_000).map(|_| json!("x")).collect();
    assert_eq!(said(json!({"type": "array", "items": {"type": "integer"}}), &json!(many)).len(), MAX_ERRORS);
}

#[test]
fn rules_see_defaults_as_the_api_server_does() {
    let settle = crate::api::crd_objects().unwrap().into_iter().find(|(kind, _)| *kind == "Environment").unwrap().1;
    let settle = settle
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/deploy/properties/settle")
        .unwrap()
        .clone();
    assert_eq!(said(settle.clone(), &json!({"max": "500ms"})), ["quiet: must not be longer than max"]);
    assert_eq!(said(settle.clone(), &json!({"max": "500ms", "quiet": "0s"})), [""; 0]);
    assert_eq!(said(settle, &json!({"max": "11m"})), ["max: must be between 0s and 10m, is 11m"]);
}

#[test]
fn a_schema_that_says_more_than_is_checked_is_refused() {
    for schema in [
        json!({"oneOf": []}),
        json!({"$ref": "#"}),
        json!({"type": "text"}),
        json!({"pattern": "("}),
        json!({"minLength": -1}),
        json!(7),
        json!({"properties": []}),
        json!({"properties": {"a": {"not": {}}}}),
        json!({"x-kubernetes-validations": [{"rule": "self > 1"}]}),
        json!({"required": "a"}),
    ] {
        assert!(Schema::compile(&schema).is_err(), "{schema}");
    }
}

proptest! {
    #[test]
    fn checking_never_panics(value in any_value()) {
        let _ = said(example(), &value);
    }

    #[test]
    fn compiling_never_panics(value in any_value()) {
        let _ = Schema::compile(&value);
    }
}

/// Any JSON value, with the words of schemas and of the example among its keys.
pub(in crate::api) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(Value::from),
        "(object|array|string|-1s|5m|Correct|host.File|a|\\.\\.)".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let key = "(path|list|type|properties|items|enum|pattern|required|additionalProperties|minimum|maxItems|spec|metadata|name|attributes|.{0,4})";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
