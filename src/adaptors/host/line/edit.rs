//! What happens to the lines of a file, in memory. Idempotent: edited again, nothing changes.

use crate::adaptors::limits::PATTERN_BYTES;
use regex::bytes::{Regex, RegexBuilder};

/// What is wanted of the lines.
pub(super) struct Edit<'a> {
    pub(super) line: Option<&'a [u8]>,
    pub(super) pattern: Option<Regex>,
    pub(super) before: Option<Regex>,
    pub(super) after: Option<Regex>,
    pub(super) present: bool,
}

pub(super) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES).build()
}

impl Edit<'_> {
    /// The content after the edit; `None` where it is right already.
    pub(super) fn of(&self, content: &[u8]) -> Option<Vec<u8>> {
        let mut lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
        // What follows the last line end is a line only where something stands there.
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        let is_it = |line: &[u8]| self.line == Some(line);
        let matches = |line: &[u8]| self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
        if !self.present {
            let before = lines.len();
            lines.retain(|line| !is_it(line) && !matches(line));
            return (lines.len() < before).then(|| joined(&lines, content.ends_with(b"\n")));
        }
        let wanted = self.line?;
        if let Some(found) = lines.iter_mut().rfind(|line| matches(line)) {
            if *found == wanted {
                return None;
            }
            *found = wanted;
            return Some(joined(&lines, content.ends_with(b"\n")));
        }
        if lines.iter().any(|line| is_it(line)) {
            return None;
        }
        let at = self.position(&lines);
        let at_end = at == lines.len();
        lines.insert(at, wanted);
        // Whatever was last gets a line end when something follows it; what we put last always has one.
        Some(joined(&lines, at_end || content.ends_with(b"\n")))
    }

    /// Where a new line goes.
    fn position(&self, lines: &[&[u8]]) -> usize {
        let first = |pattern: &Regex| lines.iter().position(|line| pattern.is_match(line));
        let after_last = |pattern: &Regex| lines.iter().rposition(|line| pattern.is_match(line)).map(|at| at + 1);
        let before = self.before.as_ref().and_then(first);
        before.or_else(|| self.after.as_ref().and_then(after_last)).unwrap_or(lines.len())
    }
}

fn joined(lines: &[&[u8]], ends_with_line_end: bool) -> Vec<u8> {
    let mut content = lines.join(&b'\n');
    if ends_with_line_end && !lines.is_empty() {
        content.push(b'\n');
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `present` or not, `line`, `match`, `insertBefore`, `insertAfter`: what becomes of `content`, which then stays.
    fn check(present: bool, [line, matching, before, after]: [&str; 4], content: &str, expected: &str) {
        let given = |text: &str| (!text.is_empty()).then(|| pattern(text).expect("a pattern"));
        let line = (!line.is_empty()).then_some(line.as_bytes());
        let edit = Edit { line, pattern: given(matching), before: given(before), after: given(after), present };
        let edited = edit.of(content.as_bytes()).unwrap_or_else(|| content.as_bytes().to_vec());
        assert_eq!(String::from_utf8_lossy(&edited), expected);
        assert_eq!(edit.of(&edited), None, "edited again, {expected:?} changes");
    }

    #[test]
    fn a_line_is_put_where_it_belongs_once() {
        check(true, ["b", "", "", ""], "", "b\n");
        check(true, ["b", "", "", ""], "a", "a\nb\n");
        check(true, ["b", "", "", ""], "a\nb\nc\n", "a\nb\nc\n");
        check(true, ["b", "", "", ""], "a\n\n", "a\n\nb\n");
        check(true, ["x", "", "a", ""], "a1\na2", "x\na1\na2");
        check(true, ["x", "", "", "a"], "a1\na2\nb", "a1\na2\nx\nb");
        check(true, ["x", "", "", "b"], "a\nb", "a\nb\nx\n");
        check(true, ["x", "", "", "nowhere"], "a\n", "a\nx\n");
    }

    #[test]
    fn the_last_match_becomes_the_line() {
        check(true, ["k=2", "^#?k=", "", ""], "#k=0\nk=1\nz\n", "#k=0\nk=2\nz\n");
        check(true, ["k=2", "^#?k=", "", ""], "#k=0", "k=2");
        check(true, ["k=2", "^#?k=", "^z", ""], "a\nz\n", "a\nk=2\nz\n");
    }

    #[test]
    fn absent_lines_go_and_nothing_else() {
        check(false, ["b", "", "", ""], "b\na\nb\nbb\n", "a\nbb\n");
        check(false, ["", "^b", "", ""], "b\na\nb\nbb", "a");
        check(false, ["b", "c", "", ""], "b\nc\n", "");
        check(false, ["b", "", "", ""], "a", "a");
    }

    #[test]
    fn what_is_no_text_stays_as_it_is() {
        let edit = Edit { line: Some(b"b"), pattern: None, before: None, after: None, present: true };
        assert_eq!(edit.of(b"\xff\0\n").as_deref(), Some(&b"\xff\0\nb\n"[..]));
    }
}
