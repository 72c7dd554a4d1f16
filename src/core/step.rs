//! The brain's one entrance: an event goes in, effects come out.

use super::state::EnvironmentState;
use super::{Effects, Event, Record, Timestamp, limits};

/// Takes one event in. Total: it returns effects, never an error, whatever the event says. Effects are added to `effects`, so that several
/// steps can share one commit. What an event stirs up beyond the share of one step (`share.rs`) is left to the next ones: until then
/// [`EnvironmentState::next_due`] is now.
pub fn step(state: &mut EnvironmentState, event: Event, now: Timestamp, effects: &mut Effects) {
    let set_back_ms = state.now.ms_since(now);
    state.now = now;
    state.share.renew();
    std::mem::swap(&mut state.out, effects);
    if set_back_ms >= limits::CLOCK_STEP_MS {
        state.clock_set_back();
    }
    state.take(event);
    state.revisit();
    state.open_circles();
    state.take_in();
    state.fire();
    state.revisit_places();
    state.look_at_removals();
    state.settle();
    // Some may have left meanwhile, so that the others are few.
    while state.look_at_removals() {
        state.settle();
    }
    state.take_in_dry_runs();
    state.dispatch();
    std::mem::swap(&mut state.out, effects);
}

impl EnvironmentState {
    fn take(&mut self, event: Event) {
        match event {
            Event::Push(push) => self.push(&push),
            Event::Forget(forget) => self.forget(&forget),
            Event::Request(request) => self.request(request),
            Event::DryRun(request) => self.dry_run(request),
            Event::SettingsChanged(settings) => {
                if settings != self.settings {
                    self.out.records.push(Record::Settings(settings.clone()));
                    self.change_settings(settings);
                }
            }
            Event::TargetChanged(target) => {
                let known = self.target_index.get(&target.name).and_then(|&index| self.target(index));
                if known.and_then(|place| place.target.as_ref()) != Some(&target) {
                    self.out.records.push(Record::Target(target.clone()));
                    self.change_target(target);
                }
            }
            Event::TargetRemoved(name) => {
                let known = self.target_index.get(&name).and_then(|&index| self.target(index));
                if known.is_some_and(|place| place.target.is_some()) {
                    self.out.records.push(Record::TargetRemoved(name.clone()));
                    self.remove_target(&name);
                }
            }
            Event::PoolChanged(pool) => self.change_pool(pool),
            Event::PoolRemoved(name) => {
                if let Some(state) = self.pools.get_mut(&name) {
                    state.pool = None;
                }
            }
            Event::PoolUnavailable(pool, message) => self.pool_unavailable(&pool, message),
            Event::ExecutorConnected { executor, pool, session, credits, holds } => {
                self.connect(&executor, (&pool, session, credits), &holds);
            }
            Event::ExecutorDisconnected(executor) => self.disconnect(&executor),
            Event::ExecutorLost(executor) => self.executor_lost(&executor),
            Event::Begun(executor, attempts) | Event::RevokeRefused(executor, attempts) => {
                self.begin(&executor, &attempts);
            }
            Event::Finished(executor, outcome) => self.finish(&executor, outcome),
            Event::ReportOnly => self.only_report(),
            Event::Tick => {}
            Event::Stop => self.stop(),
        }
    }
}
