//! "Did you mean …?" for names a user typed.

/// The closest of `known` to `typed`, if any is close enough to be a slip of the hand.
pub(crate) fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

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
