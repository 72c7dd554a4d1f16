//! The heart of a scheduler, without a clock and without waiting: events in, steps, one batch at a time out, and what follows when it is
//! committed. The loop (`run.rs`) beats it on tokio, the simulator on a virtual clock; both obey the same rules because they are here.
//!
//! Deliberately absent: channels, sleeping, the store. Who drives a heart commits what [`Heart::hand_over`] gave, says [`Heart::wrote`], and only
//! then lets [`Closed::leave`] go out, and to executors no more of it than [`Heart::still_stands`].

use super::batch::{Closed, Pending, answers};
use crate::core::{Effects, EnvironmentState, Event, Message, RequestId, Timestamp, step};
use crate::scheduler::limits::{PENDING_MESSAGES, PENDING_RECORDS};
use std::collections::BTreeMap;

/// The state of one environment and what is not committed of it. `C` is whoever waits for an answer.
pub(crate) struct Heart<C> {
    state: EnvironmentState,
    pending: Pending<C>,
    /// Callers of requests that are still being taken in.
    unanswered: BTreeMap<RequestId, C>,
    writing: bool,
    number: u64,
}

impl<C> Heart<C> {
    /// What `restore` gave.
    pub(crate) fn new(state: EnvironmentState, effects: Effects) -> Self {
        Self { state, pending: Pending::from(effects), unanswered: BTreeMap::new(), writing: false, number: 0 }
    }

    /// The state as the last step left it. What is seen may not be committed yet.
    pub(crate) fn state(&self) -> &EnvironmentState {
        &self.state
    }

    /// What was stepped since the last batch was handed over.
    pub(crate) fn gathered(&self) -> &Effects {
        self.pending.gathered()
    }

    /// Steps events in order.
    pub(crate) fn take(&mut self, events: Vec<Event>, now: Timestamp) {
        for event in events {
            let before = self.pending.effects().messages.len();
            step(&mut self.state, event, now, self.pending.effects());
            if !self.unanswered.is_empty() {
                let said = self.pending.gathered().messages.get(before..).unwrap_or_default().to_vec();
                self.answer(&said);
            }
        }
        self.pending.tidy();
    }

    /// Steps an event whose answer is for `caller`, after the commit. What many steps take in is answered after the last of them.
    pub(crate) fn call(&mut self, event: Event, caller: C, now: Timestamp) {
        let asks = matches!(event, Event::Request(_));
        let mut effects = Effects::default();
        step(&mut self.state, event, now, &mut effects);
        match self.answer(&effects.messages) {
            None if asks => drop(self.unanswered.insert(self.state.last_request(), caller)),
            message => self.pending.reply(caller, message),
        }
        self.pending.add(effects);
        self.pending.tidy();
    }

    /// Answers callers that have waited; what else is an answer.
    fn answer(&mut self, messages: &[Message]) -> Option<Message> {
        let mut other = None;
        for message in messages.iter().filter(|message| answers(message)) {
            let waited = match message {
                Message::RequestAccepted(id, _) => self.unanswered.remove(id),
                _ => None,
            };
            match waited {
                Some(caller) => self.pending.reply(caller, Some(message.clone())),
                None => other = Some(message.clone()),
            }
        }
        other
    }

