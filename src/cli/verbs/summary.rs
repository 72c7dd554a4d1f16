//! What one run did, read back from history: the truth about a run is what was recorded, not what was announced.

use super::{suspend, why};
use crate::cli::document::{AttemptDocument, AttemptResult, State, SuspensionDocument};
use crate::cli::embedded::Finished;
use crate::cli::output::{Output, Table, counted, either, styled_diff, time};
use crate::cli::{CliError, Exit};
use crate::core::{Counts, Hold, Name, Operation, Reason, VersionNumber, limits};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// What `-o json|yaml` prints after a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunDocument {
    /// The environment's name.
    pub(crate) environment: Name,
    /// Its newest version.
    pub(crate) version: VersionNumber,
    /// Whether the run was interrupted; what was left goes on with the next run.
    pub(crate) interrupted: bool,
    /// Resources that were changed on their targets.
    pub(crate) changed: usize,
    /// Resources that are as declared, and were so before.
    pub(crate) unchanged: usize,
    /// Resources whose last attempt failed.
    pub(crate) failed: usize,
    /// Resources that were skipped because of what they require.
    pub(crate) skipped: usize,
    /// Resources that were skipped before, and still are: what they require is not good.
    pub(crate) still_skipped: usize,
    /// Other resources that are not as declared, and were not attempted.
    pub(crate) left: usize,
    /// Attempts that ended.
    pub(crate) attempts: usize,
    /// How long the run took.
    pub(crate) seconds: f64,
    /// Attempts per second.
    pub(crate) attempts_per_second: f64,
    /// Resources by state, after the run.
    pub(crate) counts: Counts,
    /// Resources that were attempted or skipped, in order: the last attempt of each that says what happened.
    pub(crate) items: Vec<AttemptDocument>,
    /// Resources that something other than a failure keeps from running, with why.
    pub(crate) held: Vec<HeldDocument>,
    /// What users have suspended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) suspensions: Vec<SuspensionDocument>,
    /// The same as sentences.
    #[serde(skip)]
    pub(crate) suspended: Vec<String>,
    /// What differs and is only observed.
    #[serde(skip)]
    pub(crate) observed: BTreeSet<Name>,
    /// The process that goes on with what is left.
    #[serde(skip)]
    pub(crate) holder: Option<String>,
}

/// A resource that waits for something that a run cannot bring.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldDocument {
    /// Its name.
    pub(crate) name: Name,
    /// Its state.
    pub(crate) state: State,
    /// Why it does not run.
    pub(crate) hold: Hold,
}

impl RunDocument {
    /// Sums a run up.
    pub(crate) fn new(finished: Finished) -> Self {
        let items = decisive(&finished.attempts);
        let count = |test: fn(AttemptResult) -> bool| items.iter().filter(|item| test(item.result)).count();
        let changed = count(AttemptResult::is_change);
        let failed = count(|result| matches!(result, AttemptResult::Failed | AttemptResult::Lost));
        let skipped = count(|result| result == AttemptResult::Skipped);
        let live_touched =
            items.iter().filter(|item| item.result != AttemptResult::Deleted && !is_unchanged(item.result)).count();
        // Of these it is told what happened; of other live ones that are not as declared, that nothing did.
        let told = |of: &[AttemptResult]| {
            let live = items.iter().filter(|item| item.operation != Some(Operation::Delete));
            live.filter(|item| of.contains(&item.result)).count()
        };
        let Counts { total, compliant, skipped: skipped_now, .. } = finished.counts;
        let still_skipped = (skipped_now as usize).saturating_sub(told(&[AttemptResult::Skipped]));
        let not_good =
            told(&[AttemptResult::Failed, AttemptResult::Lost, AttemptResult::Skipped, AttemptResult::Differs]);
        let left = (total.saturating_sub(compliant) as usize).saturating_sub(not_good + still_skipped);
        let gone = items.iter().filter(|item| left_nothing(item)).count();
        let attempts = finished.attempts.iter().filter(|attempt| is_attempt(attempt.result)).count();
        let seconds = finished.elapsed.as_secs_f64();
        Self {
            environment: finished.environment,
            version: finished.version,
            interrupted: finished.interrupted,
            changed,
            unchanged: (total as usize).saturating_sub(live_touched + still_skipped + left) + gone,
            failed,
            skipped,
            still_skipped,
            left,
            attempts,
            seconds: round(seconds),
            attempts_per_second: round(if seconds > 0.0 { attempts as f64 / seconds } else { 0.0 }),
            counts: finished.counts,
            items,
            held: finished.held,
            suspensions: finished.suspensions.iter().map(SuspensionDocument::from).collect(),
            suspended: finished.suspensions.iter().map(|one| suspend::told(one, time::now())).collect(),
            observed: finished.observed,
            holder: finished.holder,
        }
    }

