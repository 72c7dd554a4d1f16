//! What an adaptor says while it works, line by line, for people who ask later what happened.
//!
//! It may hold secrets until its attempt has ended: the executor takes them out of the whole text, cuts and escapes it, and sends it with the result.
//! Memory is bounded all the same: the end is kept, and what came before is counted. Deliberately absent: telling anybody while the work goes on.

use crate::adaptors::limits::{LOG_HELD_BYTES, LOG_LINE_HELD_BYTES};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stands where something was left out, so that half a secret beside it is found ([`crate::executor`]).
const CUT: char = '…';

/// The lines of one attempt. Clones write into the same.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    lines: VecDeque<String>,
    bytes: usize,
    left_out: usize,
}

/// Without what may be secret.
impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// Says a line, or several. Secrets may be in them, control characters too.
    pub fn say(&self, text: &str) {
        let mut held = self.held();
        text.lines().for_each(|line| held.take(line));
    }

    /// All of it as one text, beginning with a mark where it is only the end; and how many lines came before.
    pub(crate) fn text(&self) -> (String, usize) {
        let held = self.held();
        let mark = if held.left_out > 0 { "…\n" } else { "" };
        let lines = held.lines.iter().flat_map(|line| [line, "\n"]);
        ([mark].into_iter().chain(lines).collect(), held.left_out)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn take(&mut self, line: &str) {
        let mut kept = line.get(..line.floor_char_boundary(LOG_LINE_HELD_BYTES)).unwrap_or_default().to_owned();
        if kept.len() < line.len() {
            kept.push(CUT);
        }
        self.bytes += kept.len() + 1;
        self.lines.push_back(kept);
        while self.bytes > LOG_HELD_BYTES
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
            self.left_out += 1;
        }
    }
}

/// Makes lines of what a program prints as it comes. What it did not end with a line break is said when this is dropped.
pub(crate) struct Printed {
    log: Log,
    line: Vec<u8>,
}

impl Printed {
    pub(crate) const fn into(log: Log) -> Self {
        Self { log, line: Vec::new() }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            // More than a line may have shows that it is to be cut, and where; a character that is halved here comes after.
            let room = (LOG_LINE_HELD_BYTES + char::MAX.len_utf8()).saturating_sub(self.line.len());
            self.line.extend(piece.iter().filter(|byte| **byte != b'\n').take(room));
            if piece.ends_with(b"\n") {
                self.log.held().take(String::from_utf8_lossy(&self.line).trim_end_matches('\r'));
                self.line.clear();
            }
        }
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        self.log.say(&String::from_utf8_lossy(&self.line));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_said_is_told_line_by_line() {
        let log = Log::default();
        assert_eq!(log.text(), (String::new(), 0));
        log.say("one\ntwo");
        log.clone().say("three");
        assert_eq!(log.text(), ("one\ntwo\nthree\n".to_owned(), 0));
        assert_eq!(format!("{log:?}"), "Log { .. }", "a secret may be in it");
    }

    #[test]
    fn bytes_become_lines_however_they_come() {
        let log = Log::default();
        let mut printed = Printed::into(log.clone());
        for bytes in [&b"a\n\nb"[..], b"c", b"\r\n", b"\xff\xc3", b"\xbc"] {
            printed.take(bytes);
        }
        assert_eq!(log.text().0, "a\n\nbc\n");
        drop(printed);
        assert_eq!(log.text().0, "a\n\nbc\n\u{fffd}ü\n");
    }

    #[test]
    fn memory_is_bounded_whatever_is_said() {
        let log = Log::default();
        let mut printed = Printed::into(log.clone());
        for _ in 0..1_000 {
            printed.take("ü".repeat(1_000).as_bytes());
        }
        assert!(printed.line.capacity() <= 4 * LOG_LINE_HELD_BYTES);
        drop(printed);
        let (text, left_out) = log.text();
        assert_eq!((left_out, text.trim_end().strip_suffix(CUT).unwrap().len()), (0, LOG_LINE_HELD_BYTES));
        for number in 0..LOG_HELD_BYTES {
            log.say(&number.to_string());
        }
        let (text, left_out) = log.text();
        assert!(text.len() <= LOG_HELD_BYTES + 4 && text.starts_with("…\n"), "{}", text.len());
        assert!(text.ends_with(&format!("\n{}\n", LOG_HELD_BYTES - 1)));
        assert_eq!(left_out + text.lines().count() - 1, LOG_HELD_BYTES + 1, "every line is told or counted");
    }
}
