//! Waiting for what a command asked for, in a process that has other things to do too.
//!
//! A command that owns the environment waits until nothing is left at all. Here verifications of what is as declared come and go for ever; so the wait
//! is for the command's requests, and for what is not as declared, until that is, has failed, or is held by something that nobody here lifts.

use super::Answer;
use crate::cli::CliError;
use crate::cli::embedded::standstill::{self, Standstill};
use crate::cli::embedded::wait::{IDLE, Tally, glance_pause, held_among};
use crate::cli::limits::PROGRESS_INTERVAL;
use crate::cli::verbs::HeldDocument;
use crate::core::{EnvironmentState, Event, RequestId, ResourceId, ResourceView};
use crate::scheduler::Scheduler;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc};

/// One look at the state.
struct Look {
    /// Of what is waited for.
    left: u64,
    done: bool,
    /// What is left, where nothing of it goes on by itself.
    held: Option<Vec<HeldDocument>>,
    suspended: bool,
    /// How long it took, without the wait for the scheduler.
    took: Duration,
}

/// Waits, and tells how far it is; ends early where nobody listens any more.
pub(super) async fn attend(
    scheduler: &Scheduler,
    requests: Vec<RequestId>,
    answers: &mpsc::Sender<Answer>,
) -> Result<Answer, CliError> {
    let mut commits = scheduler.subscribe();
    let (began, mut told) = (Instant::now(), Instant::now());
    let mut tally = Tally::default();
    let mut held_since: Option<Instant> = None;
    let mut standstill = Standstill::default();
    let held = loop {
        let asked = requests.clone();
        let look = scheduler.read(move |state| look(state, &asked)).await?;
        if look.done || answers.is_closed() {
            break Vec::new();
        }
        if let Some(held) = look.held {
            let since = *held_since.get_or_insert_with(Instant::now);
            if look.suspended || since.elapsed() > IDLE {
                break held;
            }
        } else {
            held_since = None;
        }
        if told.elapsed() > PROGRESS_INTERVAL {
            told = Instant::now();
            if standstill.is_due(look.left) {
                let requests = requests.clone();
                let words = move |state: &EnvironmentState| {
                    let asked = covered(state, &requests);
                    standstill::words(state, |view| is_awaited(view, &asked))
                };
                standstill.found = scheduler.read(words).await?;
            }
            let waits_for = standstill.found.clone();
            let progress = Answer::Progress { done: tally.done, left: look.left, failed: tally.failed, waits_for };
            // Whoever is slow to listen misses some of it.
            let _ = answers.try_send(progress);
        }
        pause(&mut commits, glance_pause(began.elapsed(), look.took), &mut tally, answers).await;
    };
    // What was seen may not be committed yet; an event is answered when everything before it is.
    scheduler.send(Event::Tick).await?;
    let read = |state: &EnvironmentState| (state.version(), state.counts(), state.suspensions().cloned().collect());
    let (version, counts, suspensions) = scheduler.read(read).await?;
    Ok(Answer::Finished { version, counts, held, suspensions })
}

/// What these requests cover.
fn covered(state: &EnvironmentState, requests: &[RequestId]) -> BTreeSet<ResourceId> {
    requests.iter().filter_map(|id| state.asked_by(*id)).flatten().collect()
}

/// Under way, and not only a verification of what is as declared that nobody here asked for.
fn is_awaited(view: &ResourceView, asked: &BTreeSet<ResourceId>) -> bool {
    let under_way = view.queued.is_some() || view.running.is_some();
    under_way && (!view.good || asked.contains(&view.row.resource))
}

fn look(state: &EnvironmentState, requests: &[RequestId]) -> Look {
    let looked = Instant::now();
    let asked = covered(state, requests);
    let awaited = |view: &ResourceView| is_awaited(view, &asked);
    let (mut left, mut running) = (0, false);
    for view in state.views_under_way().filter(awaited) {
        left += 1;
        running |= view.running.is_some();
    }
    let held = if running { None } else { held_among(state, |view| view.queued.is_some() && awaited(view)) };
    Look {
        left,
        done: (left == 0 && asked.is_empty()) || state.quiet(),
        held: held.filter(|held| !held.is_empty()),
        suspended: state.is_suspended(),
        took: looked.elapsed(),
    }
}

/// Takes in what is committed for so long, or until nobody listens any more.
async fn pause(
    commits: &mut broadcast::Receiver<std::sync::Arc<crate::scheduler::Committed>>,
    interval: Duration,
    tally: &mut Tally,
    answers: &mpsc::Sender<Answer>,
) {
    let end = tokio::time::Instant::now() + interval;
    loop {
        tokio::select! {
            committed = commits.recv() => match committed {
                Ok(committed) => tally.add(&committed),
                // Only the display lags.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return tokio::time::sleep_until(end).await,
            },
            () = tokio::time::sleep_until(end) => return,
            () = answers.closed() => return,
        }
    }
}
