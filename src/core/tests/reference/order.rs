//! H: who goes first on a target. Nothing is granted before something that stands before it for certain, but for every 16th start.
//!
//! Where two answers are right (what is inherited through work that is held, the place of what was given back, what joins in one step), neither goes
//! first for certain. Deliberately absent: any order between targets, which the documents do not give.

use super::super::super::{Name, Reason, ResourceId, limits};
use super::model::{Model, Res};
use std::collections::BTreeSet;

/// The steps at which something may have joined where it stands in the queue: the documents may leave more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    class: Reason,
    earliest: u64,
    latest: u64,
    /// It may have waited, for whatever reason, since then.
    waits_since: u64,
    /// The highest class that it may have inherited since it waits: whether that is taken back when the waiter has gone, is open.
    lent: Reason,
    /// The priority that it has for certain, its own or a waiter's, and the step since when at the latest.
    stands: (Reason, u64),
}

impl Place {
    /// It is wanted sooner, and stays what it is.
    pub(super) fn hurried(self) -> Self {
        Self { lent: self.lent.min(Reason::FactRefresh), ..self }
    }

    /// It has joined those of this priority by then.
    fn latest_in(self, priority: Reason) -> Option<u64> {
        let own = (self.class == priority).then_some(self.latest);
        let stands = (self.stands.0 == priority).then_some(self.stands.1);
        own.into_iter().chain(stands).min()
    }

    /// It is of that one's priority by itself since it came, and was so by what it was lent before.
    fn was_hurried_before(self, other: Self) -> bool {
        self.class == other.class
            && self.stands.0 == self.class
            && self.stands.1 < other.earliest
            && other.earliest < self.latest
    }

    /// It has not joined them before: with what it was lent it may stand where it has stood ever since it waits.
    fn earliest_in(self, priority: Reason) -> u64 {
        if self.class == priority { self.earliest } else { self.waits_since }
    }
}

impl Model {
    /// "A second request for a queued resource joins the tail of the higher class"; what was given back may keep its place.
    pub(super) fn take_places(&mut self) {
        self.steps += 1;
        let now = self.steps;
        let priorities = |res: &Res| (res.id, self.lent(res, false), self.inherited(res, true));
        let priorities: Vec<(ResourceId, Reason, Reason)> = self.all.values().map(priorities).collect();
        for (id, lent, certain) in priorities {
            let res = self.all.get_mut(id).unwrap();
            let (joined, anew) = (std::mem::take(&mut res.joined), std::mem::take(&mut res.anew));
            let Some(class) = res.queued else {
                res.place = res.place.filter(|_| res.run.is_some());
                continue;
            };
            let before = res.place;
            // In a class that was lent to it, it has a place already.
            let kept = before.filter(|place| place.class == class || place.lent.min(lent) <= class);
            // A second request for what was hurried for another takes nothing from it.
            let stands = before.map(|place| place.stands).filter(|stands| !anew && stands.0 == certain);
            let stands = stands.unwrap_or((certain, now));
            res.place = match before {
                Some(place) if !joined && place.class == class => {
                    Some(Place { lent: place.lent.min(lent), stands, ..place })
                }
                _ => Some(Place {
                    class,
                    earliest: kept.map_or(now, |place| place.earliest),
                    latest: now,
                    waits_since: before.map_or(now, |place| place.waits_since),
                    lent: before.map_or(lent, |place| place.lent.min(lent)),
                    stands,
                }),
            };
        }
    }

    /// "Priorities (first wins)", first come first served inside one; "every 16th start on a target goes to its oldest waiter".
    pub(super) fn check_order(&mut self, id: ResourceId, target: &Name) -> Result<(), String> {
        let starts = self.starts.entry(target.clone()).or_default();
        *starts += 1;
        let aged = starts.is_multiple_of(limits::STARTS_PER_AGED);
        let res = &self.all[&id];
        let others = self.all.values().filter(|other| other.id != id && other.intent.target == *target);
        let startable: Vec<&Res> = others.filter(|other| self.startable(other, false).is_ok()).collect();
        let mut met = Vec::new();
        for other in startable {
            let before = if aged { waits_longer(other, res) } else { self.comes_before(other, res) };
            if before {
                let kind = if aged { "has waited longer" } else { "comes first" };
                let stand = |res: &Res| format!("{} ({:?}, {:?})", res.intent.name, res.queued, res.place);
                return Err(format!("{} is granted, and {} {kind}", stand(res), stand(other)));
            }
            if self.comes_before(res, other) {
                met.push("one comes before another");
                if res.place.is_some_and(|place| self.inherited(res, true) < place.class) {
                    met.push("priority is lent to one that comes before another");
                }
                if res.place.zip(other.place).is_some_and(|(place, other)| place.was_hurried_before(other)) {
                    met.push("what was hurried for another keeps its turn when it is wanted sooner itself");
                }
            }
            if aged && self.comes_before(other, res) {
                met.push("the oldest comes before the most important");
            }
        }
        self.met.extend(met);
        Ok(())
    }

