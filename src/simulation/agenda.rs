//! What is going to happen, and when: the virtual clock's queue. What is due at the same time happens in the order in which it was planned.

use super::executor::{Phase, Said};
use super::owner::OwnerId;
use super::stream::{FromExecutor, FromOwner, StreamId};
use crate::core::{AttemptId, Event, ExecutorName, TargetName};
use crate::history::{Batch, Fence, HistoryError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Happening {
    /// A process tries to own the environment.
    Start,
    /// The owner's timer.
    Wake(OwnerId),
    /// The owner renews its lease.
    Renew(OwnerId),
    /// A batch arrives at history. It does so also when its sender is dead by now.
    Commit(OwnerId, Fence, Arc<Batch>),
    /// History's answer arrives at the owner.
    Answer(OwnerId, Result<(), HistoryError>),
    /// The owner's surroundings tell it what is configured.
    Told(OwnerId, Event),
    /// An owner that was told what is configured as it was earlier learns how it is now.
    CatchUp(OwnerId),
    /// A user's call arrives at the owner.
    Call(OwnerId, u64),
    /// A frozen owner goes on.
    ThawOwner(OwnerId),
    /// It is taken out of service.
    EndOwner(OwnerId),
    /// The owner believes an executor lost, if it has not been heard since then.
    LossDue(OwnerId, ExecutorName, u64),
    /// It is known for certain that the executor's process has ended.
    Ended(ExecutorName),
    /// A new executor process starts.
    Launch,
    /// An executor tries to reach the owner.
    Dial(ExecutorName),
    /// An executor's lease may be over.
    LeaseOver(ExecutorName, u64),
    /// An attempt goes on.
    Attempt(ExecutorName, AttemptId, Phase),
    /// A frozen executor goes on.
    ThawExecutor(ExecutorName),
    /// A message arrives.
    ToOwner(StreamId, FromExecutor),
    ToExecutor(StreamId, FromOwner),
    /// One end of a stream notices that it is broken.
    BrokenAtOwner(StreamId),
    BrokenAtExecutor(StreamId),
    /// A fact that an executor has said before is heard again.
    Copy(ExecutorName, Said),
    /// A user resumes what was suspended.
    Lift(Option<TargetName>),
    /// A user changes the settings and takes a target away.
    Take(TargetName),
    /// The next edit of a long storm, and how many follow.
    Edit(usize, u64),
    /// Users or faults do something.
    Act,
}

#[derive(Debug, Default)]
pub(super) struct Agenda {
    planned: BTreeMap<(u64, u64), Happening>,
    last: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: u64, happening: Happening) {
        self.last += 1;
        self.planned.insert((at, self.last), happening);
    }

    /// The next thing that happens, not later than `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<(u64, Happening)> {
        let first = self.planned.first_entry().filter(|first| first.key().0 <= until)?;
        let ((at, _), happening) = first.remove_entry();
        Some((at, happening))
    }
}
