//! What stops work whatever its neighbours do, and what takes the room that it needs: orders, windows, approvals, rates, how much is in flight.
//!
//! Deliberately absent: the order in which `why` tells of it (`compare.rs`).

use super::super::super::{Name, RateLimit, RequestId, RequestKind, ResourceId, Scope, Target, Timestamp, Window};
use super::model::{Model, Res};

/// "A token bucket: `attempts` at once when it is full, and in the long run so many per period." In shares of which each attempt takes one period.
/// Whether a share comes back with an attempt that never began, and what is in it at first, the documents do not say: it is between two bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: RateLimit,
    low: u64,
    high: u64,
}

impl Bucket {
    fn new(rate: RateLimit) -> Self {
        Self { rate, low: 0, high: u64::from(rate.attempts) * rate.period_ms }
    }

    fn fill(&mut self, ms: u64) {
        let most = u64::from(self.rate.attempts) * self.rate.period_ms;
        let more = ms.saturating_mul(u64::from(self.rate.attempts));
        (self.low, self.high) = (most.min(self.low + more), most.min(self.high + more));
    }
}

impl Model {
    /// Time goes by.
    pub(super) fn flow(&mut self) {
        let ms = self.now.ms_since(self.flowed);
        self.flowed = self.now;
        self.buckets.values_mut().for_each(|bucket| bucket.fill(ms));
    }

    pub(super) fn rate_changes(&mut self, target: &Target) {
        match target.rate_limit {
            Some(rate) if self.buckets.get(&target.name).is_none_or(|bucket| bucket.rate != rate) => {
                self.buckets.insert(target.name.clone(), Bucket::new(rate));
            }
            Some(_) => {}
            None => drop(self.buckets.remove(&target.name)),
        }
    }

    /// "A clock that was set back": what a rate has left is not known.
    pub(super) fn set_back(&mut self, ms: u64) {
        self.now = self.now.before_ms(ms);
        self.flowed = self.now;
        (self.clock_stepped, self.was_set_back) = (true, true);
        self.forget_rates();
    }

    /// How full the buckets are is not in history.
    pub(super) fn forget_rates(&mut self) {
        self.buckets.values_mut().for_each(|bucket| bucket.low = 0);
    }

    /// An attempt that never began may give its share back.
    pub(super) fn share_comes_back(&mut self, target: &str) {
        if let Some(bucket) = self.buckets.get_mut(target) {
            bucket.high += bucket.rate.period_ms;
            bucket.fill(0);
        }
    }

    /// Something starts on the target; `false`: more than its rate allows.
    pub(super) fn take_share(&mut self, target: &str) -> bool {
        let Some(bucket) = self.buckets.get_mut(target) else { return true };
        let cost = bucket.rate.period_ms;
        let fair = bucket.high >= cost;
        (bucket.low, bucket.high) = (bucket.low.saturating_sub(cost), bucket.high.saturating_sub(cost));
        fair
    }

    /// Its rate certainly lets one more start; or certainly lets none.
    pub(super) fn has_share(&self, target: &str) -> bool {
        self.buckets.get(target).is_none_or(|bucket| bucket.low >= bucket.rate.period_ms)
    }

    /// "Attempts that executors may have at once, in the whole environment; dry runs apart."
    pub(super) fn in_flight(&self) -> usize {
        let strays = self.strays.keys().filter(|attempt| !self.dry.contains(attempt));
        self.all.values().filter(|res| res.run.is_some()).count() + strays.count()
    }

    pub(super) fn too_many(&self) -> bool {
        self.settings.max_in_flight.is_some_and(|most| self.in_flight() >= most as usize)
    }

    /// A user's order to suspend, to resume or to approve. The scope's names say nothing to the first two.
    pub(super) fn order(&mut self, id: RequestId, kind: RequestKind, scope: &Scope) {
        match kind {
            RequestKind::Suspend => {
                // "The newest of two orders stands."
                self.done.extend(self.suspended.insert(scope.target.clone(), id));
            }
            RequestKind::Resume => {
                self.done.extend(self.suspended.remove(&scope.target));
                self.done.insert(id);
            }
            RequestKind::ApproveRemovals => {
                for id in self.within(scope) {
                    // What needs none, because nothing of it would be deleted, is not what the user has seen.
                    let res = self.all.get_mut(id).unwrap();
                    res.approved |= res.needs_approval();
                }
                self.done.insert(id);
            }
            RequestKind::Cancel => {
                self.cancel(scope);
                self.done.insert(id);
            }
            _ => {}
        }
    }

