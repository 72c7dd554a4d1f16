//! What API servers say, and what users read. The answers are those of a real server, shortened.
#![allow(clippy::unwrap_used)]

use super::{Call, KubernetesError};
use serde_json::{Value, json};

fn said(answer: &Value) -> KubernetesError {
    let call = Call { what: "apply ConfigMap shop/x".into(), url: "https://10.0.0.1:6443".into() };
    call.failed(kube::Error::Api(Box::new(serde_json::from_value(answer.clone()).unwrap())))
}

#[test]
fn forbidden_names_verb_resource_and_service_account() {
    let message = "configmaps \"x\" is forbidden: User \"system:serviceaccount:shop:runner\" cannot patch resource \"configmaps\" in API group \"\" \
                   in the namespace \"shop\"";
    let text = said(&json!({"code": 403, "reason": "Forbidden", "message": message})).to_string();
    assert!(text.starts_with("cannot apply ConfigMap shop/x: configmaps \"x\" is forbidden"), "{text}");
    assert!(
        text.ends_with("; give service account shop/runner a role with the verb `patch` on `configmaps`"),
        "{text}"
    );
    let quota =
        said(&json!({"code": 403, "reason": "Forbidden", "message": "pods \"x\" is forbidden: exceeded quota: q"}))
            .to_string();
    assert!(quota.ends_with("exceeded quota: q"), "{quota}");
}

#[test]
fn conflicts_are_grouped_by_manager() {
    let cause = |manager: &str, field: &str| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager:?}"), "field": field});
    let causes = json!([cause("helm", ".data.a"), cause("kubectl", ".data.b"), cause("helm", ".data.c")]);
    let text =
        said(&json!({"code": 409, "reason": "Conflict", "message": "3 conflicts", "details": {"causes": causes}}))
            .to_string();
    assert!(
        text.contains("manager \"helm\" owns .data.a, .data.c; manager \"kubectl\" owns .data.b; either"),
        "{text}"
    );
    assert!(text.contains("`conflicts: TakeOver`"), "{text}");
}

#[test]
fn an_invalid_object_quotes_each_field() {
    let causes = json!([{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"}]);
    let text = said(&json!({"code": 422, "message": "long", "details": {"causes": causes}})).to_string();
    assert_eq!(text, "cannot apply ConfigMap shop/x: spec.selector: Required value");
    let unknown =
        "failed to create typed patch object (shop/x; /v1, Kind=ConfigMap): .dat: field not declared in schema";
    let unknown = said(&json!({"code": 500, "message": unknown}));
    assert!(matches!(unknown, KubernetesError::Invalid { .. }), "{unknown}");
}

#[test]
fn another_uid_is_another_object() {
    let causes = json!([{"field": "metadata.uid", "message": "field is immutable", "reason": "FieldValueInvalid"}]);
    assert!(matches!(
        said(&json!({"code": 422, "message": "m", "details": {"causes": causes}})),
        KubernetesError::Changed { .. }
    ));
    assert!(matches!(
        said(&json!({"code": 409, "reason": "Conflict", "message": "uid mismatch"})),
        KubernetesError::Changed { .. }
    ));
}

#[test]
fn other_answers_keep_their_code() {
    assert!(
        said(&json!({"code": 401, "message": "Unauthorized"})).to_string().contains("does not accept the credentials")
    );
    assert!(
        said(&json!({"code": 503, "message": "down\nfor now"}))
            .to_string()
            .ends_with("https://10.0.0.1:6443 answered 503: down for now")
    );
    let missing = said(
        &json!({"code": 404, "message": "namespaces \"shop\" not found", "details": {"name": "shop", "kind": "namespaces"}}),
    );
    assert!(matches!(missing, KubernetesError::NotFound { missing, .. } if missing == "namespaces shop"));
}
