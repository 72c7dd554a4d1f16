//! What a type says is wrong with attributes that fit its JSON schema.
//!
//! Deliberately absent: a validator. `api::schema` holds attributes to the JSON schema where intent comes in, and then asks the type.

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
