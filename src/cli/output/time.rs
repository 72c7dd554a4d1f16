//! Points in time and durations as people and programs read them.

use crate::core::Timestamp;

/// `2026-11-21T09:36:28.123Z`, for documents and `-o wide`.
pub(crate) fn iso(at: Timestamp) -> String {
    at.to_string()
}

/// Kubernetes-style age: `0s`, `42s`, `5m10s`, `3h5m`, `2d4h`, `400d`.
pub(crate) fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if !seconds.is_multiple_of(60) => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..28_800 if !minutes.is_multiple_of(60) => format!("{hours}h{}m", minutes % 60),
        10_800..172_800 => format!("{hours}h"),
        172_800..691_200 if !hours.is_multiple_of(24) => format!("{days}d{}h", hours % 24),
        _ => format!("{days}d"),
    }
}

/// How long something took: `4ms`, `1.25s`, then as [`age`].
pub(crate) fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..120_000 => format!("{:.2}s", ms as f64 / 1_000.0),
        _ => age(ms),
    }
}

/// `12s ago`, or `in 12s` for the future.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now { format!("in {}", age(at.ms_since(now))) } else { format!("{} ago", age(now.ms_since(at))) }
}

/// What a clock on this machine says. The one place of the CLI that asks.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let shown: Vec<String> =
            [0, 59_000, 119_000, 310_000, 600_000, 11_100_000, 36_000_000, 187_200_000, 34_560_000_000]
                .map(age)
                .to_vec();
        assert_eq!(shown, ["0s", "59s", "119s", "5m10s", "10m", "3h5m", "10h", "2d4h", "400d"]);
    }

    #[test]
    fn durations_and_directions() {
        assert_eq!((took(4), took(1_250), took(130_000)), ("4ms".into(), "1.25s".into(), "2m10s".into()));
        assert_eq!(relative(Timestamp(12_000), Timestamp(0)), "in 12s");
        assert_eq!(relative(Timestamp(0), Timestamp(12_000)), "12s ago");
        assert_eq!(iso(Timestamp(1)), "1970-01-01T00:00:00.001Z");
    }
}
