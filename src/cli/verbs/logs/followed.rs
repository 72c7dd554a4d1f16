//! What of history has been told, and what has come since: each attempt when it has ended, and once before where it lasts.
//!
//! Numbers of attempts only grow, so what is new is above the newest that was seen; what was open then is looked for by the names of what is open.
//! A look costs what is new, however long something stays open.

use crate::cli::CliError;
use crate::cli::arguments::SelectOptions;
use crate::cli::embedded::{Reading, peek};
use crate::cli::limits::{LOGS_BEHIND, LOGS_PAGE};
use crate::cli::output::time;
use crate::cli::selection::Selection;
use crate::core::{AttemptId, EnvironmentState, Name, ResourceView, VersionNumber};
use crate::history::{AttemptSummary, HistoryError, Store};
use std::collections::{BTreeMap, BTreeSet};

/// What is followed, and how far.
pub(super) struct Followed {
    environment: Name,
    meant: Meant,
    told: Told,
}

/// What has come since the last look.
pub(super) struct News {
    /// In the order in which it is told.
    pub(super) attempts: Vec<AttemptSummary>,
    /// How many attempts are too far back to be looked at, whosesoever they are.
    pub(super) missed: u64,
}

/// Whose attempts are meant.
struct Meant {
    /// `None`: everybody's.
    names: Option<BTreeSet<Name>>,
    /// What chooses them anew with each version; `None`: they stay who they are.
    selection: Option<Selection>,
    /// By what was known at this version.
    version: VersionNumber,
}

/// How far history has been told.
#[derive(Debug)]
struct Told {
    /// Nothing above is known.
    newest: AttemptId,
    /// What had not ended, and whether that was told.
    open: BTreeMap<AttemptId, Open>,
}

#[derive(Debug)]
struct Open {
    name: Name,
    told: bool,
}

impl Followed {
    /// From what was known when the state was read.
    pub(super) fn new(options: &SelectOptions, reading: &Reading, names: Option<&[Name]>) -> Self {
        let open = |view: ResourceView| {
            let name = view.row.intent.name.clone();
            Some((view.running?.attempt, Open { name, told: false }))
        };
        let told = Told { newest: reading.last_attempt, open: reading.state.views().filter_map(open).collect() };
        Self { environment: reading.environment.clone(), meant: Meant::new(options, &reading.state, names), told }
    }

    /// What is told of the past: so many that have ended, the newest, in the order of their ends; and whether nothing was ever attempted. What is
    /// newer than the state comes later.
    pub(super) async fn past(
        &mut self,
        store: &dyn Store,
        names: Option<&[Name]>,
        most: u32,
    ) -> Result<(Vec<AttemptSummary>, bool), CliError> {
        let before = Some(AttemptId(self.told.newest.0 + 1));
        // What is open takes nobody's place.
        let open = u32::try_from(self.told.open.len()).unwrap_or(u32::MAX);
        let mut attempts = store.attempts(&self.environment, names, before, most.saturating_add(open)).await?;
        let never = attempts.is_empty();
        attempts.retain(|attempt| attempt.outcome.is_some());
        attempts.truncate(most as usize);
        for attempt in &attempts {
            self.told.open.remove(&attempt.attempt);
        }
        attempts.sort_by_key(|attempt| (attempt.finished_at(), attempt.attempt));
        Ok((attempts, never))
    }

    /// Whether nobody's attempts are left out.
    pub(super) const fn is_everybody(&self) -> bool {
        self.meant.names.is_none()
    }

    /// What has ended since, in the order of its end, and what was open the last time and still is.
    pub(super) async fn more(&mut self, store: &dyn Store) -> Result<News, CliError> {
        let (newest, first_open) = (self.told.newest, self.told.open.keys().next().copied());
        let new = above(store, &self.environment, None, newest, None).await?;
        let mut old = Vec::new();
        if let Some(first) = first_open {
            let names: BTreeSet<Name> = self.told.open.values().map(|open| open.name.clone()).collect();
            let names: Vec<Name> = names.into_iter().collect();
            let (floor, before) = (AttemptId(first.0.saturating_sub(1)), Some(AttemptId(newest.0 + 1)));
            old = above(store, &self.environment, Some(&names), floor, before).await?;
        }
        let missed = self.told.leave_behind(&new, &old, LOGS_BEHIND);
        let found: Vec<AttemptSummary> = new.into_iter().chain(old).collect();
        if !found.is_empty() {
            self.meant.look(store, &self.environment).await?;
        }
        let mut attempts = self.told.take(found);
        attempts.retain(|attempt| self.meant.covers(&attempt.name));
        Ok(News { attempts, missed })
    }
}

/// Attempts above a number, newest first, but for what is too far back.
async fn above(
    store: &dyn Store,
    environment: &Name,
    names: Option<&[Name]>,
    floor: AttemptId,
    before: Option<AttemptId>,
) -> Result<Vec<AttemptSummary>, HistoryError> {
    let (mut found, mut below) = (Vec::new(), before);
    loop {
        let page = store.attempts(environment, names, below, LOGS_PAGE).await?;
        let (read, known) = (page.len(), found.len());
        below = page.last().map(|attempt| attempt.attempt);
        found.extend(page.into_iter().take_while(|attempt| attempt.attempt > floor));
        let all = read < LOGS_PAGE as usize || found.len() - known < read;
        if all || found.len() >= LOGS_BEHIND {
            return Ok(found);
        }
    }
}

impl Meant {
    fn new(options: &SelectOptions, state: &EnvironmentState, names: Option<&[Name]>) -> Self {
        let selection = Selection::new(options);
        // Who had failed, or was stale, when it began: that is what was asked for, and it is followed until it is well again.
        let stays = selection.is_all() || selection.names_only() || options.failed || options.stale.is_some();
        Self {
            names: names.map(|names| names.iter().cloned().collect()),
            selection: Some(selection).filter(|_| !stays),
            version: state.version(),
        }
    }

