//! The floor of the core: what it costs to find, read and change as many rows of memory, with no thought spent on them.

use crate::core::{Name, ResourceRow};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes of one resource's row in memory, beside what it points to.
pub(super) const ROW_BYTES: usize = size_of::<ResourceRow>();
const WORDS: usize = ROW_BYTES / size_of::<u64>();

/// Rows as large as the scheduler's, one after the other.
pub(super) struct Rows(Vec<[u64; WORDS]>);

impl Rows {
    pub(super) fn new(count: usize) -> Self {
        Self(vec![[1; WORDS]; count])
    }

    /// Reads and changes one word of each.
    pub(super) fn pass(&mut self) -> Duration {
        let began = Instant::now();
        for row in &mut self.0 {
            change(row);
        }
        black_box(&mut self.0);
        began.elapsed()
    }

    /// Finds some by their names, changes them, and does so again and again: how long each time took.
    pub(super) fn find_and_change(&mut self, name_of: fn(usize) -> Name, rounds: &[Vec<usize>]) -> Vec<Duration> {
        let places: HashMap<Name, usize> = (0..self.0.len()).map(|number| (name_of(number), number)).collect();
        let mut times = Vec::with_capacity(rounds.len());
        for round in rounds {
            let names: Vec<Name> = round.iter().map(|&number| name_of(number)).collect();
            let began = Instant::now();
            for name in &names {
                let row = places.get(name).and_then(|&place| self.0.get_mut(place));
                row.into_iter().for_each(change);
            }
            times.push(began.elapsed());
        }
        times
    }
}

fn change(row: &mut [u64; WORDS]) {
    let [first, ..] = row;
    *first = black_box(first.wrapping_add(1));
}
