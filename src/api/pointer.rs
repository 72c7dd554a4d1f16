//! Writing at a JSON pointer (RFC 6901), which `serde_json` can only read at.

use serde_json::{Map, Value};

/// Puts a value at a JSON pointer. Objects on the way are made where there are none; places in lists must be there.
pub fn put_at(attributes: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let mut place = attributes;
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
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
