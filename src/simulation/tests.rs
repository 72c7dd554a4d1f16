//! A share of the seeds, and what must be true of every run.

#![allow(clippy::panic)]

use super::violation::Checker;
use super::violation::Promise::{Holds, I1, I2, I3, I4, I5, I6, I7, I8};
use super::{Deaths, Mutant, Size, Swept, play, sweep};

/// Seeds played here: a few seconds. `make soak` plays many more.
const SEEDS: u64 = 40;

#[test]
fn a_share_of_the_seeds_keeps_every_promise() {
    for seed in 1..=SEEDS {
        let played = play(seed, Size::SHORT, None, false);
        if let Some((event, violation)) = played.violation {
            let lines = played.trace.join("\n");
            panic!(
                "{lines}\nseed {seed}, event {event}: {violation}\nrepeat it with: homeostat simulate --seed {seed}"
            );
        }
    }
}

/// Worlds swept here, with one death each; the second one is in the long form.
const SWEPT: u64 = 2;

#[test]
fn whoever_dies_wherever_the_end_is_the_same() {
    for seed in 1..=SWEPT {
        let Swept { failures, trace, runs, .. } = sweep(seed, &Deaths::All { second: 0 }, None);
        if let Some(failure) = failures.first() {
            panic!("{}\nseed {seed}, {}", trace.join("\n"), failure.text(seed));
        }
        assert!(runs > 100, "a world of {runs} points proves little");
    }
}

#[test]
fn a_debt_that_a_new_owner_forgets_is_noticed_by_the_sweep_alone() {
    let mutant = Mutant::ForgetDebts;
    for seed in 1..=3 {
        assert_eq!(play(seed, Size::SHORT, Some(mutant), false).violation, None, "seed {seed}");
    }
    // Not every small world has a debt when its owner dies.
    let noticed = (1..=3).find_map(|seed| {
        let swept = sweep(seed, &Deaths::All { second: 0 }, Some(mutant));
        swept.failures.first().map(|failure| failure.violation.checker)
    });
    assert_eq!(noticed, Some(mutant.caught_by()));
}

/// The four that one mutant each shows to be awake; `make soak` plays all mutants.
#[test]
fn what_only_one_checker_can_notice_it_notices_in_a_few_seeds() {
    for mutant in [Mutant::DeafToResume, Mutant::TrimAccepted, Mutant::WriteBackwards, Mutant::DeleteStanding] {
        let noticed =
            |seed| play(seed, Size::SHORT, Some(mutant), false).violation.map(|(_, violation)| violation.checker);
        assert!((1..=SEEDS).any(|seed| noticed(seed) == Some(mutant.caught_by())), "{}", mutant.name());
    }
}

#[test]
fn the_same_seed_plays_the_same_run_line_by_line() {
    for seed in 1..=5 {
        let (once, again) = (play(seed, Size::SHORT, None, true), play(seed, Size::SHORT, None, true));
        assert_eq!(once.trace, again.trace);
        assert_eq!(once.hash, again.hash);
    }
    assert_ne!(play(1, Size::SHORT, None, false).hash, play(2, Size::SHORT, None, false).hash);
}

#[test]
fn every_promise_has_three_mutants_and_every_checker_one_with_names_of_their_own() {
    for promise in [I1, I2, I3, I4, I5, I6, I7, I8, Holds] {
        let count = Mutant::ALL.iter().filter(|mutant| mutant.promise() == promise).count();
        assert!(count >= 3, "{promise:?} has {count}");
    }
    // That a run is large enough is nobody's bug but its own.
    for &checker in Checker::ALL.iter().filter(|checker| **checker != Checker::LargeEnough) {
        let noticed_by = |mutant: &&Mutant| mutant.caught_by() == checker;
        assert!(
            Mutant::ALL.iter().any(|mutant| noticed_by(&mutant)),
            "no mutant shows that {} notices anything",
            checker.name()
        );
    }
    for &mutant in Mutant::ALL {
        assert_eq!(Mutant::named(mutant.name()), Some(mutant));
    }
}
