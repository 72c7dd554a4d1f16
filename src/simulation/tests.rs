//! A share of the seeds, and what must be true of every run.

#![allow(clippy::panic)]

use super::{EVENTS, play};

/// Seeds played here: a few seconds. `make soak` plays many more.
const SEEDS: u64 = 40;

#[test]
fn a_share_of_the_seeds_keeps_every_promise() {
    for seed in 1..=SEEDS {
        let played = play(seed, false);
        if let Some((event, violation)) = played.violation {
            let lines = played.trace.join("\n");
            panic!(
                "{lines}\nseed {seed}, event {event}: {violation}\nrepeat it with: homeostat simulate --seed {seed}"
            );
        }
        assert!(played.resources >= 20 && played.events >= EVENTS, "seed {seed} is too small");
    }
}

#[test]
fn the_same_seed_plays_the_same_run_line_by_line() {
    for seed in 1..=5 {
        let (once, again) = (play(seed, true), play(seed, true));
        assert_eq!(once.trace, again.trace);
        assert_eq!(once.hash, again.hash);
    }
    assert_ne!(play(1, false).hash, play(2, false).hash);
}
