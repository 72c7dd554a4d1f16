//! What is derived from a resource's stored state, in one place (design: good, compliance, needs deploy).

use super::state::{EnvironmentState, Published, Resource};
use super::{
    Blocked, Compliance, Hash, Intent, LastResult, Life, Mode, Observed, Operation, PoolName, Reason, RepairAction,
    Thing,
};

/// What makes a thing on a target the same thing: target, type and identity.
pub(super) fn identity_key(intent: &Intent) -> Hash {
    key_of(&intent.target, &intent.kind, &intent.identity)
}

impl Thing {
    pub(super) fn key(&self) -> Hash {
        key_of(&self.target, &self.kind, &self.identity)
    }
}

fn key_of(target: &str, kind: &str, identity: &str) -> Hash {
    Hash::of(&[target.as_bytes(), kind.as_bytes(), identity.as_bytes()])
}

impl Resource {
    pub(super) fn is_live(&self) -> bool {
        self.row.life == Life::Live
    }

    /// The released intent was attempted, or may have been.
    fn attempted_current(&self) -> bool {
        self.is_current(self.row.attempted)
    }

    /// The last attempt was one of this intent, and found or made it so.
    fn deployed_as(&self, hash: Option<Hash>) -> bool {
        hash.is_some()
            && self.row.attempted == hash
            && self.row.last_result == LastResult::Succeeded
            && self.row.succeeded == hash
            && !self.row.observed.differs()
    }

    fn deployed_as_written(&self) -> bool {
        self.deployed_as(self.hash())
    }

    /// Others may rely on it.
    pub(super) fn good(&self) -> bool {
        self.deployed_as_written() && !self.row.skipped
    }

    /// Its target was, or may have been, touched for it.
    pub(super) fn ever_attempted(&self) -> bool {
        self.row.attempted.is_some() || self.row.last_attempt.is_some() || self.row.remote_identity.is_some()
    }

    /// That intent means another thing, and something may be on its target because of it, or come there by what an executor has.
    pub(super) fn is_replaced_by(&self, intent: &Intent) -> bool {
        (self.ever_attempted() || self.run.is_some()) && identity_key(&self.row.intent) != identity_key(intent)
    }

    /// Nothing is wrong with it but a difference that was found and left. Of an intent whose attempt was lost nothing was found.
    pub(super) fn drifted(&self) -> bool {
        let found = self.attempted_current() && self.is_current(self.row.succeeded);
        self.row.observed.differs() && self.row.last_result == LastResult::Succeeded && found
    }

    /// Its newest intent is in an executor's hands, and the result will leave nothing to do.
    pub(super) fn runs_current(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.credited && self.is_current(Some(run.hash)) && self.pays(run))
    }

    /// The delete of a tombstone is in an executor's hands.
    pub(super) fn delete_granted(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.operation == Operation::Delete)
    }

    /// The delete of a tombstone has begun before, or may have, and did not succeed: a removal starts counting failures anew.
    pub(super) fn delete_failed(&self) -> bool {
        !self.is_live() && self.row.failures > 0
    }
}

impl EnvironmentState {
    pub(super) fn undefined(&self, resource: &Resource) -> bool {
        if !resource.is_live() {
            return resource.delete_granted() || resource.delete_failed();
        }
        !resource.missing.is_empty()
            || resource.with_facts.is_none()
            || resource.undefined_requirements > 0
            || self.target(resource.target).is_none_or(|target| target.target.is_none())
    }

    /// What is known of it against its newest released intent.
    pub(super) fn compliance(&self, resource: &Resource) -> Compliance {
        self.compliance_with(resource, resource.hash())
    }

    fn compliance_with(&self, resource: &Resource, hash: Option<Hash>) -> Compliance {
        if self.undefined(resource) {
            Compliance::Undefined
        } else if resource.deployed_as(hash) {
            Compliance::Compliant
        } else if hash.is_some() && resource.row.attempted == hash {
            Compliance::NonCompliant
        } else {
            Compliance::HasUpdate
        }
    }

    /// What is known of it against its newest accepted intent, released or not.
    pub(super) fn accepted_compliance(&self, resource: &Resource) -> Compliance {
        match &resource.row.pending {
            Some(pending) if pending.removed => Compliance::HasUpdate,
            Some(pending) => {
                let hash = self.hash_with_facts(&pending.intent, None);
                self.compliance_with(resource, hash.map(|hash| resource.completed_as(&pending.intent, hash)))
            }
            None if resource.row.facts_in_force.is_some() && !self.undefined(resource) => Compliance::HasUpdate,
            None => self.compliance(resource),
        }
    }

    pub(super) fn blocked(&self, resource: &Resource) -> Blocked {
        if self.undefined(resource) {
            Blocked::Undefined
        } else if resource.row.skipped {
            Blocked::Dependency
        } else {
            Blocked::No
        }
    }

    /// Something must be done on its own account; a skip is not, it ends with what caused it.
    pub(super) fn needs_deploy(&self, resource: &Resource, asked_by_user: bool) -> bool {
        let corrects = asked_by_user || self.settings.repair.action == RepairAction::Correct;
        match self.compliance(resource) {
            Compliance::Undefined => false,
            _ if resource.owes_reload() => true,
            Compliance::Compliant => false,
            Compliance::NonCompliant if resource.drifted() => {
                let left = resource.row.observed == Observed::Reported && !asked_by_user;
                resource.row.intent.policy.mode == Mode::Enforce && corrects && !left
            }
            Compliance::HasUpdate | Compliance::NonCompliant => true,
        }
    }

    /// What an attempt made for `reason` does. Where repairs only report, so do their retries: only a change or a user's deploy corrects.
    pub(super) fn operation(&self, resource: &Resource, reason: Reason) -> Operation {
        let verifies = matches!(reason, Reason::Repair | Reason::UserRepair | Reason::Retry)
            && self.settings.repair.action == RepairAction::Report
            && !resource.owes_reload();
        if !resource.is_live() {
            Operation::Delete
        } else if resource.row.intent.policy.mode == Mode::Observe
            || reason.reports()
            || (verifies && resource.is_current(resource.row.succeeded))
        {
            Operation::Observe
        } else {
            Operation::Enforce
        }
    }

    /// A tombstone's delete waits for these: all that requires it; once it has begun, only for tombstones, since what is live and requires
    /// it is undefined from then on.
    pub(super) fn kept_by<'a>(&'a self, resource: &'a Resource) -> impl Iterator<Item = &'a Resource> {
        let begun = resource.delete_failed();
        let dependents = resource.dependents.iter().filter_map(|&dependent| self.get(dependent));
        dependents.filter(move |dependent| !(begun && dependent.is_live()))
    }

    /// Something of this pool can take grants.
    pub(super) fn connected(&self, pool: &PoolName) -> bool {
        self.executors.values().any(|executor| executor.connected && executor.pool == *pool)
    }

    /// What dependents may count of it now.
    pub(super) fn to_publish(&self, resource: &Resource) -> Published {
        let good = resource.good();
        let waits = resource.is_live() && !self.holds_nobody(resource);
        Published { busy: waits || resource.run.is_some(), good, undefined: self.undefined(resource) }
    }
}
