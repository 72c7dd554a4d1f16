//! Timers: one per resource at most, its retry or its next verification; and one per target, the next edge of its windows or the next share
//! of its rate.
//!
//! They stand in an ordered set rather than a wheel: arming, cancelling and firing cost a logarithm, and nothing is lost to the
//! granularity of slots. Cancelling and arming takes 0.3 µs among 100,000 timers and 0.8 µs among a million (optimised, 2026-11-21): a
//! fraction of what the attempt they belong to costs.

use super::revisit::Why;
use super::starts::Starts;
use super::state::{EnvironmentState, Resource, TargetIndex};
use super::{Hash, LastResult, Life, Reason, Repair, RepairSchedule, ResourceId, Retry, Timestamp, limits};

impl Resource {
    /// Its timer is that of a retry, not of a verification.
    fn retries(&self) -> bool {
        self.row.last_result == LastResult::Failed || self.row.life == Life::Tombstone
    }
}

impl EnvironmentState {
    /// The earliest timer; now, where a step has left something for the next one.
    pub fn next_due(&self) -> Option<Timestamp> {
        let wake = self.wakes.first().map(|&(at, _)| at);
        let at_once = self.is_unfinished().then_some(self.now);
        [self.next_attempt_due(), wake, at_once].into_iter().flatten().min()
    }

    /// The earliest retry or verification.
    pub(super) fn next_attempt_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Arms the one timer of a target.
    pub(super) fn wake_at(&mut self, index: TargetIndex, at: Option<Timestamp>) {
        let Some(place) = self.target_mut(index) else { return };
        let before = std::mem::replace(&mut place.wakes_at, at);
        if before != at {
            if let Some(before) = before {
                self.wakes.remove(&(before, index));
            }
            self.wakes.extend(at.map(|at| (at, index)));
        }
    }

    pub(super) fn arm(&mut self, id: ResourceId, at: Timestamp) {
        self.disarm(id);
        if let Some(resource) = self.get_mut(id) {
            resource.row.due_at = Some(at);
            self.timers.insert((at, id));
            self.touch(id);
        }
    }

    pub(super) fn disarm(&mut self, id: ResourceId) {
        let Some(resource) = self.get_mut(id) else { return };
        if let Some(at) = resource.row.due_at.take() {
            self.timers.remove(&(at, id));
            self.out.rows.push(id);
        }
    }

    /// Looks again at targets whose time has come, and queues everything that is due. An overdue timer fires once, not once per missed time.
    pub(super) fn fire(&mut self) {
        while let Some(&(at, index)) = self.wakes.first() {
            if at > self.now {
                break;
            }
            self.wake_at(index, None);
            self.look_at_windows(index);
            self.dispatchable.insert(index);
        }
        while let Some(&(at, id)) = self.timers.first() {
            if at > self.now || !self.share.spend() {
                break;
            }
            self.timers.remove(&(at, id));
            let Some(resource) = self.get_mut(id) else { continue };
            resource.row.due_at = None;
            let reason = if resource.retries() { Reason::Retry } else { Reason::Repair };
            // What was cancelled comes again as what it is, and not as a verification.
            let waits = self.get(id).filter(|resource| self.needs_deploy(resource, false));
            let reason = waits.map_or(reason, |resource| reason.min(self.reason_to_deploy(resource)));
            self.out.rows.push(id);
            self.enqueue(id, reason);
        }
    }

    /// Arms the retry of a failed attempt: exponential, with jitter that depends only on the attempt.
    pub(super) fn arm_retry(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let seed = [u64::from(id.0), resource.row.last_attempt.map_or(0, |attempt| attempt.0)];
        let delay = retry_delay_ms(&self.settings.retry, resource.row.failures, Hash::fraction(seed));
        let at = self.now.after_ms(delay);
        self.arm(id, at);
    }

    /// Arms the next verification, if the environment verifies. `steady`: it was a verification on schedule, whose place in the interval is kept.
    pub(super) fn arm_verification(&mut self, id: ResourceId, steady: bool) {
        let Some(resource) = self.get(id) else { return };
        if self.settings.repair.schedule == RepairSchedule::Off {
            return self.disarm(id);
        }
        let seen = resource.row.verified_at.is_some() || resource.row.observed.differs();
        // A clock that was set back since has verified in the future.
        let from = resource.row.verified_at.map_or(self.now, |at| at.min(self.now));
        let fraction = Hash::fraction([u64::from(id.0), self.version.0]);
        let next = next_verification(&self.settings.repair, &mut self.starts, from, fraction, steady);
        match next.filter(|_| seen) {
            Some(at) => self.arm(id, at),
            None => self.disarm(id),
        }
    }

