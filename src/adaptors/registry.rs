//! All adaptors of this binary by the types they know.
//!
//! The executor looks adaptors up here; the edges that take intent in look schemas up, to refuse what no adaptor would understand before
//! anything is accepted. Deliberately absent: plugins loaded at run time.

use super::{Adaptor, SENSITIVE, TypeSchema};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

struct Entry {
    adaptor: Arc<dyn Adaptor>,
    schema: TypeSchema,
}

static ENTRIES: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    let adaptors: Vec<Arc<dyn Adaptor>> =
        vec![Arc::new(super::host::Host), Arc::new(super::kubernetes::Kubernetes::new()), Arc::new(super::test::Test)];
    let mut entries = BTreeMap::new();
    for adaptor in adaptors {
        for schema in adaptor.types() {
            entries.insert(schema.kind, Entry { adaptor: Arc::clone(&adaptor), schema });
        }
    }
    entries
});

/// The schema of a type such as `host.File`; `None` where no adaptor of this binary knows it.
pub fn schema(kind: &str) -> Option<&'static TypeSchema> {
    ENTRIES.get(kind).map(|entry| &entry.schema)
}

/// The adaptor of a type.
pub fn adaptor(kind: &str) -> Option<Arc<dyn Adaptor>> {
    ENTRIES.get(kind).map(|entry| Arc::clone(&entry.adaptor))
}

/// All known types, sorted.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    ENTRIES.keys().copied()
}

/// What makes a resource the same thing on its target, as canonical JSON: `{"/path":"/etc/motd"}`. Attributes that are absent are left out;
/// where none of the type's identity attributes is there, it is the resource's name that does.
pub fn identity(schema: &TypeSchema, name: &str, attributes: &Value) -> String {
    let mut parts = Map::new();
    for pointer in schema.identity {
        if let Some(value) = attributes.pointer(pointer).filter(|value| !value.is_null()) {
            let part = schema.identity_part.map_or_else(|| value.clone(), |part| part(pointer, value, attributes));
            if !part.is_null() {
                parts.insert((*pointer).to_owned(), part);
            }
        }
    }
    if parts.is_empty() {
        parts.insert("name".to_owned(), Value::from(name));
    }
    canonical(&Value::Object(parts))
}

/// The attributes of a resource of this type as they are printed: [`SENSITIVE`] in the place of every value that is secret, its key where it has one
/// as it is.
pub fn printed(kind: &str, mut attributes: Value) -> Value {
    let Some(Entry { adaptor, schema }) = ENTRIES.get(kind) else { return attributes };
    for pointer in schema.sensitive.iter().chain(adaptor.masks(kind, &attributes)) {
        if let Some(value) = attributes.pointer_mut(pointer) {
            mask(value);
        }
    }
    attributes
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(mask),
        Value::Array(items) => items.iter_mut().for_each(mask),
        scalar => *scalar = SENSITIVE.into(),
    }
}

/// JSON text with sorted object keys and no white space: equal values give equal text.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            write_list(text, ['{', '}'], sorted.into_iter(), |text, (name, member)| {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(member, text);
            });
        }
        Value::Array(items) => write_list(text, ['[', ']'], items.iter(), |text, item| write_canonical(item, text)),
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn write_list<T>(
    text: &mut String,
    brackets: [char; 2],
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut String, T),
) {
    let [open, close] = brackets;
    text.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(text, item);
    }
    text.push(close);
}

/// One JSON pointer points at the same as `outer`, or at a part of that.
pub fn is_at_or_below(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_text_does_not_depend_on_the_order_of_keys() {
        let text = canonical(&json!({"b": [1, {"d": null, "c": "\"\n"}], "a": {}}));
        assert_eq!(text, r#"{"a":{},"b":[1,{"c":"\"\n","d":null}]}"#);
    }

    #[test]
    fn a_newer_version_of_a_kind_is_the_same_object() {
        let schema = super::schema("kubernetes.Manifest").expect("a type of the base set");
        let named = |api_version: &str| {
            let manifest =
                json!({"apiVersion": api_version, "kind": "CronJob", "metadata": {"namespace": "a", "name": "b"}});
            identity(schema, "r1", &json!({ "manifest": manifest }))
        };
        assert_eq!(named("batch/v1beta1"), named("batch/v1"));
        assert_ne!(named("batch/v1"), named("v1"));
    }

    #[test]
    fn what_is_secret_is_not_printed() {
        let user = json!({"name": "eve", "passwordHash": "$6$canary"});
        assert_eq!(printed("host.User", user), json!({"name": "eve", "passwordHash": "(sensitive)"}));
        let object = |api_version: &str, kind: &str, secret: &str| {
            json!({"readiness": "None", "manifest": {
                "apiVersion": api_version, "kind": kind, "type": "Opaque",
                "metadata": {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": secret}},
                "data": {"tls.key": secret}, "stringData": {"token": secret},
            }})
        };
        let check = |api_version: &str, kind: &str, expected: &str| {
            let found = printed("kubernetes.Manifest", object(api_version, kind, "canary"));
            assert_eq!(found, object(api_version, kind, expected), "{api_version} {kind}");
        };
        check("v1", "Secret", SENSITIVE);
        check("v1", "ConfigMap", "canary");
        check("example.org/v1", "Secret", "canary");
        let unreadable = |secret: &str| json!({"manifest": {"kind": "Secret", "data": secret}});
        assert_eq!(printed("kubernetes.Manifest", unreadable("canary")), unreadable(SENSITIVE));
        assert_eq!(printed("gone.Type", json!({"a": 1})), json!({"a": 1}));
    }

    #[test]
    fn identity_is_made_of_what_is_there_else_of_the_name() {
        let schema = |identity| TypeSchema {
            kind: "test.Example",
            description: "An example.",
            attributes: json!({}),
            identity,
            identity_part: None,
            sensitive: &[],
            facts: &[],
            check: None,
        };
        let attributes = json!({"path": "/etc/motd", "metadata": {"name": "x"}});
        assert_eq!(identity(&schema(&["/path"]), "r1", &attributes), r#"{"/path":"/etc/motd"}"#);
        assert_eq!(
            identity(&schema(&["/path", "/metadata/namespace", "/metadata/name"]), "r1", &attributes),
            r#"{"/metadata/name":"x","/path":"/etc/motd"}"#
        );
        assert_eq!(identity(&schema(&[]), "r1", &attributes), r#"{"name":"r1"}"#);
    }
}