    /// The exit code of the run.
    pub(crate) const fn exit(&self) -> Exit {
        if self.interrupted {
            Exit::Interrupted
        } else if self.counts.compliant == self.counts.total
            && self.counts.tombstones == 0
            && self.failed == 0
            && self.skipped == 0
        {
            Exit::Done
        } else {
            Exit::NotCompliant
        }
    }

    /// Prints it; with `diffs` the differences found are shown to people too.
    pub(crate) fn print(&self, output: Output, diffs: bool) -> Result<Exit, CliError> {
        output.print(self, || self.text(diffs || output.is_wide()))?;
        Ok(self.exit())
    }

    /// Prints what a report found: that something differs is its result, and says more than that it is therefore not compliant.
    pub(crate) fn print_report(&self, output: Output) -> Result<Exit, CliError> {
        output.print(self, || self.text(true))?;
        let differs = self.items.iter().any(|item| item.result == AttemptResult::Differs);
        Ok(if differs && !self.interrupted { Exit::WouldChange } else { self.exit() })
    }

    fn text(&self, diffs: bool) -> String {
        let mut text = self.lines(diffs);
        text.push_str(&self.headline());
        for step in self.next_steps() {
            let _ = write!(text, "\n  {step}");
        }
        text
    }

    /// One line per resource about which there is something to say.
    fn lines(&self, diffs: bool) -> String {
        let told: Vec<&AttemptDocument> =
            self.items.iter().filter(|item| !is_unchanged(item.result) || left_nothing(item)).collect();
        let mut text = String::new();
        if diffs {
            for item in told.iter().take(limits::LISTED_NAMES) {
                text.push_str(&line(item));
                text.push_str(&item.diff.as_deref().map_or_else(String::new, |diff| styled_diff(diff, "    ")));
            }
        } else {
            let mut table = Table::new(&["RESULT", "NAME", "ATTEMPT", "TOOK", "ERROR"]);
            for item in told.iter().take(limits::LISTED_NAMES) {
                table.row(cells(item));
            }
            text = if table.is_empty() { text } else { table.render() };
        }
        if told.len() > limits::LISTED_NAMES {
            let _ = writeln!(text, "… and {} more: `homeostat history --attempts`", told.len() - limits::LISTED_NAMES);
        }
        text
    }

    /// `version 2: 1 changed, 7 unchanged, 0 failed, 0 skipped; 3 attempts in 0.42s (7/s)`.
    fn headline(&self) -> String {
        if self.items.is_empty() && self.held.is_empty() && self.exit() == Exit::Done {
            let Counts { compliant, total, .. } = self.counts;
            return format!("nothing to do: {compliant} of {total} resources compliant (version {})", self.version);
        }
        let due = |item: &AttemptDocument| item.reason == Some(Reason::Repair) && is_unchanged(item.result);
        if self.held.is_empty() && self.exit() == Exit::Done && self.items.iter().all(due) {
            let Counts { compliant, total, .. } = self.counts;
            let verified = self.items.len();
            return format!(
                "nothing to do: {compliant} of {total} resources compliant (version {}); {verified} verified, as it was time",
                self.version
            );
        }
        let took = time::took((self.seconds * 1_000.0) as u64);
        format!(
            "version {}: {} changed, {} unchanged, {} failed, {} skipped{}; {} in {took} ({:.0}/s)",
            self.version,
            self.changed,
            self.unchanged,
            self.failed,
            self.skipped,
            self.apart(),
            counted(self.attempts, "attempt"),
            self.attempts_per_second
        )
    }

    /// `, 1 still skipped, 2 left`: what this run did nothing about.
    fn apart(&self) -> String {
        let parts = [(self.still_skipped, "still skipped"), (self.left, "left")];
        let shown = parts.iter().filter(|(count, _)| *count > 0);
        shown.fold(String::new(), |told, (count, word)| format!("{told}, {count} {word}"))
    }

