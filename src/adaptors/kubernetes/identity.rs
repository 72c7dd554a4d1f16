//! Who made an object: the identity that history records, the field manager's name, and what an object itself says about its makers.
//!
//! Deliberately absent: labels and annotations of ours. What is deleted is decided by a recorded UID; the one case without a record, a create
//! whose attempt failed, is decided by the field manager that server-side apply leaves on the object.

use super::manifest::{ObjectKey, check_name};
use crate::adaptors::limits::MANAGER_BYTES;
use crate::core::Hash;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An object's creation and its first apply are stamped by one request, each on its own and in whole seconds.
const SAME_REQUEST_SECONDS: i64 = 2;

/// What history records of an object: enough to find it, and to know that it is still the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RemoteIdentity {
    api_version: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    /// The server's unique id: a new one for every creation.
    pub(crate) uid: String,
}

impl RemoteIdentity {
    /// Of an object as the server returned it.
    pub(crate) fn of(key: &ObjectKey, object: &Value) -> Option<Self> {
        let uid = uid(object)?.to_owned();
        let ObjectKey { api_version, kind, namespace, name } = key.clone();
        Some(Self { api_version, kind, namespace, name, uid })
    }

    /// From the text that history holds; `None` where that is not one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let identity: Self = serde_json::from_str(text).ok()?;
        check_name("name", &identity.name).ok()?;
        identity.namespace.as_deref().map_or(Ok(()), |namespace| check_name("namespace", namespace)).ok()?;
        Some(identity)
    }

    /// Which object it names.
    pub(crate) fn key(&self) -> ObjectKey {
        let Self { api_version, kind, namespace, name, uid: _ } = self.clone();
        ObjectKey { api_version, kind, namespace, name }
    }

    /// The text that history holds.
    pub(crate) fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// The name under which an environment applies: one per environment, the same for ever.
pub(crate) fn field_manager(environment: &str) -> String {
    let manager = format!("homeostat-{environment}");
    if manager.len() <= MANAGER_BYTES {
        return manager;
    }
    let digest = Hash::of(&[environment.as_bytes()]).to_string();
    let mut start = manager;
    start.truncate(start.floor_char_boundary(MANAGER_BYTES - digest.len() - 1));
    format!("{start}-{digest}")
}

/// The object's UID.
pub(crate) fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid")?.as_str()
}

/// When its deletion was asked for, where it was.
pub(crate) fn deletion_timestamp(object: &Value) -> Option<&str> {
    object.pointer("/metadata/deletionTimestamp")?.as_str()
}

/// Entries about the object itself, its status and other subresources apart.
fn managers(object: &Value) -> impl Iterator<Item = &Value> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().filter(|entry| entry.get("subresource").is_none())
}

fn is_apply_of(entry: &Value, manager: &str) -> bool {
    let is = |field: &str, value: &str| entry.get(field).and_then(Value::as_str) == Some(value);
    is("manager", manager) && is("operation", "Apply")
}

/// Whether this manager has applied to the object, and still owns something of it.
pub(crate) fn has_applied(object: &Value, manager: &str) -> bool {
    managers(object).any(|entry| is_apply_of(entry, manager))
}

/// Whether the object shows that this manager's apply created it: nobody else ever wrote it, or the apply is as old as the object.
pub(crate) fn was_created_by(object: &Value, manager: &str) -> bool {
    let Some(ours) = managers(object).find(|entry| is_apply_of(entry, manager)) else { return false };
    if managers(object).all(|entry| entry.get("manager").and_then(Value::as_str) == Some(manager)) {
        return true;
    }
    let seconds = |value: Option<&Value>| value?.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let created = seconds(object.pointer("/metadata/creationTimestamp"));
    let applied = seconds(ours.get("time"));
    created.zip(applied).is_some_and(|(created, applied)| (applied - created).abs() <= SAME_REQUEST_SECONDS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn object(managers: &Value) -> Value {
        json!({"metadata": {"uid": "u-1", "creationTimestamp": "2026-11-21T09:43:44Z", "managedFields": managers}})
    }

    fn entry(manager: &str, operation: &str, time: &str) -> Value {
        json!({"manager": manager, "operation": operation, "time": time})
    }

    #[test]
    fn an_identity_survives_history_and_a_forged_one_does_not() {
        let key = ObjectKey {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: "web".into(),
        };
        let identity = RemoteIdentity::of(&key, &object(&json!([]))).unwrap();
        let text = identity.text().unwrap();
        assert_eq!(text, r#"{"apiVersion":"apps/v1","kind":"Deployment","namespace":"shop","name":"web","uid":"u-1"}"#);
        assert_eq!(RemoteIdentity::parse(&text), Some(identity.clone()));
        assert_eq!(identity.key(), key);
        assert_eq!(RemoteIdentity::parse("/etc/motd"), None);
        assert_eq!(RemoteIdentity::parse(&text.replace("web", "../../x")), None);
    }

    #[test]
    fn a_long_environment_still_has_a_manager_of_its_own() {
        assert_eq!(field_manager("shop"), "homeostat-shop");
        let (one, two) =
            (field_manager(&format!("{}1", "x".repeat(200))), field_manager(&format!("{}2", "x".repeat(200))));
        assert!(one.len() <= MANAGER_BYTES && two.len() <= MANAGER_BYTES);
        assert_ne!(one, two);
        assert!(field_manager(&"ü".repeat(200)).len() <= MANAGER_BYTES);
    }

    #[test]
    fn creation_is_told_from_adoption() {
        let (created, later) = ("2026-11-21T09:43:44Z", "2026-11-21T09:50:00Z");
        let ours = |time| entry("homeostat-shop", "Apply", time);
        let theirs = |time| entry("kubectl-create", "Update", time);
        assert!(was_created_by(&object(&json!([ours(later)])), "homeostat-shop"));
        assert!(was_created_by(&object(&json!([ours(created), theirs(later)])), "homeostat-shop"));
        assert!(!was_created_by(&object(&json!([theirs(created), ours(later)])), "homeostat-shop"));
        assert!(!was_created_by(&object(&json!([theirs(created)])), "homeostat-shop"));
        assert!(!was_created_by(&object(&json!([ours(created)])), "homeostat-shopping"));
        let status = json!({"manager": "controller", "operation": "Update", "subresource": "status", "time": created});
        assert!(was_created_by(&object(&json!([ours(later), status])), "homeostat-shop"));
        assert!(!has_applied(&object(&json!([entry("homeostat-shop", "Update", created)])), "homeostat-shop"));
    }
}
