//! "Did you mean …?" for names a user typed.

use crate::api::closest;

/// The sentence for a name that does not exist: what was asked for, a suggestion, and where to look.
pub(crate) fn unknown(what: &str, typed: &str, known: &[&str], next: &str) -> String {
    let hint = closest(typed, known.iter().copied()).map_or_else(String::new, |name| format!("; did you mean {name}?"));
    format!("there is no {what} named {typed}{hint}\n  {next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_a_slip_and_not_a_stranger() {
        let known = ["page-index", "page-styles", "motd"];
        assert_eq!(closest("page-indx", known), Some("page-index"));
        assert_eq!(closest("database", known), None);
    }
}
