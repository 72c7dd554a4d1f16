//! What a run waits for while nothing of it ends: work that takes its time, or what holds the next of what is queued.

use super::wait::{Wait, wait_of};
use crate::cli::limits::{STANDSTILL, STANDSTILL_ASKED, STANDSTILL_NAMES};
use crate::cli::output::time;
use crate::cli::verbs::why;
use crate::core::{EnvironmentState, ResourceView};
use std::time::Instant;

/// How long it has lasted, and what was found.
#[derive(Default)]
pub(super) struct Standstill {
    progress: u64,
    since: Option<Instant>,
    asked: Option<Instant>,
    /// What is waited for.
    pub(super) found: Option<String>,
}

impl Standstill {
    /// Whether it is to be asked for, since this has been the same for a while. What was found before something ended is forgotten.
    pub(super) fn is_due(&mut self, progress: u64) -> bool {
        if self.progress != progress {
            *self = Self { progress, ..Self::default() };
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = since.elapsed() > STANDSTILL && self.asked.is_none_or(|asked| asked.elapsed() > STANDSTILL);
        if due {
            self.asked = Some(Instant::now());
        }
        due
    }
}

/// A few words on what is waited for, of what is meant. Costs what executors have, and a bounded number of what is queued and meant.
pub(super) fn words(state: &EnvironmentState, meant: impl Fn(&ResourceView) -> bool) -> Option<String> {
    let running = state.views_running().filter(&meant).filter_map(|view| {
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
    let held: Vec<_> = state.views_under_way().filter(&meant).take(STANDSTILL_ASKED).filter_map(held).collect();
    // What waits for others says less than what these wait for.
    let root = held.iter().find(|(_, hold)| wait_of(hold) != Wait::OnOthers);
    let (name, hold) = root.or_else(|| held.first())?;
    Some(format!("{name} waits: {}", why::told(hold, time::now())))
}
