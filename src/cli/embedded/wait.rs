//! Waiting for the end of a run: nothing is queued or running, or all that is left is held by something that a run cannot lift.

use super::Session;
use super::executors::Failure;
use super::standstill::{self, Standstill};
use crate::cli::CliError;
use crate::cli::document::{AttemptDocument, AttemptResult, State};
use crate::cli::embedded::EmbeddedError;
pub(super) use crate::cli::limits::WAIT_IDLE as IDLE;
use crate::cli::limits::{GLANCE_INTERVAL, GLANCE_SHARE, WAIT_PAGE};
use crate::cli::output::{counted, either};
use crate::cli::progress::Progress;
use crate::cli::verbs::HeldDocument;
use crate::core::{
    AttemptId, Counts, EnvironmentState, Event, Hold, Mode, Name, OutcomeKind, Record, ResourceId, ResourceView,
    Suspension, VersionNumber, limits,
};
use crate::history::Store;
use crate::scheduler::Committed;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// How a run ended.
pub(crate) struct Finished {
    /// The environment's name.
    pub(crate) environment: Name,
    /// Its newest version.
    pub(crate) version: VersionNumber,
    /// Whether a signal ended it early.
    pub(crate) interrupted: bool,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// When nothing was left to do.
    pub(crate) ended: Instant,
    /// Resources by state, at its end.
    pub(crate) counts: Counts,
    /// The attempts of the run, newest first.
    pub(crate) attempts: Vec<AttemptDocument>,
    /// What is left and held.
    pub(crate) held: Vec<HeldDocument>,
    /// What differs and is only observed, as its policy says.
    pub(crate) observed: BTreeSet<Name>,
    /// What users have suspended.
    pub(crate) suspensions: Vec<Suspension>,
    /// The process that owns the environment, where it is not this one.
    pub(crate) holder: Option<String>,
}

/// One look at the state, which costs what is under way and not what there is: nothing else goes on meanwhile.
struct Glance {
    queued: u32,
    running: u32,
    /// Of those.
    begun: u32,
    quiet: bool,
    /// Executors have no work, and dry runs are not waited for.
    idle: bool,
    /// Nothing new starts, or nothing but reports: the rest of what is queued need not be waited for.
    suspended: bool,
    /// How long it took, without the wait for the scheduler: a busy one is not looked at less often.
    took: Duration,
}

/// What is known of the run while it goes on.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) failed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, committed: &Committed) {
        for record in &committed.records {
            let Record::Outcome { outcome, .. } = record else { continue };
            self.done += u64::from(!matches!(outcome.kind, OutcomeKind::Revoked | OutcomeKind::Skipped { .. }));
            self.failed += u64::from(matches!(outcome.kind, OutcomeKind::Failed { .. } | OutcomeKind::Lost));
        }
    }
}

/// Waits, showing progress; then reads from history what the run did.
pub(super) async fn until_quiet(session: &mut Session) -> Result<Finished, CliError> {
    let mut commits = session.scheduler.subscribe();
    let mut progress = Progress::new(session.output);
    let ended = watch(session, &mut commits, &mut progress).await;
    progress.finish();
    let (interrupted, held) = ended?;
    // What was seen may not be committed yet; an event is answered when everything before it is.
    session.scheduler.send(Event::Tick).await?;
    let ended = Instant::now();
    let at_end = |state: &EnvironmentState| (state.version(), state.counts(), state.suspensions().cloned().collect());
    let (version, counts, suspensions) = session.scheduler.read(at_end).await?;
    let attempts = attempts_since(&*session.store, &session.environment, session.before).await?;
    let differing = differing(&attempts);
    let observed = session.scheduler.read(move |state| only_observed(state, differing)).await?;
    Ok(Finished {
        environment: session.environment.clone(),
        version,
        interrupted,
        elapsed: ended.duration_since(session.began),
        ended,
        counts,
        attempts,
        held,
        observed,
        suspensions,
        holder: None,
    })
}

