//! What differs between an object as it is and as the server says it would be, for people, one line per field.
//!
//! Both sides come from the API server (the live object and a dry run of the apply), so defaults, admission and what other managers own are
//! already in both, and never show up as differences. Values of a Secret are never shown.

use super::manifest::ObjectKey;
use crate::adaptors::SENSITIVE;
use crate::adaptors::limits::VALUE_CHARS;
use serde_json::{Map, Value};
use similar::TextDiff;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Written by the server on every change, or by controllers: not part of what is declared.
const NOISE: [&str; 6] = ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];
/// Holds a copy of a whole object, also of a Secret.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The lines that lead from `live` to `wanted`; empty where nothing that is declared differs.
pub(crate) fn difference(key: &ObjectKey, live: &Value, wanted: &Value) -> String {
    let mut lines = Lines { secret: key.is_secret(), text: String::new() };
    lines.compare(&mut Path::default(), Some(&declared(live)), Some(&declared(wanted)));
    lines.text
}

/// The lines of an object that does not exist yet, of the manifest's own fields.
pub(crate) fn creation(key: &ObjectKey, manifest: &Value, remark: &str) -> String {
    let mut lines = Lines { secret: key.is_secret(), text: format!("+ {key}{remark}\n") };
    let mut fields = declared(manifest);
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            metadata.remove("name");
            metadata.remove("namespace");
            if metadata.is_empty() {
                fields.remove("metadata");
            }
        }
    }
    lines.compare(&mut Path::default(), None, Some(&fields));
    lines.text
}

/// Replaces every value of the Secret in a message that came from elsewhere, plain and encoded.
pub(crate) fn scrub(key: &ObjectKey, manifest: &Value, message: &str) -> String {
    let data = manifest.get("data").and_then(Value::as_object).filter(|_| key.is_secret());
    let encoded: Vec<&str> = data.into_iter().flat_map(Map::values).filter_map(Value::as_str).collect();
    let decode =
        |text: &&str| serde_json::from_value::<k8s_openapi::ByteString>(Value::String((*text).to_owned())).ok();
    let plain: Vec<String> =
        encoded.iter().filter_map(decode).filter_map(|bytes| String::from_utf8(bytes.0).ok()).collect();
    let mut values: Vec<&str> =
        encoded.into_iter().chain(plain.iter().map(String::as_str)).filter(|value| !value.is_empty()).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().fold(message.to_owned(), |message, value| message.replace(value, SENSITIVE))
}

fn declared(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            metadata.retain(|field, _| !NOISE.contains(&field.as_str()));
        }
    }
    object
}

/// Where in an object: `spec.containers[name=web].image`.
#[derive(Default)]
struct Path {
    text: String,
}

impl Path {
    /// Runs `body` one field further in.
    fn field(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        let is_plain = !name.is_empty() && name.chars().all(|each| each.is_ascii_alphanumeric() || "-_".contains(each));
        match (is_plain, self.text.is_empty()) {
            (true, true) => self.within(name, body),
            (true, false) => self.within(&format!(".{name}"), body),
            (false, _) => self.within(&format!("[{}]", Value::from(name)), body),
        }
    }

    fn within(&mut self, step: &str, body: impl FnOnce(&mut Self)) {
        let length = self.text.len();
        self.text.push_str(step);
        body(self);
        self.text.truncate(length);
    }
}

struct Lines {
    secret: bool,
    text: String,
}

