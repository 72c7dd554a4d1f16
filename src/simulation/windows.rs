//! When a window is open, worked out by arithmetic for the few cron expressions that users here write: shares nothing with `core/windows.rs`.

use super::random::Random;
use crate::core::{RateLimit, Timestamp, Window, Windows};

const MINUTE_MS: i64 = 60_000;

/// Windows that open every few minutes, for a while.
pub(super) fn some_windows(random: &mut Random) -> Windows {
    let mut list = || {
        let count = if random.chance(60) { 1 + random.below(2) } else { 0 };
        (0..count).map(|_| some_window(random)).collect()
    };
    Windows { deploy: list(), repair: list() }
}

fn some_window(random: &mut Random) -> Window {
    let start = match random.below(3) {
        0 => "* * * * *".to_owned(),
        which => format!("*/{} * * * *", which + 1),
    };
    // A time zone that is off by half an hour opens every one, two and three minutes at the same times as UTC.
    let time_zone = random.chance(30).then(|| "Asia/Kolkata".into());
    Window { start: start.into(), duration_ms: random.between(5_000, 90_000), time_zone }
}

/// Whether any of them is open; without windows always.
pub(super) fn is_open(windows: &[Window], now: Timestamp) -> bool {
    windows.is_empty() || windows.iter().any(|window| one_is_open(window, now.0))
}

fn one_is_open(window: &Window, now: i64) -> bool {
    let every = match &*window.start {
        "* * * * *" => Some(1),
        other => other.strip_prefix("*/").and_then(|rest| rest.split(' ').next()?.parse().ok()),
    };
    let Some(step) = every.map(|minutes: i64| minutes * MINUTE_MS) else { return false };
    // Minutes of an hour are those since 1970, for every divisor of 60.
    let last = now.div_euclid(step) * step;
    now - last < window.duration_ms as i64
}

/// Whether the last of these starts was one too many: a bucket of so many, refilled in its period.
pub(super) fn exceeds(rate: &RateLimit, starts: &[Timestamp]) -> bool {
    let Some(now) = starts.last() else { return false };
    let (attempts, period) = (u64::from(rate.attempts.max(1)), rate.period_ms.max(1));
    (1_u64..).zip(starts.iter().rev()).any(|(count, start)| {
        let refilled = now.ms_since(*start).saturating_mul(attempts) / period;
        count > attempts + refilled
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_from_its_minute_for_as_long_as_it_lasts() {
        let window = |start: &str, duration_ms| [Window { start: start.into(), duration_ms, time_zone: None }];
        let at = |ms: i64| Timestamp(1_795_219_200_000 + ms);
        assert!(is_open(&[], at(0)) && is_open(&window("* * * * *", 5_000), at(64_999)));
        assert!(!is_open(&window("* * * * *", 5_000), at(65_000)));
        assert!(
            is_open(&window("*/2 * * * *", 90_000), at(209_999))
                && !is_open(&window("*/2 * * * *", 90_000), at(210_000))
        );
        assert!(is_open(&window("*/2 * * * *", 500_000), at(239_999)), "a later start while it is open");
    }

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_what_is_refilled() {
        let rate = RateLimit { attempts: 2, period_ms: 1_000 };
        let starts = |at: &[i64]| at.iter().copied().map(Timestamp).collect::<Vec<_>>();
        assert!(!exceeds(&rate, &starts(&[0, 0, 500, 1_000])));
        assert!(exceeds(&rate, &starts(&[0, 0, 499])) && exceeds(&rate, &starts(&[0, 0, 0])));
    }
}