    /// What was found to differ, and was left: by a report, or as its policy says.
    fn drifted(&self) -> Vec<String> {
        let drifted = self.items.iter().filter(|item| item.result == AttemptResult::Differs);
        let (left, observed): (Vec<_>, Vec<_>) =
            drifted.partition(|item| item.reason == Some(Reason::Report) && !self.observed.contains(&item.name));
        let left = differ(left.into_iter().map(|item| &item.name));
        let observed = differ(observed.into_iter().map(|item| &item.name));
        let left = left.map(|(_, what)| format!("{what} and was left as it is: `homeostat repair` corrects it"));
        let observed = observed
            .map(|(name, what)| format!("{what} and is left as it is, as its policy says: `homeostat show {name}`"));
        left.into_iter().chain(observed).collect()
    }

    fn next_steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        let failed = |item: &&AttemptDocument| matches!(item.result, AttemptResult::Failed | AttemptResult::Lost);
        if let Some(item) = self.items.iter().find(failed) {
            steps.push(format!("what failed and why: `homeostat why {}`", item.name));
        }
        if let Some(held) = self.held.first() {
            let others = self.held.len() - 1;
            let more = format!(" (and {others} more {} held)", either(others, "is", "are"));
            let (more, name) = (if others == 0 { "" } else { &more }, &held.name);
            steps.push(match held.hold {
                Hold::ReportOnly => {
                    format!("{name} is not deployed as declared{more}, and this run only reports: `homeostat deploy`")
                }
                _ => {
                    format!("{name} does not run: {}{more}; `homeostat why {name}`", why::told(&held.hold, time::now()))
                }
            });
        }
        steps.extend(self.suspended.iter().cloned());
        steps.extend(self.drifted());
        if self.interrupted {
            steps.push(match &self.holder {
                None => "interrupted; `homeostat deploy` goes on with what is left".to_owned(),
                Some(holder) => format!("no longer waited for; {holder} goes on with what is left"),
            });
        }
        // Nothing of this run says why it does not end well: something else is not as declared.
        if steps.is_empty() && self.exit() == Exit::NotCompliant {
            let others = self.counts.total.saturating_sub(self.counts.compliant) + self.counts.tombstones;
            steps.push(format!(
                "{} {} not as declared: `homeostat status`",
                counted(others as usize, "other resource"),
                either(others as usize, "is", "are")
            ));
        }
        steps
    }
}

/// `motd differs (and 2 more do)`; nothing where nothing does.
fn differ<'a>(mut names: impl Iterator<Item = &'a Name>) -> Option<(&'a Name, String)> {
    let first = names.next()?;
    let more = match names.count() {
        0 => String::new(),
        others => format!(" (and {others} more {})", either(others, "does", "do")),
    };
    Some((first, format!("{first} differs{more}")))
}

/// Two digits after the point.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

const fn is_unchanged(result: AttemptResult) -> bool {
    matches!(result, AttemptResult::Unchanged | AttemptResult::Revoked | AttemptResult::Open)
}

/// Whether it is the end of a resource of which there was nothing to delete.
fn left_nothing(item: &AttemptDocument) -> bool {
    item.operation == Some(Operation::Delete) && item.result == AttemptResult::Unchanged
}

/// Whether an executor worked on it.
const fn is_attempt(result: AttemptResult) -> bool {
    !matches!(result, AttemptResult::Skipped | AttemptResult::Revoked | AttemptResult::Open)
}

/// Per resource the attempt that says what happened: the newest one, but a change is not hidden by a verification after it. In the order in which they were made.
fn decisive(newest_first: &[AttemptDocument]) -> Vec<AttemptDocument> {
    let mut chosen: HashMap<&Name, &AttemptDocument> = HashMap::new();
    for attempt in
        newest_first.iter().filter(|attempt| !matches!(attempt.result, AttemptResult::Revoked | AttemptResult::Open))
    {
        chosen
            .entry(&attempt.name)
            .and_modify(|newer| {
                if newer.result == AttemptResult::Unchanged && attempt.result.is_change() {
                    *newer = attempt;
                }
            })
            .or_insert(attempt);
    }
    let sorted: BTreeMap<u64, &AttemptDocument> =
        chosen.into_values().map(|attempt| (attempt.attempt, attempt)).collect();
    sorted.into_values().cloned().collect()
}