impl Lines {
    fn compare(&mut self, path: &mut Path, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        match (old, new) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => self.compare_fields(path, old, new),
            (Some(Value::Array(old)), Some(Value::Array(new))) => self.compare_items(path, old, new),
            (None, Some(Value::Object(new))) if !new.is_empty() => self.compare_fields(path, &Map::new(), new),
            (Some(Value::Object(old)), None) if !old.is_empty() => self.compare_fields(path, old, &Map::new()),
            (None, Some(Value::Array(new))) if !new.is_empty() => self.compare_items(path, &[], new),
            (Some(Value::Array(old)), None) if !old.is_empty() => self.compare_items(path, old, &[]),
            _ => self.line(&path.text, old, new),
        }
    }

    fn compare_fields(&mut self, path: &mut Path, old: &Map<String, Value>, new: &Map<String, Value>) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            path.field(name, |path| self.compare(path, old.get(name), new.get(name)));
        }
    }

    /// Items that have names are matched by name, so that an inserted one does not make all that follow it differ.
    fn compare_items(&mut self, path: &mut Path, old: &[Value], new: &[Value]) {
        let (Some(old_names), Some(new_names)) = (names_of(old), names_of(new)) else {
            for index in 0..old.len().max(new.len()) {
                path.within(&format!("[{index}]"), |path| self.compare(path, old.get(index), new.get(index)));
            }
            return;
        };
        let find = |items: &'_ [Value], names: &[&str], name: &str| {
            names.iter().position(|each| *each == name).and_then(|at| items.get(at).cloned())
        };
        let added = new_names.iter().filter(|name| !old_names.contains(name));
        let before = self.text.len();
        for name in old_names.iter().chain(added) {
            let (old, new) = (find(old, &old_names, name), find(new, &new_names, name));
            path.within(&format!("[name={name}]"), |path| self.compare(path, old.as_ref(), new.as_ref()));
        }
        if self.text.len() == before {
            let _ = writeln!(self.text, "{}: [{}] -> [{}]", path.text, old_names.join(", "), new_names.join(", "));
        }
    }

    fn line(&mut self, path: &str, old: Option<&Value>, new: Option<&Value>) {
        let hidden =
            self.secret && (path.starts_with("data") || path.starts_with("stringData") || path.contains(LAST_APPLIED));
        if let (Some(Value::String(old)), Some(Value::String(new)), false) = (old, new, hidden)
            && (old.contains('\n') || new.contains('\n'))
        {
            return self.text_difference(path, old, new);
        }
        let show = |value: &Value| if hidden { SENSITIVE.to_owned() } else { shown(value) };
        let _ = match (old, new) {
            (Some(old), Some(new)) => writeln!(self.text, "{path}: {} -> {}", show(old), show(new)),
            (None, Some(new)) => writeln!(self.text, "+ {path}: {}", show(new)),
            (Some(old), None) => writeln!(self.text, "- {path}: {}", show(old)),
            (None, None) => Ok(()),
        };
    }

    fn text_difference(&mut self, path: &str, old: &str, new: &str) {
        let _ = writeln!(self.text, "{path}:");
        let difference = TextDiff::from_lines(old, new);
        for line in difference.unified_diff().context_radius(2).to_string().lines() {
            let _ = writeln!(self.text, "  {line}");
        }
    }
}

/// The names of a list's items, where all are objects and each has a name of its own.
fn names_of(items: &[Value]) -> Option<Vec<&str>> {
    let names = items.iter().map(|item| item.get("name")?.as_str()).collect::<Option<Vec<&str>>>()?;
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    (distinct.len() == names.len()).then_some(names)
}

