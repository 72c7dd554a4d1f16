//! From a value and a [`Schema`] to everything that is wrong.

use super::{Kind, MAX_DEPTH, MAX_ERRORS, Others, Schema};
use crate::api::duration;
use crate::api::field::shown;
use crate::api::{Duration, FieldError, FieldPath, did_you_mean, inputs, names, resource, rules, target};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// Checks one value; recursion is bounded by [`MAX_DEPTH`].
///
/// An empty (`null`) field is refused where a value is wanted. The API server takes it for absent and drops it before anybody sees it; a file has
/// no such step, and a key without a value is more often a slip than a wish.
pub(super) fn value(schema: &Schema, value: &Value, path: &FieldPath, errors: &mut Vec<FieldError>) {
    if errors.len() >= MAX_ERRORS {
        return;
    }
    if path.segments().len() > MAX_DEPTH {
        errors.push(FieldError::value(path.clone(), format!("is nested more than {MAX_DEPTH} levels deep")));
        return;
    }
    if !schema.kinds.is_empty() && !schema.kinds.iter().any(|kind| kind.is_of(value)) {
        errors.push(wrong_type(schema, value, path));
        return;
    }
    if !schema.choices.is_empty() && !schema.choices.contains(value) {
        errors.push(not_a_choice(&schema.choices, value, path));
        return;
    }
    let before = errors.len();
    match value {
        Value::String(text) => string(schema, text, path, errors),
        Value::Number(number) => {
            let in_bounds = number.as_f64().is_some_and(|number| schema.number.hold(number));
            if !in_bounds {
                errors.push(FieldError::value(path.clone(), format!("must be {}, is {number}", schema.number.text())));
            }
        }
        Value::Array(items) => array(schema, items, path, errors),
        Value::Object(fields) => object(schema, fields, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
    // The API server evaluates rules only on what is otherwise valid.
    if errors.len() == before {
        rules_of(schema, value, path, errors);
    }
}

fn rules_of(schema: &Schema, value: &Value, path: &FieldPath, errors: &mut Vec<FieldError>) {
    let filled = if schema.rules.is_empty() { Cow::Borrowed(value) } else { with_defaults(schema, value) };
    for rule in &schema.rules {
        if !(rule.holds)(&filled) {
            errors.push(FieldError::value(rules::field_path(path, rule.field), rule.message));
        }
    }
    if let (Some((least, most)), Some(text)) = (schema.duration, value.as_str()) {
        match text.parse::<Duration>() {
            Ok(duration) if (least..=most).contains(&duration) => {}
            _ => errors.push(FieldError::value(path.clone(), format!("must be between {least} and {most}, is {text}"))),
        }
    }
}

/// The value as the API server shows it to rules: what is left out has its default.
fn with_defaults<'a>(schema: &Schema, value: &'a Value) -> Cow<'a, Value> {
    let mut filled = Cow::Borrowed(value);
    for (name, property) in &schema.properties {
        if let (Some(default), None) = (&property.default, value.get(name))
            && let Some(fields) = filled.to_mut().as_object_mut()
        {
            fields.insert(name.clone(), default.clone());
        }
    }
    filled
}

fn string(schema: &Schema, text: &str, path: &FieldPath, errors: &mut Vec<FieldError>) {
    let characters = text.chars().count() as u64;
    if !schema.length.hold(characters) {
        errors.push(FieldError::value(
            path.clone(),
            format!("must have {} characters, has {characters}", schema.length.text()),
        ));
    } else if text.contains('\0') {
        errors.push(FieldError::value(path.clone(), "contains NUL, which cannot be stored"));
    } else if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        errors.push(FieldError::value(path.clone(), format!("{}, is {}", explained(pattern.as_str()), shown(text))));
    }
}

/// What a pattern wants, in words where it is one of ours.
fn explained(pattern: &str) -> String {
    match pattern {
        names::NAME_PATTERN => "must be a DNS-1123 name (lower case letters, digits, `-` and `.`, a letter or digit at both ends of each part)".to_owned(),
        duration::PATTERN => "must be a duration such as 500ms, 30s, 5m or 1h30m".to_owned(),
        resource::TYPE_PATTERN => "must be <adaptor>.<Type>, such as host.File".to_owned(),
        inputs::VARIABLE => "must be a name of letters, digits and `_`, not beginning with a digit".to_owned(),
        inputs::POINTER => "must be a JSON pointer such as /content or /env/NAME".to_owned(),
        target::ABSOLUTE_PATH => "must be an absolute path without control characters".to_owned(),
        _ => format!("must match {pattern}"),
    }
}

