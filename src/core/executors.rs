//! Executors come and go. What one holds stays its own until it has provably ended.

use super::id_set::IdSet;
use super::line::Line;
use super::ready::Ageing;
use super::revisit::{Whom, Why};
use super::state::{EnvironmentState, ExecutorState, Open, TargetIndex, TargetState};
use super::{AttemptId, ExecutorName, Name, PoolName, ResourceId, SessionNumber, Settings, Target, TargetName, limits};

impl ExecutorState {
    /// Grants that it takes before it has answered some.
    pub(super) fn free(&self) -> u32 {
        self.credits.saturating_sub(u32::try_from(self.holds.len()).unwrap_or(u32::MAX))
    }

    /// It has all that it takes.
    pub(super) fn is_full(&self) -> bool {
        self.free() == 0
    }

    /// How many of them one target may take beyond what it runs at once. Targets that hang keep what they have taken: however many they are, half of
    /// all credits are left for what others can run at once.
    pub(super) fn lead(&self) -> u32 {
        self.free().saturating_sub(self.credits / 2) / limits::LEAD_SHARE
    }
}

impl EnvironmentState {
    /// It says what it still knows. Grants of ours that it does not know have not reached it, or never will: they were made for an earlier stream.
    /// They are asked back, and stay its own until it answers, so that no other executor works on their target meanwhile. So are those of resources that
    /// were forgotten: that was asked when they were, and perhaps never heard.
    pub(super) fn connect(
        &mut self,
        executor: &ExecutorName,
        (pool, session, credits): (&PoolName, SessionNumber, u32),
        holds: &[AttemptId],
    ) {
        let held: IdSet<AttemptId> = holds.iter().copied().collect();
        let had_executors = self.connected(pool);
        let before = self.executors.remove(executor);
        let was_in = before.as_ref().map(|before| before.pool.clone()).filter(|was_in| was_in != pool);
        let known = before.map(|before| before.holds).unwrap_or_default();
        let is_asked_back = |attempt: &AttemptId| {
            !held.contains(*attempt) || matches!(self.open.get(attempt), Some(Open::Forgotten { .. }))
        };
        let to_ask_back: Vec<AttemptId> = known.iter().filter(is_asked_back).collect();
        let state = ExecutorState {
            pool: pool.clone(),
            session,
            credits,
            connected: true,
            holds: known,
            line: Line::default(),
            ageing: Ageing::default(),
        };
        self.executors.insert(executor.clone(), state);
        // While it is known where it works: it may give some of that up below.
        self.reconsider_targets_of(executor);
        if let Some(was_in) = was_in.filter(|was_in| !self.connected(was_in)) {
            self.reconsider_pool(&was_in);
        }
        let complained = self.pools.entry(pool.clone()).or_default().unavailable.take().is_some();
        if complained || !had_executors {
            self.reconsider_pool(pool);
        }
        // Answers to what was asked back may have been lost with the stream.
        let asked: Vec<ResourceId> =
            self.runs_of(executor).filter(|&(_, yielding)| yielding).map(|(id, _)| id).collect();
        for id in asked {
            self.stop_yielding(id);
            self.ask_back(id);
        }
        for attempt in to_ask_back {
            self.ask_back_unknown(executor, attempt);
        }
        self.wake_pool(pool);
    }

    /// An executor answers for an attempt that it never had as for one that it has not begun. One that it had begun is gone with its memory.
    fn ask_back_unknown(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        let resource = match self.open.get(&attempt) {
            Some(Open::Resource(id)) => Some(*id),
            Some(_) => None,
            None => return,
        };
        let begun = resource.and_then(|id| self.get(id)?.run.as_ref()).is_some_and(|run| run.begun);
        match resource {
            Some(_) if begun => self.lose(attempt),
            Some(id) => self.ask_back(id),
            None => self.out.messages.push(super::Message::Revoke(executor.clone(), attempt)),
        }
    }

    pub(super) fn disconnect(&mut self, executor: &ExecutorName) {
        if let Some(state) = self.executors.get_mut(executor) {
            state.connected = false;
            let pool = state.pool.clone();
            self.reconsider_targets_of(executor);
            if !self.connected(&pool) {
                self.reconsider_pool(&pool);
            }
        }
    }

