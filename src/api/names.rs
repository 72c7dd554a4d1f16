//! Small texts with a schema of their own: names, references, points in time.
//!
//! Deserializing does not validate: an object that a cluster stored is read as it is and refused by [`super::Checker`] with a path, where a
//! failed deserialization would only say that the whole object does not decode.

pub(super) use crate::api::limits::NAME_LENGTH;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Deref;

/// A DNS-1123 subdomain, as Kubernetes wants the names of objects.
pub(super) const NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

macro_rules! text {
    ($(#[$doc:meta])* $name:ident = $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text! {
    /// The name of an object.
    ObjectName = {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH, "pattern": NAME_PATTERN}
}
text! {
    /// A point in time, RFC 3339 in UTC.
    DateTime = {"type": "string", "format": "date-time", "maxLength": 40}
}
text! {
    /// A line or two for people.
    Text = {"type": "string", "maxLength": 4096}
}

/// An object of the same namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Its name.
    pub name: ObjectName,
}
