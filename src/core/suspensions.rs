//! Suspensions that users order, beside `suspend` in the settings of the environment and its targets: requests that stay open until they are lifted,
//! so that whoever owns the environment next finds them in history.
//!
//! Deliberately absent: what a suspension stops. That is a hold like any other (`holds.rs`).

use super::revisit::{Whom, Why};
use super::state::{EnvironmentState, Resource};
use super::{Name, Record, RequestId, RequestKind, RequestRecord, TargetName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A user's order that nothing new starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// The request by which it was ordered; open as long as it is in force.
    pub request: RequestId,
    /// Only on this target; `None`: in the whole environment.
    pub target: Option<TargetName>,
    /// Who ordered it.
    pub author: Name,
    /// When.
    #[serde(with = "super::rfc3339")]
    pub at: Timestamp,
    /// Why, in the author's words; may be empty.
    pub message: Name,
}

/// At most one for the environment, and one per target.
#[derive(Debug, Default)]
pub(super) struct Suspensions {
    pub(super) environment: Option<Suspension>,
    pub(super) targets: BTreeMap<TargetName, Suspension>,
}

impl EnvironmentState {
    /// What users have suspended: the environment first, then targets by name.
    pub fn suspensions(&self) -> impl Iterator<Item = &Suspension> {
        self.suspensions.environment.iter().chain(self.suspensions.targets.values())
    }

    /// Nothing new starts in the whole environment: its settings or a user say so.
    pub fn is_suspended(&self) -> bool {
        self.settings.suspend || self.suspensions.environment.is_some()
    }

    /// A user has suspended the target that it is on.
    pub(super) fn suspension_of_target(&self, resource: &Resource) -> Option<&Suspension> {
        self.suspensions.targets.get(&resource.row.intent.target)
    }

    /// Suspends, or takes the place of an earlier suspension of the same.
    pub(super) fn suspend(&mut self, order: RequestRecord) {
        let suspension = Suspension::from(order);
        let place = suspension.target.clone();
        let before = match &suspension.target {
            Some(target) => self.suspensions.targets.insert(target.clone(), suspension),
            None => self.suspensions.environment.replace(suspension),
        };
        match before {
            Some(before) => self.out.records.push(Record::RequestDone(before.request, self.now)),
            None => self.reconsider_place(place.as_ref()),
        }
    }

    /// Lifts what [`EnvironmentState::suspend`] ordered of the same. Does nothing where nothing is suspended.
    pub(super) fn resume_place(&mut self, target: Option<&TargetName>) {
        let lifted = match target {
            Some(target) => self.suspensions.targets.remove(target),
            None => self.suspensions.environment.take(),
        };
        if let Some(lifted) = lifted {
            self.out.records.push(Record::RequestDone(lifted.request, self.now));
            self.reconsider_place(target);
        }
    }

    /// Puts a suspension back that history still has open.
    pub(super) fn restore_suspension(&mut self, open: &RequestRecord) {
        if open.kind == RequestKind::Suspend {
            let suspension = Suspension::from(open.clone());
            match suspension.target.clone() {
                Some(target) => drop(self.suspensions.targets.insert(target, suspension)),
                None => self.suspensions.environment = Some(suspension),
            }
        }
    }

    /// Everything there may or may not start from now on.
    fn reconsider_place(&mut self, target: Option<&TargetName>) {
        let Some(target) = target else {
            return self.revisit_all(Why { holds: true, ..Why::default() });
        };
        if let Some(&index) = self.target_index.get(target) {
            self.revisit_place(index, Whom::All);
        }
    }
}

impl From<RequestRecord> for Suspension {
    fn from(order: RequestRecord) -> Self {
        let RequestRecord { id, scope, author, at, message, .. } = order;
        Self { request: id, target: scope.target, author, at, message }
    }
}
