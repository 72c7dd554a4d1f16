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
        // "Changing a setting re-arms from the last attempt"; a new owner may find a timer farther away than any would be set now.
        let anew = matches!(event, Some(Event::SettingsChanged(_)) | None);
        for id in self.ids() {
            let (res, due) = (&self.all[&id], due.get(&id).copied());
            let kept = res.due.is_some() && res.due == due;
            let (may, must) = self.timer(res);
            let fair = match due {
                None => !must,
                // A planned verification is planned anew when the plan changes, and then kept until it changes again.
                Some(at) if kept && (res.cancelled || !(anew && res.verifies())) => at > self.now,
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
        Ok(())
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
        let from = verified.unwrap_or(self.now);
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
