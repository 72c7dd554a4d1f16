//! A set of numbers that lie close together, sixty-four to a word: ids of one environment, numbers of attempts. Filling and emptying one costs a few
//! percent of what a set of single numbers costs, and leaves no small pieces of memory behind.

use std::collections::BTreeMap;
use std::marker::PhantomData;

/// What stands for a number.
pub(super) trait Numbered: Copy {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

impl Numbered for super::ResourceId {
    fn number(self) -> u64 {
        u64::from(self.0)
    }

    fn of(number: u64) -> Self {
        Self(number as u32)
    }
}

impl Numbered for super::AttemptId {
    fn number(self) -> u64 {
        self.0
    }

    fn of(number: u64) -> Self {
        Self(number)
    }
}

/// See the module. Iterates in the order of the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdSet<T> {
    /// By the number of the word; none is empty.
    words: BTreeMap<u64, u64>,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Default for IdSet<T> {
    fn default() -> Self {
        Self { words: BTreeMap::new(), len: 0, of: PhantomData }
    }
}

impl<T: Numbered> IdSet<T> {
    pub(super) fn insert(&mut self, id: T) {
        let (word, bit) = place(id);
        let bits = self.words.entry(word).or_default();
        self.len += usize::from(*bits & bit == 0);
        *bits |= bit;
    }

    /// Whether it was among them.
    pub(super) fn remove(&mut self, id: T) -> bool {
        let (word, bit) = place(id);
        let Some(bits) = self.words.get_mut(&word).filter(|bits| **bits & bit != 0) else { return false };
        self.len -= 1;
        *bits &= !bit;
        if *bits == 0 {
            self.words.remove(&word);
        }
        true
    }

    pub(super) fn contains(&self, id: T) -> bool {
        let (word, bit) = place(id);
        self.words.get(&word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.words.iter().all(|(word, bits)| other.words.get(word).is_some_and(|others| bits & !others == 0))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first that is not before `id`.
    pub(super) fn first_from(&self, id: T) -> Option<T> {
        let (word, bit) = place(id);
        let of_word = |(word, bits): (u64, u64)| Bits(bits).next().map(|bit| T::of(word << 6 | u64::from(bit)));
        let rest = self.words.get(&word).map_or(0, |bits| bits & !(bit - 1));
        let later = || self.words.range(word.saturating_add(1)..).next().map(|(&word, &bits)| (word, bits));
        of_word((word, rest)).or_else(|| later().and_then(of_word))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let of_word = |(&word, &bits): (&u64, &u64)| Bits(bits).map(move |bit| T::of(word << 6 | u64::from(bit)));
        self.words.iter().flat_map(of_word)
    }
}

impl<T: Numbered> Extend<T> for IdSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, ids: I) {
        ids.into_iter().for_each(|id| self.insert(id));
    }
}

impl<T: Numbered> FromIterator<T> for IdSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(ids: I) -> Self {
        let mut set = Self::default();
        set.extend(ids);
        set
    }
}

fn place(id: impl Numbered) -> (u64, u64) {
    (id.number() >> 6, 1 << (id.number() & 63))
}

/// The places of what is set in a word.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let lowest = (self.0 != 0).then(|| self.0.trailing_zeros())?;
        self.0 &= self.0 - 1;
        Some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::IdSet;
    use crate::core::AttemptId;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(changes in prop::collection::vec((any::<bool>(), prop_oneof![0..200_u64, any::<u64>()]), 0..200)) {
            let (mut set, mut known) = (IdSet::default(), BTreeSet::new());
            for (inserts, number) in changes {
                let id = AttemptId(number);
                if inserts {
                    set.insert(id);
                    known.insert(id);
                } else {
                    prop_assert_eq!(set.remove(id), known.remove(&id));
                }
                prop_assert_eq!(set.len(), known.len());
                prop_assert_eq!(set.is_empty(), known.is_empty());
                prop_assert_eq!(set.contains(id), known.contains(&id));
            }
            prop_assert!(set.iter().eq(known.iter().copied()));
            for from in known.iter().flat_map(|id| [id.0, id.0.saturating_add(1)]).chain([0, 63, 64, u64::MAX]).map(AttemptId) {
                prop_assert_eq!(set.first_from(from), known.range(from..).next().copied());
            }
            let some: BTreeSet<AttemptId> = known.iter().copied().step_by(2).collect();
            prop_assert!(some.iter().copied().collect::<IdSet<_>>().is_subset(&set));
            prop_assert_eq!(set.is_subset(&some.iter().copied().collect()), known.is_subset(&some));
            prop_assert_eq!(set, known.into_iter().collect());
        }
    }
}
