//! Lengths of time as users write them: `500ms`, `30s`, `5m`, `1h30m`.
//!
//! Deliberately absent: signs, fractions, exponents, units above hours. A year is the longest.

use crate::api::limits::{DURATION_CHARACTERS, DURATION_MS};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What a duration looks like; also in the CRDs.
pub(super) const PATTERN: &str = "^([0-9]{1,9}(ms|s|m|h)){1,4}$";
const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;
const SECOND_MS: u64 = 1_000;

/// A length of time between 0 and 366 days, in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    ms: u64,
}

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not look like one.
    #[error("must be a duration such as 500ms, 30s, 5m or 1h30m")]
    Shape,
    /// It is longer than 366 days.
    #[error("must be at most 8784h (366 days)")]
    TooLong,
}

impl Duration {
    /// This many milliseconds, at most 366 days.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms: if ms > DURATION_MS { DURATION_MS } else { ms } }
    }

    /// This many seconds, at most 366 days.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_ms(seconds.saturating_mul(SECOND_MS))
    }

    /// In milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.ms
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        Self::from_millis(duration.ms)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        if text.is_empty() || text.len() > DURATION_CHARACTERS {
            return Err(DurationError::Shape);
        }
        let (mut rest, mut ms, mut parts) = (text, 0_u64, 0);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = rest.split_at(digits);
            if digits == 0 || digits > 9 || parts == 4 {
                return Err(DurationError::Shape);
            }
            let number: u64 = number.parse().map_err(|_| DurationError::Shape)?;
            let (factor, after) = unit_of(unit).ok_or(DurationError::Shape)?;
            ms = ms.saturating_add(number.saturating_mul(factor));
            (rest, parts) = (after, parts + 1);
        }
        if ms > DURATION_MS { Err(DurationError::TooLong) } else { Ok(Self { ms }) }
    }
}

/// The unit that `text` begins with, in milliseconds, and what follows it.
fn unit_of(text: &str) -> Option<(u64, &str)> {
    [("ms", 1), ("s", SECOND_MS), ("m", MINUTE_MS), ("h", HOUR_MS)]
        .into_iter()
        .find_map(|(unit, factor)| text.strip_prefix(unit).map(|after| (factor, after)))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return f.write_str("0s");
        }
        let parts = [
            (self.ms / HOUR_MS, "h"),
            (self.ms % HOUR_MS / MINUTE_MS, "m"),
            (self.ms % MINUTE_MS / SECOND_MS, "s"),
            (self.ms % SECOND_MS, "ms"),
        ];
        parts.iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": DURATION_CHARACTERS, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h0m0s", HOUR_MS),
            ("0s", 0),
            ("8784h", DURATION_MS),
        ] {
            assert_eq!(text.parse::<Duration>().map(Duration::as_ms), Ok(ms), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "-1s",
            "+1s",
            "1e999h",
            "1.5h",
            "5",
            "s",
            "5 s",
            "5S",
            "1d",
            "1s\0",
            "٣s",
            "1h1h1h1h1h",
            "9999999999s",
            " 1s",
            "1m1",
            "ms",
        ] {
            assert_eq!(text.parse::<Duration>(), Err(DurationError::Shape), "{text:?}");
        }
        assert_eq!("8784h1ms".parse::<Duration>(), Err(DurationError::TooLong));
        assert_eq!("999999999h999999999h".parse::<Duration>(), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(ms in 0..=DURATION_MS) {
            let duration = Duration::from_ms(ms);
            prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
        }

        #[test]
        fn parsing_agrees_with_the_pattern_of_the_crds(text in "[0-9mshd.e+-]{0,14}|.{0,8}|([0-9]{1,4}(h|m|s|ms)){1,5}") {
            let matches = text.len() <= DURATION_CHARACTERS && regex::Regex::new(PATTERN).unwrap().is_match(&text);
            prop_assert_eq!(text.parse::<Duration>() != Err(DurationError::Shape), matches);
        }
    }
}
