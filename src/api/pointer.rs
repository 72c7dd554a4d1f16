//! What is done with JSON pointers (RFC 6901) beside reading at them, which `serde_json` does.

use serde_json::{Map, Value};

/// The names on the way to what it points at, the last one included.
pub(super) fn parts(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"))
}

/// Puts a value at a JSON pointer. Objects on the way are made where there are none; places in lists must be there.
pub fn put_at(attributes: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let mut place = attributes;
    for key in parts(pointer) {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(members) => members.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let count = items.len();
                let item = key.parse().ok().and_then(|index: usize| items.get_mut(index));
                item.ok_or_else(|| format!("{key} is no place in a list of {count}"))?
            }
            _ => return Err(format!("{key} is below something that is no object")),
        };
    }
    *place = value;
    Ok(())
}
