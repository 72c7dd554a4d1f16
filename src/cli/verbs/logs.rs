//! `homeostat logs [NAME] [-f]`: what attempts said, newest last; with `-f` also what they say from now on, whichever process makes them.
//!
//! It is read from history, so it is what was recorded and redacted, also of processes that have ended. Following needs no process at work: nobody
//! is kept out of the data folder, and what works next is found.
//! Deliberately absent: lines that adaptors write while they work; executors report results, not lines.

use crate::cli::arguments::LogsOptions;
use crate::cli::document::AttemptDocument;
use crate::cli::embedded::{Place, Reading};
use crate::cli::limits::{LOGS_BEHIND, LOGS_LOOK, LOGS_PAGE};
use crate::cli::output::{Output, styled_diff, time};
use crate::cli::verbs::history::result_style;
use crate::cli::{CliError, Exit};
use crate::core::Name;
use crate::history::{HistoryError, Store};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Which attempts have been told.
#[derive(Debug, Default)]
struct Told {
    /// All up to here.
    floor: u64,
    /// And of those above it, these.
    above: BTreeSet<u64>,
}

/// Prints what is there, and with `--follow` what comes.
pub(crate) async fn run(options: LogsOptions, output: Output) -> Result<Exit, CliError> {
    let mut told = Told::default();
    let environment = Reading::with(&options.state, output, async |reading| {
        let name = options.name.as_deref();
        let attempts = reading.store.attempts(&reading.environment, name, None, options.limit).await?;
        if let (Some(name), true) = (name, attempts.is_empty()) {
            reading.find(name)?;
            output.note(&format!("{name} was never attempted; `homeostat why {name}` says why"));
        }
        told.print(attempts.iter().map(AttemptDocument::from).collect(), output)?;
        Ok(reading.environment.clone())
    })
    .await?;
    if options.follow { follow(&options, &environment, told, output).await } else { Ok(Exit::Done) }
}

/// Looks for more until the process is ended.
async fn follow(options: &LogsOptions, environment: &Name, mut told: Told, output: Output) -> Result<Exit, CliError> {
    let mut place: Option<Place> = None;
    loop {
        tokio::time::sleep(LOGS_LOOK).await;
        let Some(open) = &place else {
            // Nobody is at work, or somebody is just beginning or ending.
            place = Place::beside(&options.state).await.ok();
            continue;
        };
        match told.more(&*open.store, environment, options.name.as_deref()).await {
            Ok(attempts) => {
                let missed = told.leave_behind(&attempts, LOGS_BEHIND);
                if missed > 0 {
                    let up_to = if options.name.is_some() { "up to " } else { "" };
                    output.note(&format!(
                        "{up_to}{missed} attempts are too far back to be shown here: `homeostat history --attempts`"
                    ));
                }
                told.print(attempts, output)?;
            }
            Err(error) => {
                tracing::debug!(%error, "history cannot be read; whoever works next is waited for");
                if let Some(gone) = place.take() {
                    gone.close().await?;
                }
            }
        }
    }
}

impl Told {
    /// Attempts above what was told as a whole, newest first, but for what is too far back.
    async fn more(
        &self,
        store: &dyn Store,
        environment: &Name,
        name: Option<&str>,
    ) -> Result<Vec<AttemptDocument>, HistoryError> {
        let mut attempts: Vec<AttemptDocument> = Vec::new();
        let mut below = None;
        loop {
            let page = store.attempts(environment, name, below, LOGS_PAGE).await?;
            let new = page.iter().take_while(|attempt| attempt.attempt.0 > self.floor).map(AttemptDocument::from);
            let known = attempts.len();
            attempts.extend(new);
            let all = page.len() < LOGS_PAGE as usize || attempts.len() - known < page.len();
            if all || attempts.len() >= LOGS_BEHIND {
                return Ok(attempts);
            }
            below = page.last().map(|attempt| attempt.attempt);
        }
    }

    /// Where so many were read, and there may be more before them: what is before them is told no more. How many attempts that are.
    fn leave_behind(&mut self, attempts: &[AttemptDocument], most: usize) -> u64 {
        let oldest = attempts.iter().map(|attempt| attempt.attempt).min();
        let Some(last) = oldest.filter(|_| attempts.len() >= most).map(|oldest| oldest.saturating_sub(1)) else {
            return 0;
        };
        let before = std::mem::take(&mut self.above);
        let known = before.range(..=last).count() as u64;
        self.above = before.into_iter().filter(|attempt| *attempt > last).collect();
        let missed = last.saturating_sub(self.floor).saturating_sub(known);
        self.floor = self.floor.max(last);
        missed
    }

    /// Prints those that have ended and were not told yet, in the order of their ends.
    fn print(&mut self, attempts: Vec<AttemptDocument>, output: Output) -> Result<(), CliError> {
        for attempt in self.take(attempts) {
            output.print_line(&attempt, || line(&attempt, output.is_wide()))?;
        }
        Ok(())
    }

