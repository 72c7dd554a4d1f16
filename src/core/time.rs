//! Points in time, as the edges hand them in. `core` never asks for the time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The point `ms` milliseconds later; saturates instead of overflowing.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    /// The point `ms` milliseconds earlier; saturates instead of overflowing.
    #[must_use]
    pub const fn before_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(ms))
    }

    /// Milliseconds from `earlier` to here; 0 where the clock went backwards.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        let ms = self.0.saturating_sub(earlier.0);
        if ms < 0 { 0 } else { ms as u64 }
    }
}

/// `2026-11-21T09:36:28.123Z`: how programs read a point in time.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => self.0.fmt(f),
        }
    }
}

/// Points in time as programs read them, for what is told to the outside: `#[serde(with = "rfc3339")]`.
pub(super) mod rfc3339 {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub(in crate::core) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(in crate::core) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }

    fn parse<E: Error>(text: &str) -> Result<Timestamp, E> {
        text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond())).map_err(E::custom)
    }

    /// The same of what may not be known.
    pub(in crate::core) mod optional {
        use super::{Deserialize, Deserializer, Serializer, Timestamp, parse};

        #[allow(clippy::ref_option, reason = "serde asks by reference")]
        pub(in crate::core) fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.collect_str(at),
                None => serializer.serialize_none(),
            }
        }

        pub(in crate::core) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::<String>::deserialize(deserializer)?.map(|text| parse(&text)).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::Hold;

    #[test]
    fn programs_are_told_every_time_in_one_form_and_can_give_it_back() {
        let at = Timestamp(1_795_384_805_038);
        let told = [
            (Hold::Good { next_repair: Some(at) }, "nextRepair"),
            (Hold::RetryAt { at: Some(at), error: None }, "at"),
            (Hold::Rate { target: "t".into(), until: Some(at) }, "until"),
            (Hold::Cancelled { until: at }, "until"),
        ];
        for (hold, field) in told {
            let json = serde_json::to_value(&hold).unwrap();
            assert_eq!(json.get(field).unwrap(), "2026-11-22T22:00:05.038Z", "{json}");
            assert_eq!(serde_json::from_value::<Hold>(json).unwrap(), hold);
        }
        let never = Hold::Good { next_repair: None };
        assert_eq!(serde_json::from_str::<Hold>(&serde_json::to_string(&never).unwrap()).unwrap(), never);
    }
}
