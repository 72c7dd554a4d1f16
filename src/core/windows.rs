//! When a target may be worked on: windows that open at the times of a cron expression and stay open for a while, and the bucket of a rate.
//!
//! Pure: time zones come from the database that is compiled in, so that every owner on every machine sees the same edges.

use super::Timestamp;
use super::settings::{RateLimit, Window};
use std::str::FromStr;
use std::sync::LazyLock;

static TIME_ZONES: LazyLock<jiff::tz::TimeZoneDatabase> = LazyLock::new(jiff::tz::TimeZoneDatabase::bundled);

/// Whether any of some windows is open, and when that is to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Work may start.
    pub(super) open: bool,
    /// The next edge; `None` where there is none.
    pub(super) edge: Option<Timestamp>,
}

impl Opening {
    /// Without windows: always.
    pub(super) const ALWAYS: Self = Self { open: true, edge: None };

    /// No windows at all means that nothing is ever closed.
    pub(super) fn of(windows: &[Window], now: Timestamp) -> Self {
        if windows.is_empty() {
            return Self::ALWAYS;
        }
        let each = || windows.iter().map(|window| Self::of_one(window, now));
        Self { open: each().any(|one| one.open), edge: each().filter_map(|one| one.edge).min() }
    }

    /// Open from the last start that lies less than its duration back. A later start inside it is found when this one ends.
    fn of_one(window: &Window, now: Timestamp) -> Self {
        let from = Timestamp(now.0.saturating_sub_unsigned(window.duration_ms));
        match next_start(&window.start, window.time_zone.as_deref(), from) {
            Some(start) if start <= now => Self { open: true, edge: Some(start.after_ms(window.duration_ms)) },
            edge => Self { open: false, edge },
        }
    }
}

/// The first time after `from` at which a cron expression (five fields) is met; UTC where no time zone is named. `None` where one of the two
/// cannot be read, or it is never met.
pub(super) fn next_start(expression: &str, time_zone: Option<&str>, from: Timestamp) -> Option<Timestamp> {
    let cron = croner::Cron::from_str(expression).ok()?;
    let zone = match time_zone {
        Some(name) => TIME_ZONES.get(name).ok()?,
        None => jiff::tz::TimeZone::UTC,
    };
    let from = jiff::Timestamp::from_millisecond(from.0).ok()?.to_zoned(zone);
    let next = cron.find_next_occurrence(&from, false).ok()?;
    Some(Timestamp(next.timestamp().as_millisecond()))
}

/// Whether a cron expression can be used for a schedule; the reason where it cannot.
pub fn check_cron(expression: &str) -> Result<(), String> {
    croner::Cron::from_str(expression).map(|_| ()).map_err(|error| error.to_string())
}

/// Whether a time zone is known, by its name in the IANA database.
pub fn knows_time_zone(name: &str) -> bool {
    TIME_ZONES.get(name).is_ok()
}

impl RateLimit {
    /// Milliseconds in which one attempt's share comes back, rounded up, so that the rate is never exceeded.
    fn share_ms(&self) -> u64 {
        self.period_ms.div_ceil(u64::from(self.attempts.max(1))).max(1)
    }

    /// The bucket is kept as the time at which it would be full again. It has a share left from this time on.
    pub(super) fn opens_at(&self, full_at: Timestamp) -> Timestamp {
        let others = self.share_ms().saturating_mul(u64::from(self.attempts.max(1) - 1));
        Timestamp(full_at.0.saturating_sub_unsigned(others))
    }

    /// When it is full again, after one more share was taken.
    pub(super) fn take(&self, full_at: Timestamp, now: Timestamp) -> Timestamp {
        full_at.max(now).after_ms(self.share_ms())
    }

    /// An empty bucket: what a new owner starts with, who does not know what the one before it has taken.
    pub(super) fn empty_at(&self, now: Timestamp) -> Timestamp {
        now.after_ms(self.share_ms().saturating_mul(u64::from(self.attempts.max(1))))
    }
}