    fn comes_before(&self, other: &Res, res: &Res) -> bool {
        let (Some(place), Some(first)) = (res.place, other.place) else { return false };
        let (certain, perhaps) = (self.inherited(other, true), self.inherited(res, false).min(place.lent));
        let sooner = || first.latest_in(certain).is_some_and(|latest| latest < place.earliest_in(perhaps));
        certain < perhaps || certain == perhaps && sooner()
    }

    fn inherited(&self, res: &Res, certain: bool) -> Reason {
        self.lent(res, certain).min(res.queued.unwrap_or(Reason::Report))
    }

    /// "What blocks a waiter inherits its priority." `certain`: of waiters in the queue that only this is in the way of; else of any.
    fn lent(&self, res: &Res, certain: bool) -> Reason {
        let mut reached = BTreeSet::from([res.id]);
        let mut open = vec![res];
        let mut best = Reason::Report;
        while let Some(it) = open.pop() {
            // A held verification of something good holds nobody; a delete holds what waits for it.
            let deletes = !it.live() && it.queued.is_some() && it.run.is_none();
            let blocks = deletes || !self.perhaps_idle(it);
            let free = |other: &Res| other.after.is_none_or(|after| after == it.id);
            let certainly = |other: &Res| blocks && self.waits_in_the_queue(other) && free(other);
            let waits = |other: &&Res| if certain { certainly(other) } else { self.may_wait_for(other, it) };
            let waiters: Vec<&Res> = match certain {
                true if deletes => self.all.values().filter(|other| other.after == Some(it.id)).collect(),
                true => self.dependents(it.id, true),
                false => self.all.values().chain(&self.gone).collect(),
            };
            for other in waiters.into_iter().filter(|other| waits(other) && reached.insert(other.id)) {
                best = best.min(if certain { other.queued.unwrap_or(Reason::Report) } else { self.may_lend(other) });
                open.push(other);
            }
        }
        best
    }

    /// It may have left the queue, or have become undefined, only after it lent.
    fn may_lend(&self, res: &Res) -> Reason {
        let place = res.place.map(|place| place.class.min(place.lent));
        let known = [res.queued, place].into_iter().flatten().min();
        let joins = if self.user_deploys { Reason::UserDeploy } else { Reason::Change };
        let falls_out = res.live() && !res.was_undefined && self.undefined(res);
        known.into_iter().chain(falls_out.then_some(joins)).min().unwrap_or(Reason::Report)
    }

    /// What has left in this step is waited for by what it was, under its name or another.
    fn may_wait_for(&self, other: &Res, res: &Res) -> bool {
        let requires = |one: &Res, two: &Res| one.intent.requires.contains(&two.intent.name);
        let succeeds = || other.live() && (other.thing() == res.thing() || other.intent.name == res.intent.name);
        requires(other, res)
            || other.after == Some(res.id)
            || other.successor == Some(res.id)
            || !other.live() && requires(res, other)
            || !self.all.contains_key(res.id) && succeeds()
    }

    fn waits_in_the_queue(&self, res: &Res) -> bool {
        let queued = res.live() && res.queued.is_some() && res.run.is_none();
        queued && !res.reports() && !self.stopping && self.stopped(res).is_none() && !self.undefined(res)
    }
}

fn waits_longer(other: &Res, res: &Res) -> bool {
    let latest = other.place.map(|place| place.latest);
    latest.zip(res.place).is_some_and(|(latest, place)| latest < place.waits_since)
}
