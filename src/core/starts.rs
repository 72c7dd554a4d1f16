//! The starts of a cron expression, remembered: to find one takes ten times as long as an attempt, and all that was verified between two starts is
//! verified next at the same one.

use super::windows::next_start;
use super::{Timestamp, limits};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What was found of the expression that was asked for last.
#[derive(Debug, Default)]
pub(super) struct Starts {
    expression: String,
    /// Each start, and a time before it since when there is none.
    known: BTreeMap<Timestamp, Timestamp>,
    /// There is none after this.
    never_after: Option<Timestamp>,
}

impl Starts {
    /// The first one after `from`, as [`next_start`] finds it, in UTC.
    pub(super) fn next(&mut self, expression: &str, from: Timestamp) -> Option<Timestamp> {
        if self.expression != expression {
            *self = Self { expression: expression.to_owned(), ..Self::default() };
        }
        if self.never_after.is_some_and(|never| never <= from) {
            return None;
        }
        let known = self.known.range((Bound::Excluded(from), Bound::Unbounded)).next();
        if let Some((&start, _)) = known.filter(|(_, since)| **since <= from) {
            return Some(start);
        }
        let Some(start) = next_start(expression, None, from) else {
            self.never_after = Some(from);
            return None;
        };
        if self.known.len() >= limits::STARTS_REMEMBERED {
            self.known.clear();
        }
        self.known.insert(start, from);
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fifth minute of each hour; never, which takes long to find out; and no cron at all. With the minutes in which they are looked for.
    const EXPRESSIONS: [(&str, i64); 3] = [("5 * * * *", 2_000), ("0 0 30 2 *", 3), ("half past three", 3)];

    #[test]
    fn what_is_remembered_is_what_would_be_found() {
        let mut starts = Starts::default();
        for (expression, minutes) in EXPRESSIONS {
            // From the middle back and then on, in steps that meet each start from both sides and on the spot.
            let times = (0..minutes).rev().skip(minutes as usize / 2).chain(0..minutes);
            let times = times.map(|minute| Timestamp(minute * 60_000 - 1));
            for from in times.flat_map(|time| [time, time.after_ms(1), time.after_ms(2)]) {
                let found = next_start(expression, None, from);
                assert_eq!(starts.next(expression, from), found, "{expression} after {from:?}");
            }
            assert!(starts.known.len() <= limits::STARTS_REMEMBERED);
        }
    }
}