fn cells(item: &AttemptDocument) -> Vec<String> {
    vec![
        super::history::result_style(item.result).apply_to(item.result).to_string(),
        item.name.to_string(),
        item.attempt.to_string(),
        item.took_ms.map_or_else(String::new, time::took),
        item.error.as_deref().unwrap_or_default().to_owned(),
    ]
}

fn line(item: &AttemptDocument) -> String {
    let result = super::history::result_style(item.result).apply_to(item.result);
    let error = item.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
    format!("{result} {} (attempt {}){error}\n", item.name, item.attempt)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    fn attempt(number: u64, name: &str, result: AttemptResult) -> AttemptDocument {
        AttemptDocument {
            attempt: number,
            name: name.into(),
            version: Some(VersionNumber(1)),
            reason: None,
            operation: None,
            executor: None,
            reload: None,
            granted_at: None,
            began_at: None,
            finished_at: None,
            result,
            diff: None,
            error: None,
            log: None,
            took_ms: Some(3),
            late: None,
            at: None,
        }
    }

    fn run(attempts: Vec<AttemptDocument>, counts: Counts) -> RunDocument {
        RunDocument::new(Finished {
            environment: "house".into(),
            version: VersionNumber(1),
            interrupted: false,
            elapsed: Duration::from_millis(500),
            ended: std::time::Instant::now(),
            counts,
            attempts,
            held: Vec::new(),
            observed: BTreeSet::new(),
            suspensions: Vec::new(),
            holder: None,
        })
    }

    #[test]
    fn an_unchanged_deploy_says_so() {
        let counts = Counts { total: 8, compliant: 8, ..Counts::default() };
        let run = run(Vec::new(), counts);
        assert_eq!(run.text(false), "nothing to do: 8 of 8 resources compliant (version 1)");
        assert_eq!(run.exit(), Exit::Done);
    }

    #[test]
    fn a_retry_counts_once_and_the_newest_result_stands() {
        let counts = Counts { total: 3, compliant: 2, failed: 1, ..Counts::default() };
        let attempts = vec![
            attempt(4, "b", AttemptResult::Failed),
            attempt(3, "a", AttemptResult::Created),
            attempt(2, "a", AttemptResult::Failed),
        ];
        let run = run(attempts, counts);
        assert_eq!((run.changed, run.failed, run.unchanged, run.attempts), (1, 1, 1, 3));
        assert_eq!(run.exit(), Exit::NotCompliant);
        assert!(
            run.text(false)
                .contains("version 1: 1 changed, 1 unchanged, 1 failed, 0 skipped; 3 attempts in 500ms (6/s)")
        );
        assert!(run.text(false).contains("`homeostat why b`"));
    }

    #[test]
    fn what_this_run_did_nothing_about_is_not_called_unchanged() {
        let counts = Counts { total: 6, compliant: 2, failed: 1, skipped: 2, updating: 1, ..Counts::default() };
        let again = run(vec![attempt(4, "low", AttemptResult::Failed)], counts);
        assert_eq!((again.unchanged, again.failed, again.skipped), (2, 1, 0));
        assert_eq!((again.still_skipped, again.left), (2, 1));
        let text = again.text(false);
        assert!(
            text.contains(": 0 changed, 2 unchanged, 1 failed, 0 skipped, 2 still skipped, 1 left; 1 attempt"),
            "{text}"
        );
    }

    #[test]
    fn a_change_is_not_hidden_by_a_verification_after_it() {
        let counts = Counts { total: 1, compliant: 1, ..Counts::default() };
        let run = run(vec![attempt(2, "a", AttemptResult::Unchanged), attempt(1, "a", AttemptResult::Updated)], counts);
        assert_eq!((run.changed, run.unchanged), (1, 0));
    }

    #[test]
    fn a_delete_that_found_nothing_is_told_too() {
        let delete = |number, name, result| AttemptDocument {
            operation: Some(Operation::Delete),
            ..attempt(number, name, result)
        };
        let attempts = vec![delete(2, "b", AttemptResult::Unchanged), delete(1, "a", AttemptResult::Deleted)];
        let run = run(attempts, Counts::default());
        assert_eq!((run.changed, run.unchanged, run.attempts), (1, 1, 2));
        assert!(run.text(false).contains("unchanged   b "), "{}", run.text(false));
    }
}
