//! The loop: takes events and calls in, steps, and hands a batch to the writer whenever the writer is free.

use super::heart::Heart;
use super::writer::{Caller, Writer, Wrote};
use super::{Call, Edge, now};
use crate::core::{Effects, EnvironmentState, Event, Message, Name, limits};
use crate::scheduler::limits::LOOP_IDLE;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub(super) struct Loop {
    heart: Heart<Caller>,
    events: mpsc::Receiver<Vec<Event>>,
    calls: mpsc::Receiver<Call>,
    writer: Writer,
    environment: Name,
    edge: Arc<dyn Edge>,
    stop: Option<oneshot::Sender<()>>,
}

impl Loop {
    pub(super) fn new(
        state: EnvironmentState,
        effects: Effects,
        events: mpsc::Receiver<Vec<Event>>,
        calls: mpsc::Receiver<Call>,
        writer: Writer,
        (environment, edge): (Name, Arc<dyn Edge>),
    ) -> Self {
        Self { heart: Heart::new(state, effects), events, calls, writer, environment, edge, stop: None }
    }

    /// Runs until it is stopped or fenced; returns why.
    pub(super) async fn run(mut self) -> String {
        loop {
            if let Some(closed) = self.heart.hand_over() {
                self.writer.write(closed);
                // The writer begins before this thread goes on with what else has come.
                tokio::task::yield_now().await;
            }
            if self.stop.is_some() && !self.heart.is_writing() {
                return self.end().await;
            }
            let open = self.heart.has_room() && self.stop.is_none();
            let until_due = self.until_due();
            tokio::select! {
                wrote = self.writer.wrote() => match wrote {
                    Wrote::Committed(to_executors) => self.send(to_executors),
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

    /// What a commit lets out to executors goes from here, because only here is it known what of it still stands.
    fn send(&mut self, to_executors: Vec<Message>) {
        self.heart.wrote();
        let messages = self.heart.still_stands(to_executors);
        if !messages.is_empty() {
            self.edge.deliver(&self.environment, messages);
        }
    }

    /// Steps a batch of events and whatever else has arrived meanwhile, up to the share of one commit.
    fn take_events(&mut self, events: Vec<Event>) {
        let mut taken = events.len();
        self.heart.take(events, now());
        while taken < limits::EVENTS_PER_COMMIT {
            let Ok(events) = self.events.try_recv() else { return };
            taken += events.len();
            self.heart.take(events, now());
        }
    }

    fn tick(&mut self) {
        self.heart.take(vec![Event::Tick], now());
    }

    fn take_call(&mut self, call: Call) {
        match call {
            Call::Read(read) => read(self.heart.state()),
            Call::Event(event, reply) => self.heart.call(*event, reply, now()),
            Call::Stop(reply) => {
                self.heart.take(vec![Event::Stop], now());
                self.stop = Some(reply);
            }
        }
    }

    fn until_due(&self) -> Duration {
        self.heart.due_in_ms(now()).map_or(LOOP_IDLE, |ms| Duration::from_millis(ms).min(LOOP_IDLE))
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
