//! What a run waits for while nothing of it ends: work that takes its time, or what holds the next of what is queued.

use super::wait::{Wait, wait_of};
use crate::cli::limits::{STANDSTILL, STANDSTILL_ASKED, STANDSTILL_NAMES};
use crate::cli::output::time;
use crate::cli::verbs::why;
use crate::core::{EnvironmentState, ResourceView};
use crate::scheduler::{Scheduler, SchedulerError};
use std::time::Instant;

/// How long it has lasted, and what was found.
#[derive(Default)]
pub(super) struct Standstill {
    done: u64,
    since: Option<Instant>,
    asked: Option<Instant>,
    found: Option<String>,
}

impl Standstill {
    /// What is waited for, where nothing has ended for a while since these were done.
    pub(super) async fn told(&mut self, scheduler: &Scheduler, done: u64) -> Result<Option<&str>, SchedulerError> {
        if self.done != done {
            *self = Self { done, ..Self::default() };
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > STANDSTILL && self.asked.is_none_or(|asked| asked.elapsed() > STANDSTILL) {
            self.asked = Some(Instant::now());
            self.found = scheduler.read(words).await?;
        }
        Ok(self.found.as_deref())
    }
}

/// A few words on it. Costs what executors have, and a bounded number of what is queued.
fn words(state: &EnvironmentState) -> Option<String> {
    let running = state.views_running().filter_map(|view| {
        let run = view.running.as_ref().filter(|run| run.begun)?;
        Some((run.attempt, view.row.intent.name.clone()))
    });
    let mut running: Vec<_> = running.collect();
    running.sort_unstable();
    if !running.is_empty() {
        let names: Vec<&str> = running.iter().take(STANDSTILL_NAMES).map(|(_, name)| &**name).collect();
        let more = running.len() - names.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        return Some(format!("running: {}{more}", names.join(", ")));
    }
    let held =
        |view: ResourceView| Some((view.row.intent.name.clone(), state.why(view.row.resource).into_iter().next()?));
    let held: Vec<_> = state.views_under_way().take(STANDSTILL_ASKED).filter_map(held).collect();
    // What waits for others says less than what these wait for.
    let root = held.iter().find(|(_, hold)| wait_of(hold) != Wait::OnOthers);
    let (name, hold) = root.or_else(|| held.first())?;
    Some(format!("{name} waits: {}", why::told(hold, time::now())))
}
