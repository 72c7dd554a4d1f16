//! Cycles among names, or tombstones: strongly connected components (Tarjan), without recursion, over what is reachable from what changed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

struct Search<N> {
    index: HashMap<N, usize>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    names: Vec<N>,
    stack: Vec<usize>,
}

impl<N: Clone + Ord + Hash> Search<N> {
    fn new() -> Self {
        Self { index: HashMap::new(), low: Vec::new(), on_stack: Vec::new(), names: Vec::new(), stack: Vec::new() }
    }

    fn enter(&mut self, name: &N) -> usize {
        let index = self.names.len();
        self.index.insert(name.clone(), index);
        self.names.push(name.clone());
        self.low.push(index);
        self.on_stack.push(true);
        self.stack.push(index);
        index
    }

    fn lower(&mut self, index: usize, to: usize) {
        if let Some(low) = self.low.get_mut(index) {
            *low = (*low).min(to);
        }
    }

    fn low(&self, index: usize) -> usize {
        self.low.get(index).copied().unwrap_or(index)
    }

    /// Takes the component that ends at `index` off the stack.
    fn component(&mut self, index: usize) -> Vec<N> {
        let begins = self.stack.iter().rposition(|&member| member == index).unwrap_or_default();
        let members = self.stack.split_off(begins);
        for &member in &members {
            if let Some(flag) = self.on_stack.get_mut(member) {
                *flag = false;
            }
        }
        members.into_iter().filter_map(|member| self.names.get(member).cloned()).collect()
    }
}

/// All cycles that can be reached from `from`, each as its set of members, in a stable order.
pub(super) fn find<N: Clone + Ord + Hash, R: IntoIterator<Item = N>>(
    from: impl Iterator<Item = N>,
    requires: impl Fn(&N) -> R,
) -> Vec<BTreeSet<N>> {
    let mut search = Search::new();
    let mut cycles = Vec::new();
    for start in from {
        if search.index.contains_key(&start) {
            continue;
        }
        let mut path = vec![(search.enter(&start), requires(&start).into_iter())];
        while let Some((at, rest)) = path.last_mut() {
            let at = *at;
            if let Some(next) = rest.next() {
                match search.index.get(&next).copied() {
                    None => {
                        let entered = search.enter(&next);
                        path.push((entered, requires(&next).into_iter()));
                    }
                    Some(seen) if search.on_stack.get(seen) == Some(&true) => search.lower(at, seen),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            let low = search.low(at);
            if let Some(&(parent, _)) = path.last() {
                search.lower(parent, low);
            }
            if low == at {
                let members = search.component(at);
                let own = |name: &N| requires(name).into_iter().any(|next| next == *name);
                if members.len() > 1 || members.first().is_some_and(own) {
                    cycles.push(members.into_iter().collect());
                }
            }
        }
    }
    cycles
}

/// The shortest way from the first member back to itself; its name stands at both ends.
pub(super) fn path<N: Clone + Ord + Hash, R: IntoIterator<Item = N>>(
    members: &BTreeSet<N>,
    requires: impl Fn(&N) -> R,
) -> Vec<N> {
    let Some(start) = members.first() else { return Vec::new() };
    let mut came_from: HashMap<N, N> = HashMap::new();
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(name) = queue.pop_front() {
        for next in requires(&name) {
            if next == *start {
                let mut path = vec![start.clone(), name.clone()];
                let mut at = &name;
                while let Some(before) = came_from.get(at) {
                    path.push(before.clone());
                    at = before;
                }
                if name == *start {
                    path.truncate(2);
                }
                path.reverse();
                return path;
            }
            if members.contains(&next) && !came_from.contains_key(&next) {
                came_from.insert(next.clone(), name.clone());
                queue.push_back(next);
            }
        }
    }
    vec![start.clone()]
}
