//! Every bound of what is read from users, with its unit and its reason.

/// Characters of a condition's message at most.
pub const MESSAGE_CHARACTERS: usize = 1_024;
/// Characters of a duration at most.
pub(crate) const DURATION_CHARACTERS: usize = 32;
/// The longest duration, in milliseconds: 366 days.
pub(crate) const DURATION_MS: u64 = 366 * 24 * 3_600_000;
/// Characters of an untrusted text that an error message repeats.
pub(crate) const SHOWN_CHARACTERS: usize = 60;
/// Characters of a name at most.
pub(crate) const NAME_LENGTH: usize = 253;
/// Nesting of a value at most. Deeper ones are refused with the path: nobody needs it, and everything downstream recurses.
pub const MAX_DEPTH: usize = 64;
/// Errors reported of one object; the rest adds nothing.
pub const MAX_ERRORS: usize = 100;