    /// It has provably ended: everything it held is closed, and where needed run again under a new number.
    pub(super) fn executor_lost(&mut self, executor: &ExecutorName) {
        let Some(state) = self.executors.remove(executor) else { return };
        self.reconsider_targets_of(executor);
        if state.connected && !self.connected(&state.pool) {
            self.reconsider_pool(&state.pool);
        }
        for attempt in state.holds.iter() {
            self.lose(attempt);
        }
        self.wake_pool(&state.pool);
    }

    /// The pool has its first executor or has lost its last: what is queued on its targets, and whether queued verifications hold their dependents.
    fn reconsider_pool(&mut self, pool: &PoolName) {
        let places: Vec<TargetIndex> = self.places_of(pool).map(|(index, _)| index).collect();
        self.reconsider_queued(places);
    }

    /// Whether this executor can run what is queued on its targets has changed.
    fn reconsider_targets_of(&mut self, executor: &ExecutorName) {
        let works_there = |place: &TargetState| place.granted > 0 && place.executor.as_ref() == Some(executor);
        let places = self.places().filter(|(_, place)| works_there(place)).map(|(index, _)| index);
        let places: Vec<TargetIndex> = places.collect();
        self.reconsider_queued(places);
    }

    fn reconsider_queued(&mut self, places: Vec<TargetIndex>) {
        for index in places {
            self.revisit_place(index, Whom::Queued);
        }
    }

    /// The attempt was granted and has no outcome yet.
    pub fn is_open(&self, attempt: AttemptId) -> bool {
        self.open.contains_key(&attempt)
    }

    fn runs_of<'a>(&'a self, executor: &'a ExecutorName) -> impl Iterator<Item = (ResourceId, bool)> + 'a {
        let holds = self.executors.get(executor).into_iter().flat_map(|state| state.holds.iter());
        let ids = holds.filter_map(|attempt| match self.open.get(&attempt) {
            Some(Open::Resource(id)) => Some(*id),
            _ => None,
        });
        ids.filter_map(|id| Some((id, self.get(id)?.run.as_ref()?.yielding)))
    }

    pub(super) fn pool_unavailable(&mut self, pool: &PoolName, message: Option<Name>) {
        let said = &mut self.pools.entry(pool.clone()).or_default().unavailable;
        if *said != message {
            *said = message;
            self.reconsider_pool(pool);
        }
    }

    pub(super) fn change_target(&mut self, target: Target) {
        let index = self.target_at(&target.name);
        let (suspended, pool, rate, now) = (target.suspend, target.pool.clone(), target.rate_limit, self.now);
        let Some(place) = self.target_mut(index) else { return };
        let was = place.target.replace(target);
        let rated = was.as_ref().and_then(|target| target.rate_limit);
        if rated != rate {
            place.bucket_full_at = now;
        }
        let differs = |was: &Target| was.pool != pool || was.suspend != suspended;
        if was.as_ref().is_none_or(differs) || rated.is_some() != rate.is_some() {
            self.revisit_place(index, Whom::All);
        }
        self.look_at_windows(index);
        self.dispatchable.insert(index);
    }

    pub(super) fn remove_target(&mut self, name: &TargetName) {
        let Some(&index) = self.target_index.get(name) else { return };
        let Some(place) = self.target_mut(index) else { return };
        place.target = None;
        self.ask_back_open(Some(index));
        self.revisit_place(index, Whom::All);
        self.look_at_windows(index);
        self.dispatchable.insert(index);
        self.stranded.insert(index);
    }

    pub(super) fn change_settings(&mut self, settings: Settings) {
        let before = std::mem::replace(&mut self.settings, settings);
        let (holds, repairs) = (before.suspend != self.settings.suspend, before.repair != self.settings.repair);
        if holds || before.max_in_flight != self.settings.max_in_flight {
            self.dispatchable.extend((0..self.targets.len() as u32).map(TargetIndex));
        }
        self.release_where_automatic();
        if holds || repairs {
            self.revisit_all(Why { holds, repairs, clock: false });
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.ask_back_open(None);
    }

    /// Nothing may begin any more that executors have, here or on one target: they are asked at once, however much there is beside it.
    pub(super) fn ask_back_open(&mut self, on: Option<TargetIndex>) {
        let holder = |open: &Open| match open {
            Open::Resource(id) => {
                on.is_none_or(|on| self.get(*id).is_some_and(|held| held.target == on)).then_some(*id)
            }
            Open::Forgotten { .. } | Open::DryRun { .. } => None,
        };
        let ids: Vec<ResourceId> = self.open.values().filter_map(holder).collect();
        for id in ids {
            self.ask_back(id);
        }
    }
}
