//! The lines that an adaptor said, as they may be kept and shown: the same on both ends of the stream, so that what an executor sends stays as it is,
//! and what one that lies sends becomes harmless.

use super::bounded;
use crate::core::Name;
use crate::core::limits::{LOG_BYTES, LOG_LINE_BYTES, LOG_LINES};
use std::collections::VecDeque;

/// Bytes that the line about what was left out may have.
const MARK_BYTES: usize = 64;

/// The end of a text, after `before` lines that were left out already: control characters escaped, long lines cut with a mark, and in the first line
/// how many lines were left out. `None` where nothing was said.
pub fn bounded_log(text: &str, before: usize) -> Option<Name> {
    let mut lines = text.trim_end().lines().rev();
    let (mut kept, mut bytes, mut left_out) = (VecDeque::new(), 0, before);
    for line in lines.by_ref() {
        let line = bounded(as_printed(line), LOG_LINE_BYTES);
        if kept.len() == LOG_LINES || bytes + line.len() + 1 > LOG_BYTES {
            left_out += 1;
            break;
        }
        bytes += line.len() + 1;
        kept.push_front(line);
    }
    left_out += lines.count();
    if left_out > 0 {
        while kept.len() == LOG_LINES || bytes + MARK_BYTES > LOG_BYTES {
            bytes -= kept.pop_front().map_or(bytes, |line| line.len() + 1);
            left_out += 1;
        }
        kept.push_front(format!("… ({left_out} {} before)", if left_out == 1 { "line" } else { "lines" }).into());
    }
    (!kept.is_empty()).then(|| kept.iter().flat_map(|line| [&**line, "\n"]).collect::<String>().into())
}

/// A line as a terminal leaves it: what was printed over is not said.
fn as_printed(line: &str) -> &str {
    line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn kept(text: &str) -> String {
        bounded_log(text, 0).unwrap().to_string()
    }

    #[test]
    fn lines_stay_as_they_are_where_they_fit() {
        assert_eq!(kept("one\n\n\ttwo\n\n"), "one\n\n\ttwo\n");
        assert_eq!(bounded_log(" \n\n", 0), None);
        assert_eq!(bounded_log("", 3).as_deref(), Some("… (3 lines before)\n"));
    }

    #[test]
    fn the_end_is_kept_and_the_beginning_counted() {
        let text = (0..LOG_LINES + 5).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
        let end = (6..LOG_LINES + 5).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
        assert_eq!(kept(&text), format!("… (6 lines before)\n{end}"));
        assert_eq!(bounded_log(&text, 4).unwrap().lines().next(), Some("… (10 lines before)"));
        let long = "x".repeat(LOG_BYTES);
        assert_eq!(kept(&long), format!("{}\n", bounded(&long, LOG_LINE_BYTES)));
        let text = format!("{long}\n").repeat(LOG_LINES);
        assert!(kept(&text).len() <= LOG_BYTES && kept(&text).ends_with("bytes more)\n"));
        assert!(kept(&text).lines().count() >= LOG_BYTES / LOG_LINE_BYTES - 1);
    }

    #[test]
    fn no_terminal_is_told_what_to_do() {
        assert_eq!(kept("10 %\r50 %\r100 %\r\n\u{1b}[2J\0\u{202e}"), "100 %\n\\u{1b}[2J\\u{0}\\u{202e}\n");
    }

    proptest! {
        #[test]
        fn what_was_bounded_once_stays_as_it_is(text in "(\\PC{0,40}|[x\\r\\x00-\\x1f]{0,2000}|\\n){0,400}", before in 0_usize..3) {
            if let Some(kept) = bounded_log(&text, before) {
                prop_assert!(kept.len() <= LOG_BYTES && kept.lines().count() <= LOG_LINES);
                prop_assert!(kept.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
                prop_assert_eq!(bounded_log(&kept, 0), Some(kept));
            }
        }
    }
}
