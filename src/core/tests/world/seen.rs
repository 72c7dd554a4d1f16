//! What a test sees of the world: states and outcomes in words, reasons, what was granted.

use super::World;
use crate::core::{
    AttemptId, Compliance, Hold, Intent, LastResult, Life, OutcomeKind, Reason, RefusalKind, ResourceId, ResourceRow,
    ResourceView,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl World {
    pub(in crate::core::tests) fn forget_grants(&mut self) {
        self.granted.clear();
    }

    /// Exactly these were granted since this was last asked, in this order.
    #[track_caller]
    pub(in crate::core::tests) fn expect_granted<const N: usize>(&mut self, names: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.granted), names.map(str::to_owned), "granted");
    }

    /// What was granted of one resource since this was last asked.
    pub(in crate::core::tests) fn granted_of(&mut self, name: &str) -> Vec<String> {
        let all = std::mem::take(&mut self.granted);
        all.into_iter().filter(|granted| granted.split(' ').next_back() == Some(name)).collect()
    }

    /// The same, for tables of cases.
    #[track_caller]
    pub(in crate::core::tests) fn expect_granted_all(&mut self, names: &[&str]) {
        assert_eq!(std::mem::take(&mut self.granted), names, "granted");
    }

    pub(in crate::core::tests) fn id(&self, name: &str) -> ResourceId {
        self.state.find_any(name).unwrap_or_else(|| panic!("{name} is neither live nor a tombstone"))
    }

    pub(in crate::core::tests) fn view(&self, name: &str) -> ResourceView {
        self.state.view(self.id(name)).unwrap()
    }

    /// The state of a resource in one word.
    pub(in crate::core::tests) fn word(&self, name: &str) -> &'static str {
        let Some(id) = self.state.find_any(name) else {
            let left = self.history.left(name).map(|row| row.life);
            return if left == Some(Life::Deleted) {
                "deleted"
            } else if left.is_some() {
                "orphan"
            } else {
                "unknown"
            };
        };
        let view = self.state.view(id).unwrap();
        match (view.row.life, view.running, view.queued, view.compliance) {
            (_, Some(running), ..) if running.begun => "running",
            (_, Some(_), ..) => "granted",
            (Life::Tombstone, ..) => "tombstone",
            (_, _, Some(_), _) => "queued",
            (_, _, _, Compliance::Undefined) => "undefined",
            _ if view.row.skipped => "skipped",
            (_, _, _, Compliance::Compliant) => "good",
            (_, _, _, Compliance::HasUpdate) => "new",
            _ if view.row.last_result == LastResult::Failed => "failed",
            _ if view.row.observed.differs() => "drifted",
            _ => "bad",
        }
    }

    #[track_caller]
    pub(in crate::core::tests) fn expect<const N: usize>(&self, states: [(&str, &str); N]) {
        let found = states.map(|(name, _)| (name, self.word(name)));
        assert_eq!(found, states);
    }

    #[track_caller]
    pub(in crate::core::tests) fn expect_compliance(&self, name: &str, compliance: Compliance) {
        assert_eq!(self.view(name).compliance, compliance, "compliance of {name}");
    }

    /// Why it does not start: the first reason, as people read it.
    pub(in crate::core::tests) fn why(&self, name: &str) -> String {
        self.holds(name)[0].to_string()
    }

    pub(in crate::core::tests) fn holds(&self, name: &str) -> Vec<Hold> {
        self.state.why(self.id(name))
    }

    /// Every attempt and skip there ever was of a resource, oldest first, as its outcome in one word (`open` without one).
    pub(in crate::core::tests) fn attempts(&self, name: &str) -> Vec<&'static str> {
        let history = &self.history;
        let of_name = |id: &ResourceId| history.rows.get(id).is_some_and(|row| &*row.intent.name == name);
        let granted = history.grants.iter().filter_map(|(&attempt, (_, grant))| Some((attempt, grant.resource?)));
        let ended = history.outcomes.iter().map(|(&attempt, &(id, _))| (attempt, id));
        let all: BTreeMap<AttemptId, ResourceId> = granted.chain(ended).filter(|(_, id)| of_name(id)).collect();
        let word = |attempt| match history.outcomes.get(attempt).map(|(_, outcome)| &outcome.kind) {
            None => "open",
            Some(OutcomeKind::Succeeded(_)) => "succeeded",
            Some(OutcomeKind::Failed { .. }) => "failed",
            Some(OutcomeKind::Revoked) => "revoked",
            Some(OutcomeKind::Lost) => "lost",
            Some(OutcomeKind::Skipped { .. }) => "skipped",
        };
        all.keys().map(word).collect()
    }

    /// Why it was attempted last.
    pub(in crate::core::tests) fn last_reason(&self, name: &str) -> Reason {
        let mut grants = self.history.grants.values().rev();
        grants.find(|(_, grant)| &*grant.intent.name == name).unwrap_or_else(|| panic!("{name} never ran")).1.reason
    }

    /// What the last push was refused for: of whom, and why.
    pub(in crate::core::tests) fn refusals(&self) -> Vec<(&str, RefusalKind)> {
        self.refused.iter().map(|refusal| (&*refusal.name, refusal.kind.clone())).collect()
    }

    pub(in crate::core::tests) fn row_of(&self, name: &str) -> ResourceRow {
        self.view(name).row
    }

    pub(in crate::core::tests) fn intent_of(&self, name: &str) -> Arc<Intent> {
        self.row_of(name).intent
    }
}