    fn covers(&self, name: &Name) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(name))
    }

    /// Chooses anew where there is a new version: who joins is meant, who leaves is not; who is gone was meant until the end.
    async fn look(&mut self, store: &dyn Store, environment: &Name) -> Result<(), CliError> {
        let (Some(selection), Some(names)) = (&self.selection, &mut self.names) else { return Ok(()) };
        let version = store.versions(environment, None, 1).await?.pop().map_or(self.version, |newest| newest.number);
        if version == self.version {
            return Ok(());
        }
        let Some(state) = peek(store, environment, time::now()).await? else { return Ok(()) };
        for view in state.views() {
            let name = &view.row.intent.name;
            if selection.covers(&view.row.intent) {
                names.insert(name.clone());
            } else {
                names.remove(name);
            }
        }
        self.version = state.version();
        Ok(())
    }
}

impl Told {
    /// Where so many were read, and there may be more before them: what is before them is told no more. How many attempts that are.
    fn leave_behind(&mut self, new: &[AttemptSummary], old: &[AttemptSummary], most: usize) -> u64 {
        let full = |read: &[AttemptSummary]| read.last().filter(|_| read.len() >= most).map(|oldest| oldest.attempt);
        let unread = full(new).map_or(0, |oldest| oldest.0.saturating_sub(self.newest.0 + 1));
        let waited_for = self.open.len();
        if let Some(oldest) = full(old) {
            self.open = self.open.split_off(&oldest);
        }
        unread + (waited_for - self.open.len()) as u64
    }

    /// What of it is to be told now.
    fn take(&mut self, found: Vec<AttemptSummary>) -> Vec<AttemptSummary> {
        let before = self.newest;
        self.newest = found.iter().map(|attempt| attempt.attempt).max().unwrap_or(before).max(before);
        let mut news = Vec::new();
        for attempt in found {
            let known = self.open.get_mut(&attempt.attempt);
            match (attempt.outcome.is_some(), known) {
                (true, known) if known.is_some() || attempt.attempt > before => {
                    self.open.remove(&attempt.attempt);
                    news.push(attempt);
                }
                // It lasts.
                (false, Some(open)) if !open.told => {
                    open.told = true;
                    news.push(attempt);
                }
                (false, None) if attempt.attempt > before => {
                    self.open.insert(attempt.attempt, Open { name: attempt.name, told: false });
                }
                _ => {}
            }
        }
        news.sort_by_key(|attempt| (attempt.finished_at().or(attempt.granted_at), attempt.attempt));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Outcome, OutcomeKind, Timestamp};

    fn attempt(number: u64, ended: Option<i64>) -> AttemptSummary {
        AttemptSummary {
            attempt: AttemptId(number),
            name: format!("r{number}").into(),
            version: None,
            reason: None,
            operation: None,
            executor: None,
            reload: None,
            granted_at: Some(Timestamp(number as i64)),
            outcome: ended.map(|at| Outcome {
                attempt: AttemptId(number),
                began_at: None,
                finished_at: Timestamp(at),
                kind: OutcomeKind::Revoked,
                log: None,
            }),
            late: None,
        }
    }

    #[test]
    fn each_attempt_is_told_when_it_has_ended_and_once_before_where_it_lasts() {
        let mut told = Told { newest: AttemptId(0), open: BTreeMap::new() };
        let mut take = |attempts: &[(u64, Option<i64>)]| -> Vec<(u64, bool)> {
            let attempts = attempts.iter().map(|(number, ended)| attempt(*number, *ended)).collect();
            told.take(attempts).iter().map(|attempt| (attempt.attempt.0, attempt.outcome.is_some())).collect()
        };
        assert_eq!(take(&[(4, Some(30)), (3, None), (2, Some(40)), (1, Some(10))]), [(1, true), (4, true), (2, true)]);
        assert_eq!(take(&[(5, None), (3, None)]), [(3, false)], "5 may end at once");
        assert_eq!(take(&[(5, None), (3, None)]), [(5, false)]);
        assert_eq!(
            take(&[(6, Some(60)), (5, Some(70)), (3, Some(80)), (1, Some(10))]),
            [(6, true), (5, true), (3, true)]
        );
        assert_eq!(take(&[]), []);
        assert_eq!(take(&[(7, Some(90))]), [(7, true)]);
    }

    #[test]
    fn what_is_too_far_back_is_counted_once_and_followed_no_more() {
        let mut told = Told { newest: AttemptId(0), open: BTreeMap::new() };
        let attempts =
            |from: u64, to: u64| (from..=to).rev().map(|number| attempt(number, Some(1))).collect::<Vec<_>>();
        assert_eq!(told.leave_behind(&attempts(1, 3), &[], 4), 0);
        assert_eq!(told.take(vec![attempt(3, Some(1)), attempt(2, None), attempt(1, Some(1))]).len(), 2);
        // Of what is new four are read, and two were not; the second is still waited for.
        assert_eq!(told.leave_behind(&attempts(6, 9), &[attempt(2, None)], 4), 2);
        assert_eq!(told.take(attempts(6, 9)).len(), 4);
        assert_eq!(told.leave_behind(&[], &attempts(6, 9), 4), 1, "it is too far back by now");
        assert_eq!(told.take(vec![attempt(2, Some(1))]).len(), 0);
        assert_eq!(told.leave_behind(&attempts(10, 10), &[], 1), 0);
        assert_eq!(told.take(attempts(10, 10)).len(), 1);
    }
}