    fn take(&mut self, attempts: Vec<AttemptDocument>) -> Vec<AttemptDocument> {
        let newest = attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or(self.floor);
        let (ended, open): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|attempt| attempt.finished_at.is_some());
        let mut new: Vec<AttemptDocument> =
            ended.into_iter().filter(|attempt| self.above.insert(attempt.attempt)).collect();
        new.sort_by_key(|attempt| (attempt.at, attempt.attempt));
        let first_open = open.iter().map(|attempt| attempt.attempt).min();
        self.floor = first_open.map_or(newest, |first| first.saturating_sub(1)).max(self.floor);
        self.above = self.above.split_off(&(self.floor + 1));
        new
    }
}

/// `2026-11-21T18:39:14.123Z motd updated (attempt 3, Repair, 12ms, +1 -1)`; an error follows, and with `diffs` the difference.
fn line(attempt: &AttemptDocument, diffs: bool) -> String {
    let at = attempt.at.map(time::iso).unwrap_or_default();
    let mut text = format!("{at} {} {}", attempt.name, result_style(attempt.result).apply_to(attempt.result));
    let mut about = vec![format!("attempt {}", attempt.attempt)];
    about.extend(attempt.reason.map(|reason| format!("{reason:?}")));
    about.extend(attempt.took_ms.map(time::took));
    about.extend(attempt.diff.as_deref().filter(|_| !diffs).map(extent));
    let _ = write!(text, " ({})", about.join(", "));
    if let Some(error) = &attempt.error {
        let _ = write!(text, ": {}", error.trim_end().replace('\n', "\n    "));
    }
    if let Some(diff) = attempt.diff.as_deref().filter(|_| diffs) {
        let _ = write!(text, "\n{}", styled_diff(diff, "    ").trim_end());
    }
    text
}

/// How much of it differs: `+1 -1`.
fn extent(diff: &str) -> String {
    let count = |mark: char| diff.lines().filter(|line| line.starts_with(mark)).count();
    match (count('+'), count('-')) {
        (0, 0) => "differs".to_owned(),
        (added, removed) => format!("+{added} -{removed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::document::AttemptResult;
    use crate::core::Timestamp;

    fn attempt(number: u64, ended: Option<i64>) -> AttemptDocument {
        AttemptDocument {
            attempt: number,
            name: "motd".into(),
            version: None,
            reason: None,
            operation: None,
            executor: None,
            reload: None,
            granted_at: None,
            began_at: None,
            finished_at: ended.map(|at| time::iso(Timestamp(at))),
            result: AttemptResult::Updated,
            diff: None,
            error: None,
            took_ms: None,
            at: ended.map(Timestamp),
        }
    }

    #[test]
    fn each_attempt_is_told_once_when_it_has_ended_in_the_order_of_their_ends() {
        let mut told = Told::default();
        let mut take = |attempts: &[(u64, Option<i64>)]| -> Vec<u64> {
            let attempts = attempts.iter().map(|(number, ended)| attempt(*number, *ended)).collect();
            told.take(attempts).iter().map(|attempt| attempt.attempt).collect()
        };
        assert_eq!(take(&[(4, Some(30)), (3, None), (2, Some(40)), (1, Some(10))]), [1, 4, 2]);
        assert_eq!(take(&[(5, None), (4, Some(30)), (3, None)]), [0_u64; 0]);
        assert_eq!(take(&[(6, Some(60)), (5, Some(70)), (4, Some(30)), (3, Some(80))]), [6, 5, 3]);
        assert_eq!(take(&[]), [0_u64; 0]);
        assert_eq!(take(&[(7, Some(90))]), [7]);
    }

    #[test]
    fn what_is_too_far_back_is_counted_once_and_followed_no_more() {
        let mut told = Told::default();
        let attempts =
            |from: u64, to: u64| (from..=to).rev().map(|number| attempt(number, Some(1))).collect::<Vec<_>>();
        assert_eq!(told.leave_behind(&attempts(1, 3), 4), 0);
        assert_eq!(told.take(vec![attempt(3, Some(1)), attempt(2, None), attempt(1, Some(1))]).len(), 2);
        // The second has not ended; of the others four are read, and two were not.
        assert_eq!(told.leave_behind(&attempts(6, 9), 4), 3);
        assert_eq!(told.take(attempts(6, 9)).len(), 4);
        assert_eq!(told.leave_behind(&attempts(10, 10), 1), 0);
        assert_eq!(told.take(attempts(10, 10)).len(), 1);
    }

    #[test]
    fn a_line_says_how_much_differed() {
        let changed = AttemptDocument { diff: Some("content:\n@@ -1 +1 @@\n-a\n+b\n".into()), ..attempt(3, Some(1)) };
        assert_eq!(line(&changed, false), "1970-01-01T00:00:00.001Z motd updated (attempt 3, +1 -1)");
    }
}
