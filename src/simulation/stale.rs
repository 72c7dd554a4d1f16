//! Views that are old when somebody acts on them (R3): what a new owner is told of what is configured, and the version on which a client has made up its
//! mind. What an executor has read before it changes a target, which may be another thing by then, is in `targets.rs`.
//!
//! Deliberately absent: an owner that reads an old history. It reads under its own epoch, after which nobody else commits.

use super::agenda::Happening;
use super::mutant::Mutant;
use super::owner::OwnerId;
use super::users::{Configured, push_of, removal_of};
use super::violation::Checker;
use super::words::Fault;
use super::world::World;
use crate::core::{Event, Name, Push, PushMode, VersionNumber};

/// How long a new owner may be behind.
const BEHIND_MS: u64 = 20_000;

/// What somebody saw some time ago.
#[derive(Debug, Default)]
pub(super) struct Seen {
    configured: Option<Configured>,
    version: VersionNumber,
    /// An owner that is told nothing new yet.
    behind: Option<OwnerId>,
}

impl World {
    /// From time to time somebody looks, and acts on it later.
    pub(super) fn somebody_looks(&mut self) {
        if self.random.chance(10) {
            self.seen.configured = Some(self.users.configuration());
        }
        if self.random.chance(10) {
            self.seen.version = self.store.journal.newest();
        }
    }

    /// A new owner is told what is configured; in some worlds at first what was configured some time ago.
    pub(super) fn tell_new_owner(&mut self, owner: OwnerId) {
        let earlier = self.seen.configured.clone().filter(|_| self.faults.shows_old_views(&mut self.random));
        let Some(earlier) = earlier else { return self.tell_everything(owner) };
        self.faults.count(Fault::Stale);
        self.note(&format!("owner-{owner} is told what was configured earlier"));
        self.remove_what_is_unseen(owner, &earlier);
        self.tell_all_of(owner, &earlier);
        self.seen.behind = Some(owner);
        let at = self.now + self.random.between(100, BEHIND_MS);
        self.agenda.plan(at, Happening::CatchUp(owner));
    }

    /// The news of what is configured have not reached it yet.
    pub(super) fn is_behind(&self, owner: OwnerId) -> bool {
        self.seen.behind == Some(owner)
    }

    /// It learns what is configured now.
    pub(super) fn catch_up(&mut self, owner: OwnerId) {
        if self.is_behind(owner) {
            self.faults.feel(Fault::Stale);
            self.tell_everything(owner);
        }
    }

    /// Whoever was told everything is not behind.
    pub(super) fn is_up_to_date(&mut self, owner: OwnerId) {
        self.seen.behind = self.seen.behind.filter(|&behind| behind != owner);
    }

    fn remove_what_is_unseen(&mut self, owner: OwnerId, earlier: &Configured) {
        if self.is(Mutant::RemoveUnseen) {
            let unseen = self.store.journal.current.values().filter(|one| !earlier.targets.contains_key(&one.target));
            let removals: Vec<Name> = unseen.map(|intent| intent.name.clone()).collect();
            self.agenda.plan(self.now + 1, Happening::Told(owner, Event::Push(removal_of(removals))));
        }
    }

    /// Somebody changes some of what a version wants, which may not be the newest any more, and takes away what it does not have.
    pub(super) fn users_act_on_what_they_saw(&mut self) {
        let version = self.seen.version;
        let Some(mut content) = self.store.journal.content(version).cloned() else { return };
        content.extend(self.some_intents(3).into_iter().map(|intent| (intent.name.clone(), intent)));
        self.note(&format!("somebody acts on version {version}"));
        let push = push_of(content.into_values().collect(), PushMode::Whole);
        self.say_to_owner(Event::Push(Push { prune: true, base: Some(version), ..push }));
    }

    /// An accepted push, and the version that it was answered with: nothing may have come between that and what it was made on.
    pub(super) fn check_base(&mut self, push: &Push, answered: VersionNumber) {
        if let Some(base) = push.base.filter(|base| answered.0 > base.0 + 1) {
            let detail = format!("what was made on version {base} became version {answered}");
            self.broke(Checker::NothingFromAnOldView, detail);
        }
    }
}