    /// The clock was set back. What was measured by its old time is measured again by the new one: nobody waits for a time that was never meant.
    pub(super) fn clock_set_back(&mut self) {
        self.revisit_all(Why { clock: true, ..Why::default() });
        let now = self.now;
        for index in (0..self.targets.len() as u32).map(TargetIndex) {
            if let Some(place) = self.target_mut(index) {
                let rate = place.target.as_ref().and_then(|target| target.rate_limit);
                place.bucket_full_at = rate.map_or(now, |rate| place.bucket_full_at.min(rate.empty_at(now)));
            }
            self.look_at_windows(index);
            self.dispatchable.insert(index);
        }
    }

    /// Arms again what is due later than anything of its kind is ever armed: a clock was ahead when it was armed.
    pub(super) fn rearm_far_timer(&mut self, id: ResourceId, latest: Latest) {
        let Some(resource) = self.get(id) else { return };
        let Some(at) = resource.row.due_at else { return };
        if resource.retries() {
            if at > latest.retry {
                self.arm_retry(id);
            }
        } else if at > latest.any && (resource.run.is_some() || self.needs_deploy(resource, false)) {
            // It was cancelled: nothing else that an executor has, or that needs a deploy, has a timer.
            self.arm(id, latest.retry);
        } else if at > latest.any {
            self.arm_verification(id, true);
        }
    }

    /// The settings of verification changed: its timer is armed again, from the last attempt.
    pub(super) fn rearm_verification(&mut self, id: ResourceId) {
        let verifies = |resource: &Resource| {
            let idle = resource.queued.is_none() && resource.run.is_none();
            idle && resource.is_live()
                && resource.row.last_result == LastResult::Succeeded
                && !resource.row.skipped
                && !self.undefined(resource)
                // What has just become defined is a change, as it is thought over.
                && !resource.was_undefined
                && self.cancelled_until(resource).is_none()
        };
        let Some(resource) = self.get(id).filter(|resource| verifies(resource)) else { return };
        if self.needs_deploy(resource, false) {
            // Differences that were left are no longer to be left; what comes into force with these settings is a change.
            let reason = self.reason_to_deploy(resource);
            self.enqueue(id, reason);
        } else {
            self.arm_verification(id, false);
        }
    }
}

/// The latest moments at which anything is ever due, by the clock as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    retry: Timestamp,
    any: Timestamp,
}

impl Latest {
    pub(super) fn of(state: &mut EnvironmentState) -> Self {
        let retry = state.now.after_ms(state.settings.retry.max_delay_ms);
        // What was cancelled waits for as long as a retry may.
        let verification = next_verification(&state.settings.repair, &mut state.starts, state.now, 1.0, true);
        Self { retry, any: verification.map_or(retry, |verification| verification.max(retry)) }
    }
}

/// Milliseconds until the next try after `failures` failures in a row.
pub(super) fn retry_delay_ms(retry: &Retry, failures: u32, fraction: f64) -> u64 {
    let exponent = failures.saturating_sub(1).min(limits::RETRY_EXPONENT);
    let delay = retry.base_delay_ms as f64 * retry.factor.max(1.0).powi(exponent as i32);
    let capped = delay.min(retry.max_delay_ms as f64);
    (capped * (1.0 - retry.jitter.clamp(0.0, 1.0) * fraction)) as u64
}

/// When something last verified at `from` is verified next. First verifications are spread, so that what was deployed in one second is not
/// verified in one second; later ones keep their place.
fn next_verification(
    repair: &Repair,
    starts: &mut Starts,
    from: Timestamp,
    fraction: f64,
    steady: bool,
) -> Option<Timestamp> {
    match &repair.schedule {
        RepairSchedule::Off => None,
        RepairSchedule::EveryMs(interval) => {
            let jitter = repair.jitter_ms.unwrap_or(*interval).min(*interval);
            let earlier = if steady { 0 } else { (jitter as f64 * fraction) as u64 };
            Some(from.after_ms(interval - earlier.min(*interval)))
        }
        RepairSchedule::Cron(expression) => {
            let later = (repair.jitter_ms.unwrap_or(0) as f64 * fraction) as u64;
            starts.next(expression, from).map(|at| at.after_ms(later))
        }
    }
}