/// A value as JSON, so that `80` and `"80"` differ for the eye too, and control characters are escaped.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn key(kind: &str) -> ObjectKey {
        ObjectKey { api_version: "v1".into(), kind: kind.into(), namespace: Some("shop".into()), name: "x".into() }
    }

    fn check(old: &Value, new: &Value, expected: &str) {
        assert_eq!(difference(&key("ConfigMap"), old, new), expected);
    }

    #[test]
    fn what_the_server_writes_is_no_difference() {
        let live = json!({"metadata": {"name": "x", "resourceVersion": "1", "managedFields": [1]}, "status": {"a": 1}, "data": {"a": "1"}});
        check(&live, &json!({"metadata": {"name": "x", "resourceVersion": "2", "uid": "u"}, "data": {"a": "1"}}), "");
    }

    #[test]
    fn fields_are_changed_added_and_removed_by_path() {
        let old =
            json!({"spec": {"replicas": 1, "paused": true}, "metadata": {"labels": {"app.kubernetes.io/name": "a"}}});
        let new = json!({"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}, "metadata": {"labels": {"app.kubernetes.io/name": "b"}}});
        check(
            &old,
            &new,
            "metadata.labels[\"app.kubernetes.io/name\"]: \"a\" -> \"b\"\n- spec.paused: true\nspec.replicas: 1 -> 3\n+ spec.strategy.type: \"Recreate\"\n",
        );
    }

    #[test]
    fn named_items_are_matched_by_name_and_others_by_position() {
        let old = json!({"c": [{"name": "web", "image": "a"}, {"name": "log", "image": "l"}], "p": [80, 81]});
        let new = json!({"c": [{"name": "new", "image": "n"}, {"name": "web", "image": "b"}, {"name": "log", "image": "l"}], "p": [80]});
        let expected =
            "c[name=web].image: \"a\" -> \"b\"\n+ c[name=new].image: \"n\"\n+ c[name=new].name: \"new\"\n- p[1]: 81\n";
        check(&old, &new, expected);
        check(
            &json!({"c": [{"name": "a"}, {"name": "b"}]}),
            &json!({"c": [{"name": "b"}, {"name": "a"}]}),
            "c: [a, b] -> [b, a]\n",
        );
    }

    #[test]
    fn text_is_compared_line_by_line() {
        let old = json!({"data": {"app.conf": "one\ntwo\nthree\n"}});
        let new = json!({"data": {"app.conf": "one\n2\nthree\n"}});
        check(&old, &new, "data[\"app.conf\"]:\n  @@ -1,3 +1,3 @@\n   one\n  -two\n  +2\n   three\n");
    }

    #[test]
    fn a_secret_shows_its_keys_and_no_value() {
        let copy = json!({LAST_APPLIED: "{\"data\":{\"a\":\"b2xk\"}}"});
        let old =
            json!({"data": {"a": "b2xk", "gone": "Z29uZQ=="}, "type": "Opaque", "metadata": {"annotations": copy}});
        let new = json!({"data": {"a": "bmV3", "more.txt": "bW9yZQ=="}, "type": "Opaque"});
        let text = difference(&key("Secret"), &old, &new);
        assert!(text.contains("data.a: (sensitive) -> (sensitive)\n"), "{text}");
        assert!(
            text.contains("- data.gone: (sensitive)\n") && text.contains("+ data[\"more.txt\"]: (sensitive)\n"),
            "{text}"
        );
        for value in ["b2xk", "bmV3", "Z29uZQ", "bW9yZQ"] {
            assert!(!text.contains(value), "{text}");
        }
        let created = creation(&key("Secret"), &json!({"metadata": {"name": "x"}, "data": {"a": "bmV3"}}), "");
        assert_eq!(created, "+ Secret shop/x\n+ data.a: (sensitive)\n");
    }

    #[test]
    fn a_secret_value_is_scrubbed_from_foreign_words() {
        let manifest = json!({"data": {"a": "aHVudGVyMg=="}});
        assert_eq!(
            scrub(&key("Secret"), &manifest, "bad \"hunter2\", that is aHVudGVyMg=="),
            "bad \"(sensitive)\", that is (sensitive)"
        );
        assert_eq!(scrub(&key("ConfigMap"), &manifest, "hunter2"), "hunter2");
    }

    #[test]
    fn a_long_value_is_cut() {
        let text =
            difference(&key("ConfigMap"), &json!({"data": {"a": "ü".repeat(5_000)}}), &json!({"data": {"a": "b"}}));
        assert!(text.chars().count() < 300 && text.contains("… (10002 bytes) -> \"b\""), "{text}");
    }
}