    /// The intersection of what the scope gives.
    pub(super) fn within(&self, scope: &Scope) -> Vec<ResourceId> {
        let named = |res: &Res| scope.names.as_ref().is_none_or(|names| names.contains(&res.intent.name));
        let on = |res: &Res| scope.target.as_ref().is_none_or(|target| *target == res.intent.target);
        self.all.values().filter(|res| named(res) && on(res)).map(|res| res.id).collect()
    }

    /// "Not yet begun deletes of more than 10 objects and 10 % of an environment are held together until approved."
    pub(super) fn unapproved(&self) -> usize {
        let waiting = self.all.values().filter(|res| res.needs_approval()).count();
        let all = self.all.values().count();
        if waiting > 10 && waiting * 100 > all * 10 { waiting } else { 0 }
    }

    pub(super) fn awaits_approval(&self, res: &Res) -> bool {
        res.needs_approval() && self.unapproved() > 0
    }

    /// Suspended: in the settings, or by a user, the environment or its target.
    pub(super) fn suspended(&self, res: &Res) -> bool {
        let target = &res.intent.target;
        self.settings.suspend
            || self.suspended.contains_key(&None)
            || self.suspended.contains_key(&Some(target.clone()))
            || self.targets.get(target).is_none_or(|target| target.suspend)
    }

    /// What stops it whatever its neighbours do.
    pub(super) fn stopped(&self, res: &Res) -> Option<&'static str> {
        let all = [
            (!res.live() && res.protected(), "it is protected"),
            (self.awaits_approval(res), "its removal is not approved"),
            (self.suspended(res), "it is suspended"),
            (self.closed(res), "its target is closed to it"),
        ];
        all.into_iter().find(|(applies, _)| *applies).map(|(_, why)| why)
    }

    /// "For whatever is not what last succeeded: changes and their retries, and deletions"; the others for verifications.
    pub(super) fn windows<'a>(&'a self, res: &Res) -> &'a [Window] {
        let Some(target) = self.targets.get(&res.intent.target) else { return &[] };
        if res.is_change() { &target.windows.deploy } else { &target.windows.repair }
    }

    pub(super) fn closed(&self, res: &Res) -> bool {
        let windows = self.windows(res);
        !windows.is_empty() && windows.iter().all(|window| !open(window, self.now))
    }

    /// When it opens again.
    pub(super) fn opens_at(&self, res: &Res) -> Option<Timestamp> {
        self.windows(res).iter().map(|window| opens(window, self.now)).min()
    }

    /// Nobody of its pool is there, or who has its target is away.
    pub(super) fn nobody_there(&self, target: &Target) -> bool {
        let connected = |name: &str| self.executors.iter().any(|(known, it)| &**known == name && it.connected);
        let workers = self.workers(&target.name);
        if workers.is_empty() {
            !self.executors.values().any(|it| it.connected && it.pool == target.pool)
        } else {
            !workers.iter().all(|name| connected(name))
        }
    }
}

impl Res {
    pub(super) fn protected(&self) -> bool {
        self.intent.policy.protected
    }

    /// "Not yet begun deletes", and nobody has seen them.
    fn needs_approval(&self) -> bool {
        !self.live() && !self.approved && !self.protected() && !self.delete_began && !self.leaves_an_orphan()
    }

    /// "An attempt whose hash is not the succeeded one is a *change* and obeys what holds for changes, whatever its reason."
    pub(super) fn is_change(&self) -> bool {
        !self.live() || self.succeeded != Some(self.current)
    }
}

/// The generated windows open at whole multiples of some minutes.
fn every_ms(window: &Window) -> u64 {
    let minutes: u64 = window.start.trim_start_matches("*/").split(' ').next().unwrap().parse().unwrap();
    minutes * 60_000
}

fn open(window: &Window, now: Timestamp) -> bool {
    (now.0 as u64) % every_ms(window) < window.duration_ms
}

fn opens(window: &Window, now: Timestamp) -> Timestamp {
    let every = every_ms(window);
    now.after_ms(every - now.0 as u64 % every)
}

/// Whom a suspension is about.
pub(super) type Suspended = Option<Name>;
