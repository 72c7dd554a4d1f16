//! What was committed: which resources must be thought over, and what happened that is worth a Kubernetes Event.

use super::report::Look;
use super::{EVENTS_KEPT, EnvironmentLoop};
use crate::api::conditions;
use crate::cluster::Happened;
use crate::controller::limits::REPAIRS_REMEMBERED;
use crate::core::{AttemptId, Change, Name, Outcome, OutcomeKind, Reason, Record, ResourceId};
use crate::scheduler::Committed;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::broadcast::error::TryRecvError;

impl EnvironmentLoop {
    /// Takes in what was committed: which resources to think over, and what happened to them.
    pub(super) fn take_commits(&mut self, first: Option<Arc<Committed>>) {
        let mut happened = Vec::new();
        let Some(running) = self.running.as_mut() else { return };
        let mut next = first;
        loop {
            match next.take() {
                Some(committed) => {
                    self.changed.extend(committed.changed.iter().copied());
                    note(&mut running.repairs, &committed.records, &mut happened);
                }
                // Fell behind: everything is thought over.
                None => self.stale.extend(self.book.iter().map(|(name, _)| name.clone())),
            }
            match running.committed.try_recv() {
                Ok(committed) => next = Some(committed),
                Err(TryRecvError::Lagged(_)) => running.repairs.clear(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.happened.extend(happened);
        let limit = self.happened.len().saturating_sub(EVENTS_KEPT);
        self.happened.drain(..limit);
    }

    /// Tells what happened to resources that still have an object.
    pub(super) fn tell_events(&mut self, look: &Look) {
        let names: BTreeMap<ResourceId, &Name> =
            look.views.iter().map(|(view, _)| (view.row.resource, &view.row.intent.name)).collect();
        for (resource, happened, note) in std::mem::take(&mut self.happened) {
            let entry = names.get(&resource).and_then(|name| self.book.get(name));
            if let Some(entry) = entry {
                self.shared.cluster.events().tell(
                    happened,
                    "Resource",
                    entry.object.meta.reference(),
                    &conditions::one_line(&note),
                );
            }
        }
    }
}

/// What of these records is worth an Event.
fn note(
    repairs: &mut HashMap<AttemptId, Reason>,
    records: &[Record],
    happened: &mut Vec<(ResourceId, Happened, String)>,
) {
    for record in records {
        match record {
            Record::Grant(_, grant) if matches!(grant.reason, Reason::Repair | Reason::UserRepair) => {
                if repairs.len() >= REPAIRS_REMEMBERED {
                    repairs.clear();
                }
                repairs.insert(grant.attempt, grant.reason);
            }
            Record::Outcome { resource, outcome } => {
                let repair = repairs.remove(&outcome.attempt).is_some();
                happened.extend(event_of(outcome, repair).map(|(event, note)| (*resource, event, note)));
            }
            _ => {}
        }
    }
}

fn event_of(outcome: &Outcome, repair: bool) -> Option<(Happened, String)> {
    match &outcome.kind {
        OutcomeKind::Failed { message, .. } => Some((Happened::DeployFailed, message.to_string())),
        OutcomeKind::Succeeded(finding) if repair && finding.change != Change::None => {
            Some((Happened::DriftCorrected, "a difference was found and corrected".to_owned()))
        }
        _ => None,
    }
}
