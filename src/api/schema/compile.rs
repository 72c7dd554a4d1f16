//! From a JSON schema to a [`Schema`]; strict, because a keyword that is not understood is a check that is not made.

use super::{Bounds, Kind, MAX_DEPTH, Others, Schema, SchemaError};
use crate::api::{FieldPath, rules};
use regex::Regex;
use serde_json::{Map, Value};

/// Compiles one schema.
pub(super) fn schema(schema: &Value, at: &FieldPath, depth: usize) -> Result<Schema, SchemaError> {
    let (Value::Object(keywords), true) = (schema, depth <= MAX_DEPTH) else {
        return if *schema == Value::Bool(true) { Ok(anything()) } else { Err(bad(at, "schema")) };
    };
    let mut compiled = Schema::default();
    for (keyword, value) in keywords {
        annotation_or_check(&mut compiled, keyword, value, at, depth)?;
    }
    compiled.others = others(keywords, &compiled, at, depth)?;
    Ok(compiled)
}

fn anything() -> Schema {
    Schema { others: Others::Free, ..Schema::default() }
}

fn annotation_or_check(
    compiled: &mut Schema,
    keyword: &str,
    value: &Value,
    at: &FieldPath,
    depth: usize,
) -> Result<(), SchemaError> {
    match keyword {
        // For people and for the API server; `additionalProperties` and its kin are read by `others`.
        "description"
        | "title"
        | "examples"
        | "format"
        | "$schema"
        | "x-kubernetes-list-map-keys"
        | "x-kubernetes-map-type"
        | "additionalProperties"
        | "x-kubernetes-preserve-unknown-fields" => {}
        "default" => compiled.default = Some(value.clone()),
        "type" => compiled.kinds = kinds(value).ok_or_else(|| bad(at, keyword))?,
        "nullable" => compiled.kinds.extend((*value == Value::Bool(true)).then_some(Kind::Null)),
        "x-kubernetes-int-or-string" => compiled.kinds = vec![Kind::Integer, Kind::String],
        "enum" => compiled.choices = value.as_array().cloned().ok_or_else(|| bad(at, keyword))?,
        "const" => compiled.choices = vec![value.clone()],
        "pattern" => {
            let text = value.as_str().ok_or_else(|| bad(at, keyword))?;
            compiled.pattern =
                Some(Regex::new(text).map_err(|source| SchemaError::Pattern { at: at.clone(), source })?);
        }
        "minLength" => compiled.length.least = Some(count(value, at, keyword)?),
        "maxLength" => compiled.length.most = Some(count(value, at, keyword)?),
        "minimum" => compiled.number.least = Some(value.as_f64().ok_or_else(|| bad(at, keyword))?),
        "maximum" => compiled.number.most = Some(value.as_f64().ok_or_else(|| bad(at, keyword))?),
        "minItems" => compiled.item_count.least = Some(count(value, at, keyword)?),
        "maxItems" => compiled.item_count.most = Some(count(value, at, keyword)?),
        "minProperties" => compiled.property_count.least = Some(count(value, at, keyword)?),
        "maxProperties" => compiled.property_count.most = Some(count(value, at, keyword)?),
        "uniqueItems" => compiled.unique |= *value == Value::Bool(true),
        "x-kubernetes-list-type" => compiled.unique |= value.as_str() == Some("set"),
        "items" => compiled.items = Some(Box::new(schema(value, &at.key("items"), depth + 1)?)),
        "required" => compiled.required = strings(value).ok_or_else(|| bad(at, keyword))?,
        "properties" => {
            for (name, property) in value.as_object().ok_or_else(|| bad(at, keyword))? {
                compiled.properties.insert(name.clone(), schema(property, &at.key(name), depth + 1)?);
            }
        }
        "x-kubernetes-validations" => add_rules(compiled, value, at)?,
        _ => return Err(SchemaError::Keyword { at: at.clone(), keyword: keyword.to_owned() }),
    }
    Ok(())
}

fn add_rules(compiled: &mut Schema, rules: &Value, at: &FieldPath) -> Result<(), SchemaError> {
    for rule in rules.as_array().ok_or_else(|| bad(at, "x-kubernetes-validations"))? {
        let cel = rule.get("rule").and_then(Value::as_str).ok_or_else(|| bad(at, "rule"))?;
        if let Some(bounds) = rules::bounds_of(cel) {
            compiled.duration = Some(bounds);
        } else if let Some(twin) = rules::RULES.iter().find(|known| known.cel == cel) {
            compiled.rules.push(twin);
        } else if !cel.contains("oldSelf") {
            return Err(SchemaError::Rule { at: at.clone(), cel: cel.to_owned() });
        }
    }
    Ok(())
}

/// What is allowed beside the named properties: closed by default, free where nothing is named at all.
fn others(
    keywords: &Map<String, Value>,
    compiled: &Schema,
    at: &FieldPath,
    depth: usize,
) -> Result<Others, SchemaError> {
    if keywords.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return Ok(Others::Free);
    }
    Ok(match keywords.get("additionalProperties") {
        Some(Value::Bool(false)) => Others::Refused,
        Some(Value::Bool(true)) => Others::Free,
        Some(like) => Others::Like(Box::new(schema(like, &at.key("additionalProperties"), depth + 1)?)),
        None if compiled.properties.is_empty() => Others::Free,
        None => Others::Refused,
    })
}

fn kinds(value: &Value) -> Option<Vec<Kind>> {
    match value {
        Value::String(name) => Some(vec![kind(name)?]),
        Value::Array(names) => names.iter().map(|name| kind(name.as_str()?)).collect(),
        _ => None,
    }
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "string" => Kind::String,
        "array" => Kind::Array,
        "object" => Kind::Object,
        _ => return None,
    })
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn count(value: &Value, at: &FieldPath, keyword: &str) -> Result<u64, SchemaError> {
    value.as_u64().ok_or_else(|| bad(at, keyword))
}

fn bad(at: &FieldPath, keyword: &str) -> SchemaError {
    SchemaError::Value { at: at.clone(), keyword: keyword.to_owned() }
}

impl<T: PartialOrd + Copy> Bounds<T> {
    /// Whether `value` lies within.
    pub(super) fn hold(&self, value: T) -> bool {
        self.least.is_none_or(|least| value >= least) && self.most.is_none_or(|most| value <= most)
    }
}

impl<T: std::fmt::Display> Bounds<T> {
    /// For a message: `at least 1`, `at most 5`, `between 1 and 5`.
    pub(super) fn text(&self) -> String {
        match (&self.least, &self.most) {
            (Some(least), Some(most)) => format!("between {least} and {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (None, None) => "anything".to_owned(),
        }
    }
}
