//! Conditions as kstatus reads them: `Ready`, the abnormal-true pair `Reconciling` and `Stalled`, and ours, `Paused` and `Drifted`.
//!
//! Pure: what is true is worked out elsewhere ([`super::resource_status`], [`super::object_status`]); this says how it is written down. Messages are
//! one line without times, so that the same state always reads the same and writes nothing.

use crate::api::conditions::{Condition as Written, ConditionType, Reason, Truth, date_time, one_line};
use crate::core::Timestamp;

/// One condition, before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it says.
    pub kind: ConditionType,
    /// Whether it is so.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// One line for people.
    pub message: String,
}

/// All conditions of an object: `Ready` always, the others only while they are true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// Starts from `Ready`.
    pub fn ready(truth: Truth, reason: Reason, message: &str) -> Self {
        Self(vec![Condition { kind: ConditionType::Ready, truth, reason, message: one_line(message) }])
    }

    /// Not ready yet; something goes on or is waited for.
    pub fn reconciling(truth: Truth, reason: Reason, message: &str) -> Self {
        Self::ready(truth, reason, message).and(ConditionType::Reconciling, reason, message)
    }

    /// Not ready, and nothing happens until a human acts.
    pub fn stalled(reason: Reason, message: &str) -> Self {
        Self::ready(Truth::False, reason, message).and(ConditionType::Stalled, reason, message)
    }

    /// Adds a condition that is true.
    #[must_use]
    pub fn and(mut self, kind: ConditionType, reason: Reason, message: &str) -> Self {
        self.0.retain(|condition| condition.kind != kind);
        self.0.push(Condition { kind, truth: Truth::True, reason, message: one_line(message) });
        self.0.sort_by_key(|condition| condition.kind);
        self
    }

    /// Without the conditions that the predicate names.
    #[must_use]
    pub fn without(mut self, kind: ConditionType) -> Self {
        self.0.retain(|condition| condition.kind != kind);
        self
    }

    /// Whether it says `Ready` is true.
    pub fn is_ready(&self) -> bool {
        self.is(ConditionType::Ready)
    }

    /// Whether this condition is true.
    pub fn is(&self, kind: ConditionType) -> bool {
        self.0.iter().any(|condition| condition.kind == kind && condition.truth == Truth::True)
    }

    /// In the order of [`ConditionType`].
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }

    /// As the API wants them; a condition whose status has not changed keeps its transition time.
    pub fn written(&self, generation: Option<i64>, before: &[Written], now: Timestamp) -> Vec<Written> {
        let since = |condition: &Condition| {
            let same = |old: &&Written| old.kind == condition.kind.as_str() && old.status == condition.truth.as_str();
            before.iter().find(same).map_or_else(|| date_time(now), |old| old.last_transition_time.clone())
        };
        let write = |condition: &Condition| Written {
            kind: condition.kind.as_str().to_owned(),
            status: condition.truth.as_str().to_owned(),
            reason: condition.reason.as_str().to_owned(),
            message: condition.message.clone(),
            observed_generation: generation,
            last_transition_time: since(condition),
        };
        self.0.iter().map(write).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::{ConditionType, Conditions, Reason, Truth};
    use crate::core::Timestamp;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let (first, later) = (Timestamp(1_000_000), Timestamp(2_000_000));
        let queued = Conditions::reconciling(Truth::Unknown, Reason::Queued, "").written(Some(1), &[], first);
        let deploying = Conditions::reconciling(Truth::Unknown, Reason::Deploying, "").written(Some(1), &queued, later);
        assert!(deploying.iter().all(|condition| condition.last_transition_time == queued[0].last_transition_time));
        let ready = Conditions::ready(Truth::True, Reason::Compliant, "").written(Some(1), &deploying, later);
        assert_eq!(ready.len(), 1);
        assert_ne!(ready[0].last_transition_time, queued[0].last_transition_time);
    }

    #[test]
    fn conditions_come_in_a_fixed_order_and_once_each() {
        let conditions = Conditions::stalled(Reason::InvalidSpec, "a")
            .and(ConditionType::Paused, Reason::Suspended, "")
            .and(ConditionType::Stalled, Reason::TooLarge, "b");
        let kinds: Vec<ConditionType> = conditions.iter().map(|condition| condition.kind).collect();
        assert_eq!(kinds, [ConditionType::Ready, ConditionType::Stalled, ConditionType::Paused]);
        assert!(!conditions.is_ready());
    }
}
