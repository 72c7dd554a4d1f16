//! The loop: takes events and calls in, steps, and hands a batch to the writer whenever the writer is free.

use super::batch::Pending;
use super::writer::{Writer, Wrote};
use super::{Call, now};
use crate::core::{Effects, EnvironmentState, Event, limits, step};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long the loop sleeps when no timer is armed; events wake it at once.
const IDLE: Duration = Duration::from_hours(1);
/// Records that may gather before the loop takes nothing more in until the writer is free.
const PENDING: usize = 16_384;

pub(super) struct Loop {
    state: EnvironmentState,
    pending: Pending,
    events: mpsc::Receiver<Vec<Event>>,
    calls: mpsc::Receiver<Call>,
    writer: Writer,
    writing: bool,
    number: u64,
    stop: Option<oneshot::Sender<()>>,
}

impl Loop {
    pub(super) fn new(
        state: EnvironmentState,
        effects: Effects,
        events: mpsc::Receiver<Vec<Event>>,
        calls: mpsc::Receiver<Call>,
        writer: Writer,
    ) -> Self {
        Self { state, pending: Pending::from(effects), events, calls, writer, writing: false, number: 0, stop: None }
    }

    /// Runs until it is stopped or fenced; returns why.
    pub(super) async fn run(mut self) -> String {
        loop {
            self.hand_over();
            if self.stop.is_some() && !self.writing {
                return self.end().await;
            }
            let open = self.pending.size() < PENDING && self.stop.is_none();
            let until_due = self.until_due();
            tokio::select! {
                wrote = self.writer.wrote() => match wrote {
                    Wrote::Committed => self.writing = false,
                    Wrote::Ended(reason) => return reason,
                },
                Some(call) = self.calls.recv(), if open => self.take_call(call),
                events = self.events.recv(), if open => match events {
                    Some(events) => self.take_events(events),
                    None => return "its handle was dropped".to_owned(),
                },
                () = tokio::time::sleep(until_due), if open => self.tick(),
            }
        }
    }

    /// Gives the writer everything that has gathered, if it is free.
    fn hand_over(&mut self) {
        if self.writing || self.pending.is_empty() {
            return;
        }
        let closed = self.pending.close(&self.state, self.number + 1);
        if closed.writes() {
            self.number += 1;
        }
        self.writing = true;
        self.writer.write(closed);
    }

    /// Steps a batch of events and whatever else has arrived meanwhile, up to the share of one commit.
    fn take_events(&mut self, events: Vec<Event>) {
        let mut taken = events.len();
        self.step_all(events);
        while taken < limits::EVENTS_PER_COMMIT {
            let Ok(events) = self.events.try_recv() else { return };
            taken += events.len();
            self.step_all(events);
        }
    }

    fn step_all(&mut self, events: Vec<Event>) {
        let now = now();
        for event in events {
            step(&mut self.state, event, now, self.pending.effects());
        }
    }

    fn tick(&mut self) {
        step(&mut self.state, Event::Tick, now(), self.pending.effects());
    }

    fn take_call(&mut self, call: Call) {
        match call {
            Call::Read(read) => read(&self.state),
            Call::Event(event, reply) => {
                let mut effects = Effects::default();
                step(&mut self.state, *event, now(), &mut effects);
                self.pending.add_call(effects, reply);
            }
            Call::Stop(reply) => {
                step(&mut self.state, Event::Stop, now(), self.pending.effects());
                self.stop = Some(reply);
            }
        }
    }

    fn until_due(&self) -> Duration {
        self.state.next_due().map_or(IDLE, |due| Duration::from_millis(due.ms_since(now())).min(IDLE))
    }

    async fn end(mut self) -> String {
        self.writer.release().await;
        if let Some(reply) = self.stop.take() {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
        "it was stopped".to_owned()
    }
}