    /// Whether more may be taken in before the batch under way is committed.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.size() < PENDING_RECORDS && self.pending.messages() < PENDING_MESSAGES
    }

    /// Whether a batch is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing
    }

    /// Everything that has gathered, as one batch; `None` while another is under way, or where there is nothing.
    pub(crate) fn hand_over(&mut self) -> Option<Closed<C>> {
        if self.writing || self.pending.is_empty() {
            return None;
        }
        let closed = self.pending.close(&self.state, self.number + 1);
        if closed.writes() {
            self.number += 1;
        }
        self.writing = true;
        Some(closed)
    }

    /// The batch under way is committed.
    pub(crate) fn wrote(&mut self) {
        self.writing = false;
    }

    /// Of what a committed batch has for executors, what still stands. While history was away an executor may have been lost and come back: what
    /// was closed as lost meanwhile has perhaps been granted to another one, and must not begin here too.
    pub(crate) fn still_stands(&self, mut messages: Vec<Message>) -> Vec<Message> {
        messages.retain(|message| match message {
            Message::Grant(_, _, grant) => self.state.is_open(grant.attempt),
            _ => true,
        });
        messages
    }

    /// Milliseconds until a timer is due; `None` where none is armed.
    pub(crate) fn due_in_ms(&self, now: Timestamp) -> Option<u64> {
        self.state.next_due().map(|due| due.ms_since(now))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{
        AttemptId, Epoch, Intent, IntentParts, Outcome, OutcomeKind, Push, PushMode, Request, RequestKind, Scope,
        SessionNumber, Target, Windows,
    };
    use crate::scheduler::limits::PENDING_CHANGES;
    use std::sync::Arc;

    fn target() -> Event {
        Event::TargetChanged(Target {
            name: "here".into(),
            pool: "pool".into(),
            connection: r#"{"type":"local"}"#.into(),
            concurrency: 1,
            suspend: false,
            windows: Windows::default(),
            rate_limit: None,
        })
    }

    fn hello(executor: &str) -> Event {
        Event::ExecutorConnected {
            executor: executor.into(),
            pool: "pool".into(),
            session: SessionNumber(1),
            credits: 9,
            holds: Vec::new(),
        }
    }

    fn intent(name: &str) -> Arc<Intent> {
        Arc::new(Intent::new(IntentParts {
            name: name.into(),
            kind: "test.Nothing".into(),
            target: "here".into(),
            identity: name.into(),
            attributes: "{}".into(),
            ..IntentParts::default()
        }))
    }

    fn push() -> Push {
        Push {
            set: "default".into(),
            upserts: vec![intent("a")],
            removals: Vec::new(),
            prune: false,
            approved: false,
            base: None,
            mode: PushMode::Whole,
            author: "me".into(),
            source: "manifests".into(),
            message: "".into(),
        }
    }

    fn granted_to(messages: &[Message]) -> Vec<&str> {
        let to = messages.iter().filter_map(|message| match message {
            Message::Grant(executor, ..) => Some(&**executor),
            _ => None,
        });
        to.collect()
    }

    #[test]
    fn what_gathers_while_history_is_away_is_bounded_also_where_it_changes_nothing() {
        let mut heart: Heart<()> =
            Heart::new(EnvironmentState::new("env".into(), Epoch(1), Timestamp(0)), Effects::default());
        heart.take(vec![target(), hello("one"), Event::Push(push())], Timestamp(0));
        let under_way = heart.hand_over().unwrap();
        // Somebody answers what nobody asked for; each answer is acknowledged.
        let stray = |number| {
            let kind = OutcomeKind::Lost;
            let outcome =
                Outcome { attempt: AttemptId(number), began_at: None, finished_at: Timestamp(0), kind, log: None };
            Event::Finished("one".into(), outcome)
        };
        let mut strays = 0;
        while heart.has_room() {
            strays += 1;
            heart.take(vec![stray(1_000 + strays)], Timestamp(0));
        }
        assert_eq!(strays, PENDING_MESSAGES as u64);
        heart.wrote();
        drop(under_way);
        heart.hand_over().unwrap();
        assert!(heart.has_room());
        // It comes and goes, and all that waits for it changes each time.
        let Event::TargetChanged(here) = target() else { unreachable!() };
        let many = (0..64).map(|number| intent(&format!("b{number}"))).collect();
        let held = Event::TargetChanged(Target { suspend: true, ..here });
        heart.take(vec![held, Event::Push(Push { upserts: many, ..push() })], Timestamp(0));
        for _ in 0..=PENDING_CHANGES / 64 {
            heart.take(vec![Event::ExecutorDisconnected("one".into()), hello("one")], Timestamp(0));
        }
        let changed = heart.gathered().changed.len();
        assert!((64..=PENDING_CHANGES).contains(&changed), "{changed}");
    }

    #[test]
    fn a_grant_that_was_lost_before_it_was_committed_is_not_sent() {
        let mut heart: Heart<()> =
            Heart::new(EnvironmentState::new("env".into(), Epoch(1), Timestamp(0)), Effects::default());
        heart.take(vec![target(), hello("one"), Event::Push(push())], Timestamp(0));
        // History is away for long.
        let first = heart.hand_over().unwrap();
        heart.take(vec![Event::ExecutorLost("one".into()), hello("two"), hello("one")], Timestamp(60_000));
        heart.wrote();
        let messages = first.leave().to_executors;
        assert_eq!(granted_to(&messages), ["one"]);
        assert_eq!(granted_to(&heart.still_stands(messages)), [""; 0]);
        let second = heart.hand_over().unwrap();
        heart.wrote();
        assert_eq!(granted_to(&heart.still_stands(second.leave().to_executors)), ["two"]);
    }

    fn repair() -> Event {
        let (author, message) = ("me".into(), "".into());
        Event::Request(Request { kind: RequestKind::Repair, digest: None, scope: Scope::default(), author, message })
    }

    #[test]
    fn who_asks_for_more_than_one_step_takes_in_is_answered_after_the_last_one() {
        let mut heart: Heart<&str> =
            Heart::new(EnvironmentState::new("env".into(), Epoch(1), Timestamp(0)), Effects::default());
        let push_of =
            |names: &[&str]| Event::Push(Push { upserts: names.iter().map(|name| intent(name)).collect(), ..push() });
        heart.take(vec![target(), push_of(&["a", "b", "c"])], Timestamp(0));
        heart.hand_over().unwrap();
        heart.wrote();
        heart.state.set_share(1);
        heart.call(repair(), "asks", Timestamp(0));
        heart.call(push_of(&["d"]), "pushes", Timestamp(0));
        while heart.due_in_ms(Timestamp(0)) == Some(0) {
            heart.take(vec![Event::Tick], Timestamp(0));
        }
        let replies = heart.hand_over().unwrap().leave().replies;
        let told: Vec<_> = replies.iter().map(|reply| (reply.to, format!("{:?}", reply.message))).collect();
        let accepted = "Some(Accepted(VersionNumber(2), []))";
        let covered = "Some(RequestAccepted(RequestId(1), 3))";
        assert_eq!(told, [("pushes", accepted.to_owned()), ("asks", covered.to_owned())]);
    }
}
