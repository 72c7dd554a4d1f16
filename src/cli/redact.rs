//! What may be shown of an intent: its attributes, without those that its type's schema marks as sensitive.

use crate::adaptors::registry;
use crate::core::Intent;
use serde_json::Value;

/// What stands in the place of a sensitive value.
pub(crate) const SENSITIVE: &str = "(sensitive)";
/// The same, where it differs from the value that is shown beside it.
const CHANGED: &str = "(sensitive, changed)";

/// The attributes of an intent for people and programs.
pub(crate) fn attributes(intent: &Intent) -> Value {
    let mut attributes = parsed(intent);
    for pointer in sensitive(intent) {
        if let Some(value) = attributes.pointer_mut(pointer) {
            *value = Value::from(SENSITIVE);
        }
    }
    attributes
}

/// The attributes of an intent that is shown beside an earlier one: a sensitive value that differs is said to.
pub(crate) fn attributes_since(intent: &Intent, earlier: &Intent) -> Value {
    let (hidden, before) = (parsed(intent), parsed(earlier));
    let mut shown = attributes(intent);
    for pointer in sensitive(intent) {
        if let Some(value) = shown.pointer_mut(pointer)
            && hidden.pointer(pointer) != before.pointer(pointer)
        {
            *value = Value::from(CHANGED);
        }
    }
    shown
}

fn parsed(intent: &Intent) -> Value {
    serde_json::from_str(&intent.attributes).unwrap_or_default()
}

fn sensitive(intent: &Intent) -> &'static [&'static str] {
    registry::schema(&intent.kind).map_or(&[], |schema| schema.sensitive)
}
