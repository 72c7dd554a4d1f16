//! Checks attributes against the JSON schema of a type, and collects everything that is wrong with them.
//!
//! Only the keywords that the adaptors of this crate use are known: `type`, `properties`, `required`, `additionalProperties` (a boolean), `items`,
//! `enum`, `minLength`, `maxLength`, `minItems`, `maxItems`, `minimum`, `maximum`. Deliberately absent: `$ref`, patterns and combinators, whose
//! errors nobody can read; what they would say is in a type's `check`.

use super::TypeSchema;
use serde_json::Value;

/// Complaints about one resource before the rest is left out: nobody reads more.
const MOST_COMPLAINTS: usize = 50;

/// What is wrong with one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// JSON pointer into the attributes; empty for the attributes themselves.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// What was probably meant, where that is known: a name or a value.
    pub suggestion: Option<String>,
}

impl Complaint {
    /// A complaint without a suggestion.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), suggestion: None }
    }
}

/// Everything that is wrong with `attributes`, in the order of the schema; at most 50 complaints.
pub fn complaints(schema: &TypeSchema, attributes: &Value) -> Vec<Complaint> {
    let mut found = Vec::new();
    check(&schema.attributes, attributes, "", &mut found);
    if found.is_empty()
        && let Some(rules) = schema.check
    {
        found = rules(attributes);
    }
    found.truncate(MOST_COMPLAINTS);
    found
}

/// The candidate that is most like `word`, where one is like it at all.
pub fn suggestion<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

fn check(schema: &Value, value: &Value, pointer: &str, found: &mut Vec<Complaint>) {
    if found.len() >= MOST_COMPLAINTS {
        return;
    }
    if let Some(expected) = schema.get("type")
        && !type_fits(expected, value)
    {
        found.push(Complaint::new(pointer, format!("expected {}, found {}", type_words(expected), type_word(value))));
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        found.push(not_allowed(allowed, value, pointer));
        return;
    }
    match value {
        Value::Object(_) => check_object(schema, value, pointer, found),
        Value::Array(items) => {
            check_bounds(schema, ["minItems", "maxItems"], items.len() as f64, "items", pointer, found);
            if let Some(item_schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    check(item_schema, item, &format!("{pointer}/{index}"), found);
                }
            }
        }
        Value::String(text) => {
            check_bounds(schema, ["minLength", "maxLength"], text.chars().count() as f64, "characters", pointer, found);
        }
        Value::Number(number) => {
            check_bounds(schema, ["minimum", "maximum"], number.as_f64().unwrap_or(f64::NAN), "", pointer, found);
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_object(schema: &Value, value: &Value, pointer: &str, found: &mut Vec<Complaint>) {
    let (Some(object), Some(properties)) = (value.as_object(), schema.get("properties").and_then(Value::as_object))
    else {
        return;
    };
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(required) {
            found.push(Complaint::new(pointer, format!("`{required}` is required")));
        }
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, member) in object {
        let member_pointer = format!("{pointer}/{}", escaped(name));
        match properties.get(name) {
            Some(member_schema) => check(member_schema, member, &member_pointer, found),
            None if closed => {
                let suggestion = suggestion(name, properties.keys().map(String::as_str));
                let known = properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                found.push(Complaint {
                    pointer: member_pointer,
                    message: format!("unknown attribute; known are {known}"),
                    suggestion,
                });
            }
            None => {}
        }
    }
}

fn check_bounds(
    schema: &Value,
    keywords: [&str; 2],
    amount: f64,
    unit: &str,
    pointer: &str,
    found: &mut Vec<Complaint>,
) {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let [least, most] = keywords;
    if let Some(least) = bound(least).filter(|least| amount < *least) {
        found.push(Complaint::new(pointer, format!("at least {least} {unit}").trim_end()));
    }
    if let Some(most) = bound(most).filter(|most| amount > *most) {
        found.push(Complaint::new(pointer, format!("at most {most} {unit}").trim_end()));
    }
}

fn not_allowed(allowed: &[Value], value: &Value, pointer: &str) -> Complaint {
    let words: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
    let list = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let suggestion = value.as_str().and_then(|word| suggestion(word, words.into_iter()));
    Complaint { pointer: pointer.to_owned(), message: format!("must be one of {list}"), suggestion }
}

fn type_fits(expected: &Value, value: &Value) -> bool {
    match expected {
        Value::String(word) => match word.as_str() {
            "integer" => value.is_i64() || value.is_u64(),
            word => word == type_word(value),
        },
        Value::Array(any) => any.iter().any(|one| type_fits(one, value)),
        _ => true,
    }
}

fn type_words(expected: &Value) -> String {
    match expected {
        Value::Array(any) => any.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

const fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// One member name as a JSON pointer wants it (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(attributes: &Value) -> Vec<(String, String, Option<String>)> {
        let schema = TypeSchema {
            kind: "test.Example",
            description: "An example.",
            attributes: json!({
                "type": "object", "additionalProperties": false, "required": ["path"],
                "properties": {
                    "path": {"type": "string", "minLength": 1, "maxLength": 8},
                    "ensure": {"type": "string", "enum": ["present", "absent"]},
                    "list": {"type": "array", "maxItems": 2, "items": {"type": "integer", "minimum": 0}},
                },
            }),
            identity: &["/path"],
            identity_part: None,
            sensitive: &[],
            check: None,
        };
        complaints(&schema, attributes).into_iter().map(|c| (c.pointer, c.message, c.suggestion)).collect()
    }

    #[test]
    fn valid_attributes_have_no_complaints() {
        assert!(found(&json!({"path": "/x", "ensure": "absent", "list": [0, 1]})).is_empty());
    }

    #[test]
    fn all_complaints_are_collected_with_pointer_and_suggestion() {
        let complaints = found(&json!({"pth/x": 1, "ensure": "presnt", "list": [1, -1, "a"]}));
        assert_eq!(
            complaints,
            [
                (String::new(), "`path` is required".to_owned(), None),
                ("/ensure".to_owned(), "must be one of \"present\", \"absent\"".to_owned(), Some("present".to_owned())),
                ("/list".to_owned(), "at most 2 items".to_owned(), None),
                ("/list/1".to_owned(), "at least 0".to_owned(), None),
                ("/list/2".to_owned(), "expected integer, found string".to_owned(), None),
                (
                    "/pth~1x".to_owned(),
                    "unknown attribute; known are ensure, list, path".to_owned(),
                    Some("path".to_owned())
                ),
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named() {
        assert_eq!(found(&json!([1])), [(String::new(), "expected object, found array".to_owned(), None)]);
        assert_eq!(
            found(&json!({"path": true})),
            [("/path".to_owned(), "expected string, found boolean".to_owned(), None)]
        );
    }
}
