//! Seeds played on every core at once, and handed over one after the other, in their order.
//!
//! Deliberately absent: anything that seeds share. Each decides its own world, so what comes of it does not depend on who plays it when.

use crate::cli::output::tell;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

/// Plays each of these seeds, and takes in what came of it. `flags`: with which one of them is repeated.
pub(super) fn each<T: Send>(
    seeds: &RangeInclusive<u64>,
    flags: &str,
    play: impl Fn(u64) -> T + Sync,
    mut take_in: impl FnMut(u64, T),
) {
    let (first, more) = (*seeds.start(), seeds.end().saturating_sub(*seeds.start()));
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(0);
    let (done, played) = sync_channel(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (done, next, play) = (done.clone(), &next, &play);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > more || seeds.is_empty() {
                        return;
                    }
                    let told = TellsWhich(first + number, flags);
                    let sent = done.send((number, play(first + number)));
                    drop(told);
                    if sent.is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let (mut early, mut expected) = (BTreeMap::new(), 0);
        for (number, played) in played {
            early.insert(number, played);
            while let Some(played) = early.remove(&expected) {
                take_in(first + expected, played);
                expected += 1;
            }
        }
    });
}

/// A bug that ends a thread says where it is, and not in which world.
struct TellsWhich<'a>(u64, &'a str);

impl Drop for TellsWhich<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, flags) = self;
            tell(format!("seed {seed} ended in a panic\n  repeat it with: homeostat simulate --seed {seed}{flags}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn what_came_of_the_seeds_is_taken_in_in_their_order_whoever_played_them() {
        let mut taken = Vec::new();
        each(&(u64::MAX - 99..=u64::MAX), "", |seed| seed / 2, |seed, half| taken.push((seed, half)));
        let in_order: Vec<_> = (u64::MAX - 99..=u64::MAX).map(|seed| (seed, seed / 2)).collect();
        assert_eq!(taken, in_order);
    }
}
