//! How long edits rest before they become a version: until it has been quiet for a while, but never longer than a bound, so that neither a folder of
//! a thousand files makes a thousand versions nor a steady trickle of edits makes none.
//!
//! Deliberately absent: a clock and a timer. The owner says when something happened and asks when to wake.

use crate::core::Timestamp;

/// How long edits must rest, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Without an edit for so long, they are taken.
    pub quiet_ms: u64,
    /// The first edit waits no longer than this.
    pub at_most_ms: u64,
}

/// Edits that are not yet a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settle {
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    first: Timestamp,
    last: Timestamp,
}

impl Settle {
    /// Something was edited.
    pub fn edited(&mut self, now: Timestamp) {
        let first = self.waiting.map_or(now, |waiting| waiting.first);
        self.waiting = Some(Waiting { first, last: now });
    }

    /// When the edits are to be taken; `None` while there are none.
    pub fn due(&self, rest: Rest) -> Option<Timestamp> {
        self.waiting.map(|Waiting { first, last }| last.after_ms(rest.quiet_ms).min(first.after_ms(rest.at_most_ms)))
    }

    /// Whether the edits are due, and if so, forgets them: the caller takes all of them now.
    pub fn take(&mut self, now: Timestamp, rest: Rest) -> bool {
        let due = self.due(rest).is_some_and(|due| due <= now);
        if due {
            self.waiting = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::{Rest, Settle};
    use crate::core::Timestamp;

    const REST: Rest = Rest { quiet_ms: 1_000, at_most_ms: 10_000 };

    /// Takes the edit times, and says at which times a version was made when the owner wakes exactly when it is due.
    fn versions(edits: &[i64]) -> Vec<i64> {
        let mut settle = Settle::default();
        let mut made = Vec::new();
        let mut edits = edits.iter().copied().peekable();
        loop {
            let due = settle.due(REST);
            match (edits.peek().copied(), due) {
                (None, None) => return made,
                (Some(edit), due) if due.is_none_or(|due| edit < due.0) => {
                    settle.edited(Timestamp(edit));
                    edits.next();
                }
                (_, Some(due)) => {
                    assert!(!settle.take(Timestamp(due.0 - 1), REST), "not before it is due");
                    assert!(settle.take(due, REST));
                    made.push(due.0);
                }
                (Some(_), None) => unreachable!("covered by the first arm"),
            }
        }
    }

    #[test]
    fn s5_a_thousand_edits_at_once_are_one_version() {
        let edits: Vec<i64> = (0..1_000).map(|edit| edit / 2).collect();
        assert_eq!(versions(&edits), [1_499]);
    }

    #[test]
    fn s5_a_steady_trickle_makes_a_version_at_the_latest_every_ten_seconds() {
        let edits: Vec<i64> = (0..60).map(|edit| edit * 500).collect();
        assert_eq!(versions(&edits), [10_000, 20_000, 30_000]);
    }

    #[test]
    fn nothing_edited_nothing_due() {
        assert_eq!(Settle::default().due(REST), None);
        assert!(!Settle::default().take(Timestamp(i64::MAX), REST));
    }
}
