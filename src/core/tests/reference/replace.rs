//! P7: a name becomes another thing. "`CreateFirst`: the new thing is made; the old one is deleted when the new one is good"; `Never` is refused.
//!
//! Whether the old one goes first after all, where the new one would wait for what only the old one keeps, is taken from `core` if the new one
//! requires anything. Deliberately absent: replacing by approval, which holds an intent back (`mod.rs`).

use super::super::super::{EnvironmentState, Intent, Replace, ResourceId};
use super::model::{Model, Res, thing};

impl Model {
    /// "Such an intent is refused", unless the name is removed in the same push. Where nothing was made, a name becomes nothing else.
    pub(super) fn never_replaces(&self, intent: &Intent, removed: bool) -> bool {
        let made = |res: &Res| res.touched || res.attempted.is_some() || res.run.is_some();
        let becomes_another = || {
            let old = self.live_named(&intent.name).filter(|_| self.accepted(&intent.name).is_some());
            old.is_some_and(|res| made(res) && res.thing() != thing(intent))
        };
        intent.policy.replace == Replace::Never && !removed && becomes_another()
    }

    /// Not good yet: what the tombstone stays for.
    pub(super) fn successor(&self, res: &Res) -> Option<&Res> {
        let successor = self.all.get(res.successor?).filter(|_| !res.live())?;
        (successor.live() && !successor.good()).then_some(successor)
    }

    /// A new thing under the name of an old one: one of the two comes first.
    pub(super) fn replace(&mut self, old: ResourceId, new: ResourceId, state: &EnvironmentState) -> Result<(), String> {
        let after = |id| state.row(id).and_then(|row| row.after);
        let stays = after(old) == Some(new);
        // Neither waits for the other where the new one waits for what requires the end of the old one.
        let waits = after(new).is_some() || !self.all[&new].intent.requires.is_empty();
        let Some(res) = self.all.get_mut(old).filter(|res| !res.live()) else { return Ok(()) };
        res.successor = stays.then_some(new);
        if stays {
            self.met.insert("made first");
        }
        if stays || waits {
            return Ok(());
        }
        Err(format!("{} is replaced, and neither comes first", self.all[&old].intent.name))
    }

    /// How long the old one stays: as long as the new one is wanted and not good. What a push makes of it, is open.
    pub(super) fn take_successors(&mut self, pushed: bool, state: &EnvironmentState) -> Result<(), String> {
        for id in self.ids() {
            let told =
                state.row(id).and_then(|row| row.after).filter(|other| self.all.get(*other).is_some_and(Res::live));
            let res = &self.all[&id];
            let told = told.filter(|_| !res.live());
            let waited_for = state.row(id).is_some()
                && self.all.values().any(|other| {
                    res.successor == Some(other.id)
                        && told.is_none()
                        && state.row(other.id).and_then(|row| row.after) == Some(id)
                });
            let stays = self.successor(res).filter(|successor| {
                let same = successor.intent.name == res.intent.name && successor.thing() != res.thing();
                // What it requires may have come to wait for the old one.
                let alone = successor.intent.requires.is_empty();
                same && alone && successor.after.is_none() && successor.intent.policy.replace == Replace::CreateFirst
            });
            if let Some(successor) = stays.filter(|_| told != res.successor && !pushed) {
                return Err(format!("{} stays no more for {:?}", res.intent.name, successor.id));
            }
            let new = std::mem::replace(&mut self.all.get_mut(id).unwrap().successor, told);
            if let Some(new) = new.filter(|_| waited_for).and_then(|new| self.all.get_mut(new)) {
                new.after = Some(id);
            }
        }
        Ok(())
    }
}
