//! Targets whose work waits because their executors have all that they take. When one has room again the most important of them goes first, and only
//! as many are looked at as there is room for: an executor may have ten thousand targets.

use super::line::{Line, Standing};
use super::state::{EnvironmentState, ExecutorState, TargetIndex};
use super::{ExecutorName, PoolName};

/// Whose room a target waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// That of any executor of the pool: none works on the target yet.
    Pool(PoolName),
    /// That of the one that works on it.
    Executor(ExecutorName),
}

impl EnvironmentState {
    /// Remembers whether a target waits for an executor's room, and with what. What it waits for else marks it.
    pub(super) fn wait_for_executor(&mut self, index: TargetIndex) {
        let full = |_: &ExecutorName, executor: &ExecutorState| executor.is_full();
        let waits = self.would_take(index, full);
        self.stand_in_line(index, waits);
    }

    /// A target that was marked stands in line too while there is room again in what was full, and in nothing else: the most important one takes it.
    pub(super) fn waits_its_turn(&mut self, index: TargetIndex) -> bool {
        if self.relieved.is_empty() {
            return false;
        }
        let scarce = |name: &ExecutorName, executor: &ExecutorState| executor.is_full() || self.relieved.contains(name);
        let waits = self.would_take(index, scarce);
        let turns = waits.is_some();
        if turns {
            self.stand_in_line(index, waits);
        }
        turns
    }

    fn stand_in_line(&mut self, index: TargetIndex, waits: Option<(Standing, Server)>) {
        let Some(place) = self.target_mut(index) else { return };
        let before = std::mem::replace(&mut place.waits_for, waits.clone());
        if let Some((standing, server)) = before
            && let Some(line) = self.line_of(&server)
        {
            line.remove(standing, index);
        }
        if let Some((standing, server)) = waits
            && let Some(line) = self.line_of(&server)
        {
            line.insert(standing, index);
        }
    }

    fn line_of(&mut self, server: &Server) -> Option<&mut Line> {
        match server {
            Server::Pool(name) => self.pools.get_mut(name).map(|pool| &mut pool.line),
            Server::Executor(name) => self.executors.get_mut(name).map(|executor| &mut executor.line),
        }
    }

    /// What a target waits with, where all that may work on it are as said.
    pub(super) fn would_take(
        &self,
        index: TargetIndex,
        are: impl Fn(&ExecutorName, &ExecutorState) -> bool,
    ) -> Option<(Standing, Server)> {
        self.next_grantable(index)?;
        let place = self.target(index)?;
        let target = place.target.as_ref()?;
        let server = if let Some(name) = place.executor.as_ref().filter(|_| place.granted > 0) {
            let executor = self.executors.get(name).filter(|executor| executor.connected && are(name, executor));
            // What it takes ahead waits for results of its own.
            let waits = executor.is_some() && place.granted < target.concurrency;
            waits.then(|| Server::Executor(name.clone()))
        } else {
            let of_pool = |executor: &ExecutorState| executor.connected && executor.pool == target.pool;
            let mut of_pool = self.executors.iter().filter(|(_, executor)| of_pool(executor));
            of_pool.all(|(name, executor)| are(name, executor)).then(|| Server::Pool(target.pool.clone()))
        };
        server.and_then(|server| Some((place.ready.standing()?, server)))
    }

    /// The next target for the room that an executor has again.
    pub(super) fn next_in_line(&mut self) -> Option<TargetIndex> {
        while let Some(name) = self.relieved.first() {
            let executor = self.executors.get_mut(name).filter(|executor| executor.connected && !executor.is_full());
            let next = executor.and_then(|executor| {
                let of_pool = self.pools.get_mut(&executor.pool).map(|pool| &mut pool.line);
                let lines = [Some(&mut executor.line), of_pool].into_iter().flatten();
                let aged = executor.ageing.is_for_the_oldest();
                let nexts = lines.filter_map(|line| Some((line.next(aged)?, line)));
                let ((standing, index), line) = nexts.min_by_key(|((standing, _), _)| standing.rank(aged))?;
                line.remove(standing, index);
                executor.ageing.count();
                Some(index)
            });
            if let Some(index) = next {
                self.thoughts += 1;
                if let Some(place) = self.target_mut(index) {
                    place.waits_for = None;
                }
                return Some(index);
            }
            self.relieved.pop_first();
        }
        None
    }
}