/// What was found to differ, and was left.
pub(super) fn differing(attempts: &[AttemptDocument]) -> Vec<Name> {
    let differs = attempts.iter().filter(|attempt| attempt.result == AttemptResult::Differs);
    differs.map(|attempt| attempt.name.clone()).collect()
}

/// What of it no deploy and no repair corrects.
pub(super) fn only_observed(state: &EnvironmentState, names: Vec<Name>) -> BTreeSet<Name> {
    let row = |name: &Name| state.row(state.find(name)?);
    names.into_iter().filter(|name| row(name).is_some_and(|row| row.intent.policy.mode == Mode::Observe)).collect()
}

/// Whether it was interrupted, and what is left and held.
async fn watch(
    session: &mut Session,
    commits: &mut broadcast::Receiver<Arc<Committed>>,
    progress: &mut Progress,
) -> Result<(bool, Vec<HeldDocument>), CliError> {
    let mut tally = Tally::default();
    let mut interrupted = false;
    let mut last_commit = Instant::now();
    let mut standstill = Standstill::default();
    loop {
        let glance = glance(session).await?;
        if standstill.is_due(tally.done) {
            standstill.found = session.scheduler.read(|state| standstill::words(state, |_| true)).await?;
        }
        let waits_for = standstill.found.as_deref();
        progress.show(tally.done, u64::from(glance.queued + glance.running), tally.failed, waits_for);
        if glance.quiet && !interrupted {
            return Ok((false, session.scheduler.read(standing).await?));
        }
        if glance.quiet || (interrupted && glance.running == 0) {
            return Ok((interrupted, Vec::new()));
        }
        if last_commit.elapsed() > IDLE && session.server.is_some_and(has_ended) {
            return Err(EmbeddedError::ServerEnded { log: session.log.clone() }.into());
        }
        if glance.idle && (glance.suspended || last_commit.elapsed() > IDLE) {
            let held = session.scheduler.read(held).await?;
            if let Some(held) = held {
                return Ok((interrupted, held));
            }
        }
        tokio::select! {
            () = session.signals.first(), if !interrupted => {
                interrupted = true;
                progress.note(&stopping(glance.begun, glance.running - glance.begun));
                session.scheduler.send(Event::Stop).await?;
            }
            Failure { pool, message } = session.executors.failed() => return Err(EmbeddedError::Executors { pool, message }.into()),
            () = pause(commits, glance_pause(session.began.elapsed(), glance.took), &mut tally, &mut last_commit) => {}
        }
    }
}

/// What the first Ctrl-C does.
fn stopping(begun: u32, granted: u32) -> String {
    let waits = match begun {
        0 => String::new(),
        begun => format!(": waiting for {}", counted(begun as usize, "running attempt")),
    };
    let back = match granted {
        0 => String::new(),
        granted => format!("; {granted} not yet begun {} taken back", either(granted as usize, "is", "are")),
    };
    format!("stopping{waits}{back} (again: stop at once)")
}

