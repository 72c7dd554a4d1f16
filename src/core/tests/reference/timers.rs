//! When a timer rings, within the bounds that the documents give: "Good: repair interval. Bad: its own retry backoff. Undefined: none. Observed: as
//! its result says."
//!
//! Where in its jitter a timer stands is `core`'s to choose; it is taken over after it was checked. Deliberately absent: the choice.

use super::super::super::{EnvironmentState, Event, LastResult, RepairSchedule, ResourceId, Retry, Timestamp};
use super::model::{Model, Res};
use std::collections::BTreeMap;

/// The first and the last moment at which a timer may ring.
type Bounds = (Timestamp, Timestamp);

impl Model {
    /// Checks the times of the timers, and takes them over.
    pub(super) fn check_timers(&mut self, event: Option<&Event>, state: &EnvironmentState) -> Result<(), String> {
        let due: BTreeMap<ResourceId, Timestamp> =
            state.views().filter_map(|view| Some((view.row.resource, view.row.due_at?))).collect();
        // "Changing a setting re-arms from the last attempt"; "measured anew when the clock goes back, and at a restart" (R13).
        let settings = matches!(event, Some(Event::SettingsChanged(_)));
        let measured = self.clock_stepped || event.is_none();
        let anew = settings || measured;
        let mut met = Vec::new();
        for id in self.ids() {
            let (res, due) = (&self.all[&id], due.get(&id).copied());
            let kept = res.due.is_some() && res.due == due;
            let (may, must) = self.timer(res);
            let latest = self.latest(res);
            if self.clock_stepped && res.due.is_some_and(|due| due > latest) {
                met.push("a timer is measured anew");
            }
            let fair = match due {
                None => !must,
                Some(at) if measured && at > latest => false,
                // A planned verification is planned anew when the plan changes, and then kept until it changes again.
                // A new owner finds what is overdue.
                Some(at) if kept && event.is_none() => at <= latest,
                // It may have been measured from where a clock stood that was set back.
                Some(at) if kept && self.was_set_back => at > self.now,
                Some(at) if kept && (res.cancelled || !(settings && res.verifies())) => at > self.now,
                Some(at) => (res.due.is_none() || anew) && may.is_some_and(|(from, to)| (from..=to).contains(&at)),
            };
            if !fair {
                let name = &res.intent.name;
                return Err(format!(
                    "{name} ({id}): its timer was {:?} and is {due:?} at {:?}, expected {may:?}, must {must}: {res:?}",
                    res.due, self.now
                ));
            }
            self.all.get_mut(id).unwrap().due = due;
        }
        self.met.extend(met);
        Ok(())
    }

    /// Later than this nothing of its kind is ever armed. What was cancelled waits for as long as a retry may.
    fn latest(&self, res: &Res) -> Timestamp {
        let retry = self.now.after_ms(self.settings.retry.max_delay_ms);
        let verification = self.verification_bounds(Some(self.now)).map_or(retry, |(_, to)| to.max(retry));
        if !res.live() || res.last_result == LastResult::Failed { retry } else { verification }
    }

    /// When a timer that is set now may ring, and whether there must be one.
    fn timer(&self, res: &Res) -> (Option<Bounds>, bool) {
        let idle = res.queued.is_none() && res.run.is_none();
        if res.cancelled && res.live() && res.queued.is_none() {
            let latest = self.now.after_ms(self.settings.retry.max_delay_ms);
            let planned = self.verification_bounds(res.verified).unwrap_or((latest, latest));
            return (Some((self.now.min(planned.0), latest.max(planned.1))), self.needs_deploy(res));
        }
        if !idle || (res.live() && (res.skipped || self.undefined(res))) {
            return (None, false);
        }
        if !res.live() || res.last_result == LastResult::Failed {
            return (Some(self.retry_bounds(res.failures)), res.failures > 0);
        }
        let bounds = self.verification_bounds(res.verified);
        (bounds, bounds.is_some() && res.verified.is_some())
    }

    /// "exponential with jitter"; "share of the delay that is taken off at random".
    fn retry_bounds(&self, failures: u32) -> Bounds {
        let Retry { base_delay_ms, max_delay_ms, factor, jitter } = self.settings.retry;
        let mut delay = base_delay_ms as f64;
        for _ in 1..failures {
            delay = (delay * factor).min(max_delay_ms as f64);
        }
        let delay = delay.min(max_delay_ms as f64);
        // Half a millisecond may be rounded to either side.
        let earliest = (delay * (1.0 - jitter)).floor() as u64;
        (self.now.after_ms(earliest), self.now.after_ms(delay.ceil() as u64))
    }

    /// "Repair spreads its work over the interval"; the generated cron schedules fire at whole multiples of some minutes.
    pub(super) fn verification_bounds(&self, verified: Option<Timestamp>) -> Option<Bounds> {
        // A clock that was set back since has verified in the future.
        let from = verified.unwrap_or(self.now).min(self.now);
        let repair = &self.settings.repair;
        match &repair.schedule {
            RepairSchedule::Off => None,
            RepairSchedule::EveryMs(interval) => {
                let jitter = repair.jitter_ms.unwrap_or(*interval).min(*interval);
                Some((from.after_ms(interval - jitter), from.after_ms(*interval)))
            }
            RepairSchedule::Cron(expression) => {
                let minutes: u64 = expression.trim_start_matches("*/").split(' ').next()?.parse().ok()?;
                let next = from.after_ms(minutes * 60_000 - from.0 as u64 % (minutes * 60_000));
                Some((next, next.after_ms(repair.jitter_ms.unwrap_or(0))))
            }
        }
    }
}

impl Res {
    fn verifies(&self) -> bool {
        self.live() && self.last_result == LastResult::Succeeded
    }
}
