//! The end of each trace: faults stop, everything comes to rest, and all is good or says why not.

use super::super::super::{Effects, Event, OnChange, RequestKind, Scope, Settings, step};
use super::fleet::End;
use super::model::Res;
use super::world::{Action, World};

impl World {
    /// Faults stop: everything is there again and succeeds. "convergence within a bound", and then "another step yields no effect" (X2, X3, I1).
    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.trace.push("-- faults stop".into());
        let settings = Settings { suspend: false, on_change: OnChange::Automatic, ..self.model.settings.clone() };
        if self.model.stopping {
            self.act(&Action::Restart { unsent: false })?;
        }
        self.act(&Action::Settings(settings))?;
        self.act(&Action::Request(RequestKind::ApproveRemovals, Scope::default()))?;
        for target in self.model.suspended.keys().cloned().collect::<Vec<_>>() {
            self.act(&Action::Request(RequestKind::Resume, Scope { target, names: None }))?;
        }
        for n in 0..4 {
            self.act(&Action::Target(super::generator::target(n, false)))?;
            self.act(&Action::Connect(n, 8))?;
        }
        for _ in 0..400 {
            for n in 0..4 {
                self.act(&Action::Answer(n))?;
                while self.fleet[n].held.iter().any(|held| !held.begun) {
                    self.act(&Action::Begin(n, 0))?;
                }
                while self.fleet[n].held.iter().any(|held| held.begun) {
                    self.act(&Action::Finish(n, 0, End::Same))?;
                }
            }
            if self.model.open().is_empty() && self.unsent.is_empty() {
                let now = self.model.now;
                let comes = |res: &&Res| {
                    let overdue = res.due.is_some_and(|due| due <= now);
                    (res.failures > 0 || res.cancelled || overdue) && res.queued.is_none()
                };
                match self.model.all.values().filter(comes).filter_map(|res| res.due).min() {
                    Some(due) => self.act(&Action::Wait(due.ms_since(self.model.now).max(1)))?,
                    None => return self.rest(),
                }
            }
        }
        Err("it does not come to rest".into())
    }

    fn rest(&mut self) -> Result<(), String> {
        for res in self.model.all.values() {
            let undefined = self.model.undefined(res);
            // It waits for the delete of what was there, and that for what lives and requires it, as `why` says.
            let held = |other: &&Res| !other.good() || other.queued.is_some();
            let waits = res.after.is_some() || (res.queued.is_some() && self.model.requirements(res).iter().any(held));
            let left = res.observed.differs()
                || (res.skipped && self.model.requirements(res).iter().any(|other| !other.good()));
            let fine = if res.live() {
                res.good() || undefined || left || waits
            } else {
                res.protected()
                    || !self.model.dependents(res.id, false).is_empty()
                    || self.model.successor(res).is_some()
            };
            if !fine {
                return Err(format!("{} does not converge: {res:?}", res.intent.name));
            }
        }
        // A delete that is never to be, because what was removed is protected, is not over.
        let stays = |res: &Res| !res.live() && (res.protected() || self.model.successor(res).is_some());
        let protected = self.model.all.values().any(stays);
        if !protected && !self.state.quiet() {
            return Err("nothing is left to do, and core is not quiet".into());
        }
        let mut effects = Effects::default();
        step(&mut self.state, Event::Tick, self.model.now, &mut effects);
        let still = effects.records.is_empty() && effects.rows.is_empty() && effects.messages.is_empty();
        if still { Ok(()) } else { Err(format!("at rest, another step yields {effects:?}")) }
    }
}