/// Whether a child process of ours has ended; what remains of one that was not waited for is a zombie.
pub(crate) fn has_ended(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// A short run is not made longer by waiting for the next look, a long one not by looking, however long a look takes.
pub(super) fn glance_pause(elapsed: Duration, took: Duration) -> Duration {
    (elapsed / GLANCE_SHARE).clamp(Duration::from_millis(1), GLANCE_INTERVAL).max(took * GLANCE_SHARE)
}

/// Takes in what is committed for so long.
async fn pause(
    commits: &mut broadcast::Receiver<Arc<Committed>>,
    interval: Duration,
    tally: &mut Tally,
    last_commit: &mut Instant,
) {
    let end = tokio::time::Instant::now() + interval;
    loop {
        match tokio::time::timeout_at(end, commits.recv()).await {
            Ok(Ok(committed)) => {
                *last_commit = Instant::now();
                tally.add(&committed);
            }
            // Only the display lags: what the run did is read from history.
            Ok(Err(broadcast::error::RecvError::Lagged(_))) => *last_commit = Instant::now(),
            Ok(Err(broadcast::error::RecvError::Closed)) => return tokio::time::sleep_until(end).await,
            Err(_) => return,
        }
    }
}

async fn glance(session: &Session) -> Result<Glance, CliError> {
    let read = |state: &EnvironmentState| {
        let looked = Instant::now();
        let (queued, running, begun) = (state.queued(), state.running(), state.begun());
        let suspended = state.is_suspended() || state.is_report_only();
        let idle = running == 0 && state.open_dry_runs() == 0;
        Glance { queued, running, begun, quiet: state.quiet(), idle, suspended, took: looked.elapsed() }
    };
    Ok(session.scheduler.read(read).await?)
}

/// What something can do about waiting.
#[derive(PartialEq, Eq)]
pub(super) enum Wait {
    /// It goes on by itself.
    Passing,
    /// It goes on when another resource does.
    OnOthers,
    /// Nobody in this run lifts it.
    Lasting,
}

pub(super) const fn wait_of(hold: &Hold) -> Wait {
    match hold {
        Hold::Protected
        | Hold::RemovalApproval { .. }
        | Hold::EnvironmentSuspended
        | Hold::Suspended(_)
        | Hold::TargetSuspended { .. }
        | Hold::TargetMissing { .. }
        | Hold::OutsideWindow { .. }
        | Hold::RequirementMissing { .. }
        | Hold::RequirementUnreleased { .. }
        | Hold::ReportOnly
        | Hold::Stopping => Wait::Lasting,
        Hold::RequirementUndefined { .. }
        | Hold::FactUnknown { .. }
        | Hold::RequirementBusy { .. }
        | Hold::RequirementNotGood { .. }
        | Hold::TombstoneFirst { .. }
        | Hold::SuccessorFirst { .. }
        | Hold::RequiredBy { .. } => Wait::OnOthers,
        Hold::Good { .. }
        | Hold::Release { .. }
        | Hold::FactRelease { .. }
        | Hold::ReplaceApproval { .. }
        | Hold::Running(_)
        | Hold::ForgottenRuns
        | Hold::DependentsYielding
        | Hold::InFlight { .. }
        | Hold::Rate { .. }
        | Hold::ExecutorUnavailable { .. }
        | Hold::Concurrency { .. }
        | Hold::RetryAt { .. }
        | Hold::Cancelled { .. }
        | Hold::Drifted => Wait::Passing,
    }
}

/// What is left, where nothing of it goes on by itself; `None` where something does.
fn held(state: &EnvironmentState) -> Option<Vec<HeldDocument>> {
    // Since the last glance an executor may have come and taken all there is.
    if state.running() > 0 || state.open_dry_runs() > 0 {
        return None;
    }
    held_among(state, |view| view.queued.is_some())
}

/// The same of those resources that are meant.
pub(super) fn held_among(state: &EnvironmentState, meant: impl Fn(&ResourceView) -> bool) -> Option<Vec<HeldDocument>> {
    let mut held = Vec::new();
    let mut ids: Vec<ResourceId> = state.views_under_way().filter(meant).map(|view| view.row.resource).collect();
    ids.sort_unstable();
    for view in ids.into_iter().filter_map(|id| state.view(id)) {
        let holds = state.why(view.row.resource);
        let lasting = holds.iter().find(|hold| wait_of(hold) == Wait::Lasting);
        let hold = lasting.or_else(|| holds.iter().find(|hold| wait_of(hold) == Wait::OnOthers))?;
        if held.len() < limits::LISTED_NAMES {
            held.push(HeldDocument { name: view.row.intent.name.clone(), state: State::of(&view), hold: hold.clone() });
        }
    }
    Some(held)
}

/// What nobody goes on with though nothing of it is queued: what is undefined, and deletes that wait for what requires them. Looks at all resources
/// where there are such.
fn standing(state: &EnvironmentState) -> Vec<HeldDocument> {
    let Counts { undefined, tombstones, .. } = state.counts();
    if undefined + tombstones == 0 {
        return Vec::new();
    }
    let stands = |view: &ResourceView| matches!(State::of(view), State::Undefined | State::Deleting);
    let mut held: Vec<(bool, HeldDocument)> = Vec::new();
    for view in state.views().filter(stands) {
        let holds = state.why(view.row.resource);
        let lasting = holds.iter().find(|hold| wait_of(hold) == Wait::Lasting);
        let Some(hold) = lasting.or_else(|| holds.iter().find(|hold| wait_of(hold) == Wait::OnOthers)) else {
            continue;
        };
        let (name, state) = (view.row.intent.name.clone(), State::of(&view));
        held.push((lasting.is_none(), HeldDocument { name, state, hold: hold.clone() }));
    }
    // Causes first.
    held.sort_by(|(one, left), (other, right)| one.cmp(other).then_with(|| left.name.cmp(&right.name)));
    held.into_iter().map(|(_, held)| held).take(limits::LISTED_NAMES).collect()
}

/// The attempts above a number, newest first.
pub(super) async fn attempts_since(
    store: &dyn Store,
    environment: &Name,
    before: AttemptId,
) -> Result<Vec<AttemptDocument>, CliError> {
    let mut attempts: Vec<AttemptDocument> = Vec::new();
    let mut below = None;
    loop {
        let page = store.attempts(environment, None, below, WAIT_PAGE).await?;
        let full = page.len() == WAIT_PAGE as usize;
        let of_run = page.iter().take_while(|attempt| attempt.attempt > before).map(AttemptDocument::from);
        let known = attempts.len();
        attempts.extend(of_run);
        if !full || attempts.len() - known < page.len() {
            return Ok(attempts);
        }
        below = page.last().map(|attempt| attempt.attempt);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{
        Effects, Epoch, Intent, IntentParts, Push, PushMode, SessionNumber, Target, Timestamp, Windows, step,
    };

    #[test]
    fn what_has_begun_is_waited_for_and_the_rest_is_taken_back() {
        assert_eq!(
            stopping(2, 4),
            "stopping: waiting for 2 running attempts; 4 not yet begun are taken back (again: stop at once)"
        );
        assert_eq!(stopping(1, 0), "stopping: waiting for 1 running attempt (again: stop at once)");
        assert_eq!(stopping(0, 1), "stopping; 1 not yet begun is taken back (again: stop at once)");
        assert_eq!(stopping(0, 0), "stopping (again: stop at once)");
    }

    #[test]
    fn what_an_executor_has_taken_is_neither_held_nor_done() {
        let mut state = EnvironmentState::new("house".into(), Epoch(1), Timestamp(0));
        let mut take = |event| step(&mut state, event, Timestamp(0), &mut Effects::default());
        take(Event::TargetChanged(Target {
            name: "here".into(),
            pool: "default".into(),
            connection: "{}".into(),
            concurrency: 1,
            suspend: false,
            windows: Windows::default(),
            rate_limit: None,
        }));
        let intent = Intent::new(IntentParts {
            name: "a".into(),
            kind: "test.Thing".into(),
            target: "here".into(),
            identity: "a".into(),
            attributes: "{}".into(),
            requires: Vec::new(),
            ..IntentParts::default()
        });
        let push = super::super::push_of("default".into(), "manifests", "");
        take(Event::Push(Push { upserts: vec![Arc::new(intent)], mode: PushMode::Whole, ..push }));
        let (executor, pool) = ("e1".into(), "default".into());
        take(Event::ExecutorConnected { executor, pool, session: SessionNumber(1), credits: 1, holds: Vec::new() });
        assert_eq!((state.counts().queued, state.counts().running), (0, 1));
        assert!(held(&state).is_none());
    }
}
