//! What users order: suspensions, cancellations, reports, releases and approvals; and what they push that is not as they meant it.

use super::agenda::Happening;
use super::owner::OwnerId;
use super::standing::removed_by;
use super::targets::key_of;
use super::users::push_of;
use super::world::World;
use crate::core::{
    Event, Forget, Intent, IntentParts, Life, Message, Name, Push, PushMode, Refusal, RefusalKind, Replace,
    RequestKind, Scope, TargetName, VersionNumber, limits,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl World {
    pub(super) fn some_scope(&mut self) -> Scope {
        let target = self.random.chance(30).then(|| self.users.some_target(&mut self.random));
        let names = self.random.chance(30).then(|| (0..3).map(|_| self.users.some_name(&mut self.random)).collect());
        Scope { target, names }
    }

    /// One of the orders. A suspension is lifted after a while.
    pub(super) fn users_order(&mut self) {
        match self.random.below(12) {
            0..4 => {
                let target = self.random.chance(70).then(|| self.users.some_target(&mut self.random));
                let at = self.now + self.random.between(500, 25_000);
                self.request(RequestKind::Suspend, Scope { target: target.clone(), names: None });
                self.agenda.plan(at, Happening::Lift(target));
            }
            4..7 => {
                let scope = self.some_scope();
                self.request(RequestKind::Cancel, scope);
            }
            7..9 => {
                let scope = self.some_scope();
                self.request(RequestKind::Report, scope);
            }
            9 => {
                let scope = self.some_scope();
                self.request(RequestKind::FactRefresh, scope);
            }
            10 => {
                let scope = self.some_scope();
                self.request(RequestKind::ApproveRemovals, scope);
            }
            _ => self.lift(None),
        }
    }

    pub(super) fn lift(&mut self, target: Option<TargetName>) {
        if !self.faults.healed {
            self.request(RequestKind::Resume, Scope { target, names: None });
        }
    }

    /// Nothing is suspended any more, and whatever waits for a word of a user gets it.
    pub(super) fn users_lift_everything(&mut self) {
        let all = (0..self.users.targets).chain([99]).map(|number| Some(format!("t{number}").into()));
        for target in all.chain([None]).collect::<Vec<_>>() {
            self.request(RequestKind::Resume, Scope { target, names: None });
        }
        self.request(RequestKind::Deploy, Scope::default());
        self.request(RequestKind::ApproveRemovals, Scope::default());
    }

    /// What is protected is never deleted: only forgetting it ends it, and whatever bears its name. Says whether there was any.
    pub(super) fn users_give_up_what_is_protected(&mut self) -> bool {
        let Some(process) = self.newest_owner().and_then(|id| self.owners.get(&id)) else { return false };
        let protected = process.heart.state().views().filter(|view| view.row.life == Life::Tombstone);
        let protected =
            protected.filter(|view| view.row.intent.policy.protected).map(|view| view.row.intent.name.clone());
        let names: Vec<Name> = protected.flat_map(|name: Name| [name.clone(), name]).collect();
        let any = !names.is_empty();
        if any {
            self.say_to_owner(Event::Forget(Forget { names, author: "a user".into(), message: "".into() }));
        }
        any
    }

    /// Somebody looks at what waits for release, and releases or rejects some of it: a rejection declares again what is in force.
    pub(super) fn users_release(&mut self) {
        if self.random.chance(70) {
            let scope = self.some_scope();
            let kind = if self.random.chance(85) { RequestKind::Deploy } else { RequestKind::ApproveRemovals };
            return self.request(kind, scope);
        }
        let Some(process) = self.newest_owner().and_then(|id| self.owners.get(&id)) else { return };
        let pending: Vec<_> = process.heart.state().views().filter(|view| view.unreleased().is_some()).collect();
        let Some(view) = self.random.pick(&pending) else { return };
        let name = view.row.intent.name.clone();
        self.note(&format!("what waits for release of {name} is rejected"));
        let push = if view.row.life == Life::Unreleased {
            Push { removals: vec![name], ..push_of(Vec::new(), PushMode::Each) }
        } else {
            push_of(vec![Arc::clone(&view.row.intent)], PushMode::Each)
        };
        self.say_to_owner(Event::Push(push));
    }

    /// A new version with the content of an earlier one.
    pub(super) fn users_roll_back(&mut self) {
        let versions = self.store.journal.newest().0;
        let version = VersionNumber(self.random.between(1, versions.max(1)));
        let Some(content) = self.store.journal.content(version) else { return };
        let upserts = content.values().cloned().collect();
        self.note(&format!("back to version {version}"));
        let approved = self.random.chance(70);
        let push = Push { prune: true, approved, source: "rollback".into(), ..push_of(upserts, PushMode::Whole) };
        self.say_to_owner(Event::Push(push));
    }

    /// Something that can only be refused, among others that are good.
    pub(super) fn users_push_something_bad(&mut self) {
        let mut upserts = self.some_intents(5);
        let number = self.random.below(self.users.names);
        let one = self.users.intent(number, &mut self.random);
        match self.random.below(3) {
            0 => upserts.push(bad_intent(&one)),
            1 => upserts.push(with(&one, |parts| parts.requires.push(parts.name.clone()))),
            _ => upserts.extend([one.clone(), one]),
        }
        self.say_to_owner(Event::Push(push_of(upserts, PushMode::Each)));
    }

    /// Keeps in mind what waits for an approval. What an owner hears that was taken over comes to nothing.
    pub(super) fn note_removals(&mut self, id: OwnerId, event: &Event) {
        let newest = self.store.newest;
        let Some(process) = self.owners.get(&id).filter(|process| process.fence.epoch == newest) else { return };
        let state = process.heart.state();
        match event {
            Event::Push(push) => {
                let mut removed: BTreeSet<Name> = removed_by(&push.removals, &push.upserts).cloned().collect();
                if push.prune {
                    let all = (0..self.users.names).map(|number| Name::from(format!("r{number}")));
                    removed.extend(all.filter(|name| !push.upserts.iter().any(|intent| intent.name == *name)));
                }
                removed.retain(|name| state.accepted(name).is_some());
                if push.approved {
                    self.users.unapproved.retain(|name, _| !removed.contains(name));
                } else {
                    self.users.unapproved.extend(removed.into_iter().map(|name| (name, state.version())));
                }
                // What another thing takes the place of goes with less ceremony.
                self.users.unapproved.retain(|name, _| !push.upserts.iter().any(|intent| intent.name == *name));
            }
            Event::Request(request) if request.kind == RequestKind::ApproveRemovals => match &request.scope.names {
                Some(names) => self.users.unapproved.retain(|name, _| !names.contains(name)),
                None => self.users.unapproved.clear(),
            },
            _ => {}
        }
    }

    /// Why an answer refuses something that is as good as anything.
    pub(super) fn refuses_what_is_good(
        &self,
        push: &Push,
        message: Option<&Message>,
        refusals: &[Refusal],
    ) -> Option<String> {
        let whole = matches!(message, Some(Message::Refused(_)));
        let stale = refusals.iter().any(|refusal| matches!(refusal.kind, RefusalKind::StaleBase(_)));
        if whole && push.mode == PushMode::Each && !stale {
            return Some("refused whole, although each intent stands for itself".to_owned());
        }
        if whole && refusals.is_empty() {
            return Some("refused, and nothing is wrong with it".to_owned());
        }
        let unjust = refusals.iter().find(|refusal| !self.deserves(push, refusal))?;
        Some(format!("{} is refused, and is not so: {:?}", unjust.name, unjust.kind))
    }

    fn deserves(&self, push: &Push, refusal: &Refusal) -> bool {
        let journal = &self.store.journal;
        let pushed = || push.upserts.iter().filter(|intent| intent.name == refusal.name);
        let ever = |name: &Name| {
            let now = push.upserts.iter().filter(|one| one.name == *name);
            now.chain(journal.ever(name)).cloned().collect::<Vec<_>>()
        };
        match &refusal.kind {
            RefusalKind::StaleBase(newest) => push.base.is_some_and(|base| base < *newest),
            RefusalKind::DuplicateName => pushed().count() > 1,
            RefusalKind::TooLarge(_, bound) => pushed().any(|intent| intent.requires.len() > *bound),
            RefusalKind::Replaces => pushed().any(|intent| intent.policy.replace == Replace::Never),
            // Users here push to one set, and show nobody a plan.
            RefusalKind::OtherSet(_) | RefusalKind::StalePlan | RefusalKind::TooManyRequests(_) => false,
            RefusalKind::DuplicateIdentity(other) => {
                let things: Vec<_> = ever(other).iter().map(|intent| key_of(intent)).collect();
                other != &refusal.name && pushed().any(|intent| things.contains(&key_of(intent)))
            }
            RefusalKind::Cycle(path) => {
                let edges = path.windows(2).all(|edge| match edge {
                    [from, to] => ever(from).iter().any(|intent| intent.requires.contains(to)),
                    _ => false,
                });
                path.len() > 1 && path.first() == path.last() && edges
            }
        }
    }
}

/// The same with more edges than anything may have.
pub(super) fn bad_intent(intent: &Intent) -> Arc<Intent> {
    with(intent, |parts| parts.requires = (0..=limits::REQUIRES).map(|edge| format!("e{edge}").into()).collect())
}

/// An intent that is not quite another one.
pub(super) fn with(intent: &Intent, change: impl FnOnce(&mut IntentParts)) -> Arc<Intent> {
    let mut parts = IntentParts::from(intent.clone());
    change(&mut parts);
    Arc::new(Intent::new(parts))
}
