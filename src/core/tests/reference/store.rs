//! The history of a trace: what was recorded, and what a new owner reads of it.
//!
//! Deliberately absent: versions other than the newest number, and outcomes.

use super::super::super::{
    AttemptId, Effects, EnvironmentState, LoadedRow, OpenGrant, Record, ResourceId, ResourceRow, Snapshot, Thing,
};
use std::collections::BTreeMap;

/// What history has of the environment.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub snapshot: Snapshot,
    rows: BTreeMap<ResourceId, ResourceRow>,
    grants: BTreeMap<AttemptId, OpenGrant>,
}

impl Store {
    pub(super) fn take(&mut self, state: &EnvironmentState, effects: &Effects) {
        let snapshot = &mut self.snapshot;
        for record in &effects.records {
            match record {
                Record::Version(version) => snapshot.version = version.number,
                Record::Grant(executor, grant) => {
                    snapshot.last_attempt = snapshot.last_attempt.max(grant.attempt);
                    let open = OpenGrant {
                        attempt: grant.attempt,
                        resource: grant.resource.unwrap(),
                        thing: Some(Thing::of(&grant.intent)),
                        executor: executor.clone(),
                        operation: grant.operation,
                        reason: grant.reason,
                        hash: grant.hash,
                    };
                    self.grants.insert(grant.attempt, open);
                }
                Record::Outcome { outcome, .. } => {
                    snapshot.last_attempt = snapshot.last_attempt.max(outcome.attempt);
                    self.grants.remove(&outcome.attempt);
                }
                Record::Request(order) => {
                    snapshot.last_request = snapshot.last_request.max(order.id);
                    snapshot.requests.push(order.clone());
                }
                Record::RequestDone(id, _) => snapshot.requests.retain(|request| request.id != *id),
                Record::DryRun { id, .. } => snapshot.last_dry_run = snapshot.last_dry_run.max(*id),
                Record::Settings(settings) => snapshot.settings = Some(settings.clone()),
                Record::Target(target) => {
                    snapshot.targets.retain(|other| other.name != target.name);
                    snapshot.targets.push(target.clone());
                }
                Record::TargetRemoved(name) => snapshot.targets.retain(|other| other.name != *name),
                Record::LateResult(_) | Record::DryRunResult { .. } => {}
            }
        }
        for id in &effects.rows {
            if let Some(row) = state.row(*id) {
                snapshot.last_resource = snapshot.last_resource.max(Some(*id));
                self.rows.insert(*id, row.clone());
            }
        }
        for row in &effects.left {
            snapshot.last_resource = snapshot.last_resource.max(Some(row.resource));
            self.rows.remove(&row.resource);
        }
    }

    /// What is stored is what stands: no changed row was forgotten.
    pub(super) fn check(&self, state: &EnvironmentState) -> Result<(), String> {
        let standing = state.views().count();
        let differs = self.rows.iter().find(|(id, row)| state.row(**id) != Some(*row));
        match differs {
            None if standing == self.rows.len() => Ok(()),
            None => Err(format!("{standing} rows stand, {} are stored", self.rows.len())),
            Some((id, row)) => Err(format!("{:?} is stored as {row:?}", state.row(*id))),
        }
    }

    pub(super) fn read(&self) -> Snapshot {
        let resources = self.rows.values().cloned().map(LoadedRow::from).collect();
        let grants = self.grants.values().cloned().collect();
        Snapshot { resources, grants, ..self.snapshot.clone() }
    }
}
