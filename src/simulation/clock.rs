//! Clocks of processes (R13): off by what somebody set them wrong, and each at a rate of its own, up to 5 % too fast or too slow. Timers run at the rate
//! too, so that an executor's lease may last longer than its owner thinks.
//!
//! Deliberately absent: the true time, which is the world's; and the clock of the database, by which environments are taken: that is the true one.

use super::random::Random;
use crate::core::Timestamp;

/// 2026-11-21T00:00:00Z: where the virtual clock starts.
const START: i64 = 1_795_219_200_000;
/// A clock that is right, in thousandths.
pub(super) const RIGHT: u64 = 1_000;
/// The slowest and the fastest clock (`core::limits::LEASE_MARGIN_MS`).
const RATES: (u64, u64) = (950, 1_050);

/// The clock of one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When its process started, which had the right time then but for what it was set wrong.
    started_at: u64,
    /// What it counts while a true second goes by, in milliseconds.
    rate: u64,
    /// What it was set ahead of the true time.
    pub(super) skew_ms: i64,
}

impl Clock {
    pub(super) fn new(started_at: u64, rate: u64, skew_ms: i64) -> Self {
        Self { started_at, rate, skew_ms }
    }

    /// A true time, as this clock tells it.
    pub(super) fn wall(&self, at: u64) -> Timestamp {
        let passed = (at as i64 - self.started_at as i64) * self.rate as i64;
        let told = START.saturating_add_unsigned(self.started_at) + passed.div_euclid(RIGHT as i64);
        Timestamp(told.saturating_add(self.skew_ms))
    }

    /// How long it truly takes until this clock has counted so many milliseconds.
    pub(super) fn lasts(&self, ms: u64) -> u64 {
        (ms * RIGHT).div_ceil(self.rate)
    }
}

/// The rate of a process that starts: often one of the two that are furthest apart.
pub(super) fn some_rate(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => RATES.0,
        1 => RATES.1,
        _ => random.between(RATES.0, RATES.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_over_when_its_own_clock_has_counted_it_and_not_before() {
        for rate in [950, 999, RIGHT, 1_033, 1_050] {
            let clock = Clock::new(77, rate, -3_600_000);
            for (from, ms) in [(77, 1), (78, 333), (100_001, 45_000)] {
                let ends = |after| clock.wall(from + after).ms_since(clock.wall(from)) >= ms;
                assert!(ends(clock.lasts(ms)) && !ends(clock.lasts(ms).saturating_sub(3)), "{rate} {ms}");
            }
        }
        assert_eq!((Clock::new(0, 950, 0).lasts(950), Clock::new(0, 1_050, 0).lasts(1_050)), (1_000, 1_000));
    }
}