fn array(schema: &Schema, items: &[Value], path: &FieldPath, errors: &mut Vec<FieldError>) {
    if !schema.item_count.hold(items.len() as u64) {
        errors.push(FieldError::value(
            path.clone(),
            format!("must have {} items, has {}", schema.item_count.text(), items.len()),
        ));
        return;
    }
    let anything = free();
    let like = schema.items.as_deref().unwrap_or(&anything);
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        if schema.unique && !seen.insert(item) {
            errors.push(FieldError::value(path.index(index), format!("{} is listed twice", described(item))));
        }
        if needs_a_look(like, item) {
            value(like, item, &path.index(index), errors);
        }
    }
}

fn object(schema: &Schema, fields: &Map<String, Value>, path: &FieldPath, errors: &mut Vec<FieldError>) {
    if !schema.property_count.hold(fields.len() as u64) {
        errors.push(FieldError::value(
            path.clone(),
            format!("must have {} fields, has {}", schema.property_count.text(), fields.len()),
        ));
        return;
    }
    for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
        errors.push(FieldError::value(path.key(name), "is required"));
    }
    let anything = free();
    for (name, field) in fields {
        if name.contains('\0') {
            errors.push(FieldError::key(path.key(name), "contains NUL, which cannot be stored"));
            continue;
        }
        let like = match (schema.properties.get(name), &schema.others) {
            (Some(property), _) => property,
            (None, Others::Like(like)) => like,
            (None, Others::Free) => &anything,
            (None, Others::Refused) => {
                errors.push(unknown(schema, fields, name, path));
                continue;
            }
        };
        if needs_a_look(like, field) {
            value(like, field, &path.key(name), errors);
        }
    }
}

/// Most of a free-form value is short plain text; no path is built for it.
fn needs_a_look(schema: &Schema, value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) => true,
        Value::String(text) => !schema.is_free() || text.contains('\0'),
        _ => !schema.is_free(),
    }
}

fn unknown(schema: &Schema, fields: &Map<String, Value>, name: &str, path: &FieldPath) -> FieldError {
    let missing = schema.properties.keys().filter(|known| !fields.contains_key(*known)).map(String::as_str);
    let all = || schema.properties.keys().map(String::as_str);
    let suggestion = did_you_mean(name, missing).or_else(|| did_you_mean(name, all())).or_else(|| {
        let known: Vec<&str> = all().take(20).collect();
        (!known.is_empty()).then(|| format!("known here: {}", known.join(", ")))
    });
    FieldError::key(path.key(name), "unknown field").suggest(suggestion)
}

fn wrong_type(schema: &Schema, value: &Value, path: &FieldPath) -> FieldError {
    let wanted: Vec<&str> = schema.kinds.iter().map(|kind| kind.text()).collect();
    let suggestion = match value {
        Value::String(text) if schema.kinds.contains(&Kind::Boolean) && matches!(&**text, "true" | "false") => {
            Some(format!("write {text} without quotes"))
        }
        Value::String(text)
            if text.parse::<i64>().is_ok()
                && schema.kinds.iter().any(|kind| matches!(kind, Kind::Integer | Kind::Number)) =>
        {
            Some(format!("write {text} without quotes"))
        }
        Value::Number(_) | Value::Bool(_) if schema.kinds.contains(&Kind::String) => {
            Some(format!("write \"{value}\", in quotes"))
        }
        Value::String(text)
            if schema.kinds.contains(&Kind::Object)
                && schema.properties.contains_key("name")
                && shown(text) == format!("\"{text}\"") =>
        {
            Some(format!("write {{name: {text}}}"))
        }
        Value::Null => Some("write a value, or leave the field out".to_owned()),
        _ => None,
    };
    FieldError::value(path.clone(), format!("must be {}, is {}", wanted.join(" or "), described(value)))
        .suggest(suggestion)
}

fn not_a_choice(choices: &[Value], value: &Value, path: &FieldPath) -> FieldError {
    let texts: Vec<String> =
        choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)).collect();
    let suggestion = value.as_str().and_then(|text| did_you_mean(text, texts.iter().map(String::as_str)));
    FieldError::value(path.clone(), format!("must be {}, is {}", texts.join(" or "), described(value)))
        .suggest(suggestion)
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(truth) => format!("the boolean {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => shown(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn free() -> Schema {
    Schema { others: Others::Free, ..Schema::default() }
}

impl Schema {
    /// Whether it checks nothing by itself.
    fn is_free(&self) -> bool {
        self.kinds.is_empty()
            && self.choices.is_empty()
            && self.properties.is_empty()
            && self.items.is_none()
            && self.pattern.is_none()
            && self.length.least.is_none()
            && self.length.most.is_none()
            && self.number.least.is_none()
            && self.number.most.is_none()
    }
}

impl Kind {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Boolean => "a boolean",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "an object",
        }
    }
}
