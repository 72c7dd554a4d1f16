//! Secrets that fill attributes: where an executor finds them is part of the intent, and so is a keyed digest of their values, which is all that
//! an executor ever says of them.
//!
//! The first digest completes the hash of the intent and changes nothing. An attempt that only verifies is told the digest of what is deployed: an
//! executor that finds another one touches nothing, and says so; then the resource had an update, which is deployed as any change. An attempt that
//! is a change takes the secrets as they are.
//!
//! What was filled from a secret once may hold it for longer than the intent says so: until an attempt has made that attribute something else. Until
//! then executors are told of it, so that they show nothing of what they find there.

use super::derive::identity_key;
use super::limits::ONCE_SECRET;
use super::state::{EnvironmentState, Resource, Run};
use super::{Finding, Hash, InputSource, Intent, Name, ResourceId, ResourceRow};
use std::collections::BTreeSet;
use std::sync::Arc;

impl InputSource {
    /// Its value is known to executors alone.
    pub fn is_secret(&self) -> bool {
        !matches!(self, Self::Fact(_))
    }
}

impl Intent {
    /// Where the secrets are found that fill its attributes: the attribute, the name of the value, the place.
    fn secrets(&self) -> impl Iterator<Item = (&Name, &Name, &InputSource)> {
        let all = self.inputs.iter().flat_map(|input| input.values.iter().map(move |value| (&input.path, value)));
        all.map(|(path, (name, source))| (path, name, source)).filter(|(.., source)| source.is_secret())
    }

    /// It takes the same secrets as another one: what is known of their values is true of both.
    pub(super) fn takes_the_secrets_of(&self, other: &Self) -> bool {
        self.secrets().eq(other.secrets())
    }

    /// It takes any.
    pub fn takes_secrets(&self) -> bool {
        self.secrets().next().is_some()
    }

    /// The attributes that secrets fill.
    fn secret_attributes(&self) -> BTreeSet<Name> {
        self.secrets().map(|(path, ..)| path.clone()).collect()
    }

    /// It says what this attribute is, in public.
    fn gives(&self, path: &str) -> bool {
        let is_said = || {
            let attributes: Result<serde_json::Value, _> = serde_json::from_str(&self.attributes);
            attributes.is_ok_and(|attributes| attributes.pointer(path).is_some())
        };
        !path.is_empty() && (self.inputs.iter().any(|input| *input.path == *path) || is_said())
    }
}

impl ResourceRow {
    /// Takes another intent for the same thing.
    pub(super) fn take_intent(&mut self, intent: &Arc<Intent>) {
        let before = std::mem::replace(&mut self.intent, Arc::clone(intent));
        self.may_hold(before.secret_attributes());
    }

    /// In these attributes of the thing there may be secrets.
    pub(super) fn may_hold(&mut self, attributes: BTreeSet<Name>) {
        self.once_secret.extend(attributes);
        if self.once_secret.is_empty() {
            return;
        }
        // These are hidden anyway.
        let hidden = self.intent.secret_attributes();
        self.once_secret.retain(|path| !hidden.contains(path));
        if self.once_secret.len() > ONCE_SECRET || self.once_secret.contains("") {
            self.once_secret = BTreeSet::from(["".into()]);
        }
    }

    /// All that there may be, whatever the intent says of them.
    pub(super) fn holds(&self) -> BTreeSet<Name> {
        self.once_secret.iter().cloned().chain(self.intent.secret_attributes()).collect()
    }

    /// The thing is as the intent says: what that says is no secret any more.
    pub(super) fn is_as_said(&mut self) {
        if self.once_secret.is_empty() {
            return;
        }
        let intent = Arc::clone(&self.intent);
        self.once_secret.retain(|path| !intent.gives(path));
    }
}

/// The hash of an intent whose secrets have this digest.
fn completed(hash: Hash, digest: Option<Hash>) -> Hash {
    digest.map_or(hash, |digest| Hash::of(&[&hash.0, &digest.0]))
}

impl Resource {
    /// The hash of its newest intent as an attempt would run it now; `None` while that is not completely known. A tombstone stays what was attempted
    /// last: the facts that it took may be others by now.
    pub(super) fn hash(&self) -> Option<Hash> {
        if self.takes_facts && !self.is_live() {
            return self.row.attempted;
        }
        self.with_facts.map(|hash| completed(hash, self.row.secret_digest))
    }

    /// The hash of another intent of it, as an attempt would run that now: the same secrets have the digest that is known.
    pub(super) fn completed_as(&self, intent: &Intent, hash: Hash) -> Hash {
        completed(hash, self.row.secret_digest.filter(|_| intent.takes_the_secrets_of(&self.row.intent)))
    }

    /// What an attempt is told of the secrets that are deployed: only one that verifies them.
    pub(super) fn deployed_digest(&self) -> Option<Hash> {
        self.row.secret_digest.filter(|_| !self.changes())
    }

    /// Its secrets are others than those that are deployed, and the executor has left it at that.
    fn was_told_of_a_rotation(&self, run: &Run, finding: &Finding) -> bool {
        let other =
            finding.secret_digest.is_some_and(|digest| self.row.secret_digest.is_some_and(|known| known != digest));
        other && run.credited && self.is_live() && self.is_current(Some(run.hash)) && !self.changes()
    }

    /// The run as what it turns out to have run: with the secrets that it found.
    pub(super) fn complete(&mut self, run: &Run, finding: &Finding) -> Run {
        let mut run = run.clone();
        let news = finding.secret_digest.is_some() && finding.secret_digest != self.row.secret_digest;
        // Its intent may have been another one in between, with which the digest that it was to verify was forgotten.
        let verified = self.row.secret_digest.is_none()
            && self.with_facts.map(|hash| completed(hash, finding.secret_digest)) == Some(run.hash);
        let current = verified || self.is_current(Some(run.hash));
        if news && run.credited && self.is_live() && current && self.row.intent.takes_secrets() {
            self.row.secret_digest = finding.secret_digest;
            run.hash = self.hash().unwrap_or(run.hash);
        }
        run
    }
}

impl EnvironmentState {
    /// Where there may be secrets in the thing that an intent means, which may be known already, under this name or another.
    pub(super) fn held_by_what_is_meant(&self, intent: &Intent) -> BTreeSet<Name> {
        let known = [self.live.get(&intent.name), self.identities.get(&identity_key(intent))];
        let rows = known.into_iter().flatten().filter_map(|&id| self.get(id)).map(|resource| &resource.row);
        rows.flat_map(ResourceRow::holds).collect()
    }

    /// An attempt that was to verify found other secrets: from now on the resource has an update. Returns whether it was so.
    pub(super) fn take_rotation(&mut self, id: ResourceId, run: &Run, finding: &Finding) -> bool {
        let Some(resource) = self.get_mut(id).filter(|resource| resource.was_told_of_a_rotation(run, finding)) else {
            return false;
        };
        resource.row.secret_digest = finding.secret_digest;
        resource.row.last_attempt = Some(run.attempt);
        resource.row.failures = 0;
        resource.row.skipped = false;
        // What was cancelled is left alone until it is another intent.
        self.disarm(id);
        self.touch(id);
        if run.reason.reports() {
            self.answer_requests(id);
        }
        true
    }
}
