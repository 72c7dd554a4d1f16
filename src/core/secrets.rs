//! Secrets that fill attributes: where an executor finds them is part of the intent, and so is a keyed digest of their values, which is all that
//! an executor ever says of them.
//!
//! The first digest completes the hash of the intent and changes nothing. An attempt that only verifies is told the digest of what is deployed: an
//! executor that finds another one touches nothing, and says so; then the resource had an update, which is deployed as any change. An attempt that
//! is a change takes the secrets as they are.

use super::state::{EnvironmentState, Resource, Run};
use super::{Finding, Hash, InputSource, Intent, Name, ResourceId};

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
}

/// The hash of an intent whose secrets have this digest.
fn completed(hash: Hash, digest: Option<Hash>) -> Hash {
    digest.map_or(hash, |digest| Hash::of(&[&hash.0, &digest.0]))
}

impl Resource {
    /// The hash of its newest intent as an attempt would run it now; `None` while that is not completely known.
    pub(super) fn hash(&self) -> Option<Hash> {
        self.with_facts.map(|hash| completed(hash, self.row.secret_digest))
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
        if news && run.credited && self.is_live() && self.is_current(Some(run.hash)) && self.row.intent.takes_secrets()
        {
            self.row.secret_digest = finding.secret_digest;
            run.hash = self.hash().unwrap_or(run.hash);
        }
        run
    }
}

impl EnvironmentState {
    /// An attempt that was to verify found other secrets: from now on the resource has an update. Returns whether it was so.
    pub(super) fn take_rotation(&mut self, id: ResourceId, run: &Run, finding: &Finding) -> bool {
        let Some(resource) = self.get_mut(id).filter(|resource| resource.was_told_of_a_rotation(run, finding)) else {
            return false;
        };
        resource.row.secret_digest = finding.secret_digest;
        resource.row.last_attempt = Some(run.attempt);
        resource.row.failures = 0;
        self.touch(id);
        if run.reason.reports() {
            self.answer_requests(id);
        }
        true
    }
}
