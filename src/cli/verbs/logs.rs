//! `homeostat logs [NAME…] [-f]`: what attempts found and did, and what adaptors said at it, newest last; with `-f` also what they say from now on,
//! whichever process makes them.
//!
//! It is read from history, so it is what was recorded and redacted, also of processes that have ended. Following needs no process at work: nobody
//! is kept out of the data folder, what works next is found, and what worked and ended between two looks is read after it. What lasts is told when it
//! is found open, and again when it has ended.
//! Deliberately absent: lines as they are written; an executor reports what its adaptor said with the result, when the attempt has ended, and of a
//! verification that found everything as it should be, nothing.

mod followed;

use crate::adaptors::SENSITIVE;
use crate::cli::arguments::LogsOptions;
use crate::cli::document::AttemptDocument;
use crate::cli::embedded::{Owners, Place, Reading};
use crate::cli::limits::LOGS_LOOK;
use crate::cli::output::{Output, either, styled_diff, time};
use crate::cli::verbs::history::{note_never, result_style};
use crate::cli::{CliError, Exit};
use crate::core::Operation;
use followed::{Followed, News};
use std::fmt::Write as _;

/// Prints what is there, and with `--follow` what comes.
pub(crate) async fn run(options: LogsOptions, output: Output) -> Result<Exit, CliError> {
    let followed = Reading::with(&options.state, output, async |reading| {
        let names = reading.select_attempts(&options.select, output).await?;
        let names = names.as_deref();
        let mut followed = Followed::new(&options.select, reading, names);
        let (attempts, never) = followed.past(&*reading.store, names, options.limit).await?;
        note_never(names, never, output);
        print(attempts.iter().map(AttemptDocument::from), output)?;
        Ok(followed)
    })
    .await?;
    if options.follow { follow(&options, followed, output).await } else { Ok(Exit::Done) }
}

/// Looks for more until the process is ended.
async fn follow(options: &LogsOptions, mut followed: Followed, output: Output) -> Result<Exit, CliError> {
    let mut place: Option<Place> = None;
    let mut known = Owners::last_change(&options.state.data_dir);
    loop {
        tokio::time::sleep(LOGS_LOOK).await;
        let Some(open) = &place else {
            // Nobody is at work, or somebody is just beginning or ending.
            place = Place::beside(&options.state).await.ok();
            let changed = Owners::last_change(&options.state.data_dir);
            if place.is_none() && changed != known {
                // Somebody came and went between two looks. Whoever comes meanwhile waits until this is read.
                let read = async |place: &Place| followed.more(&*place.store).await;
                match Place::visited(&options.state, output, read).await {
                    Ok(news) => {
                        known = changed;
                        tell(&news, &followed, output)?;
                    }
                    Err(error) => tracing::debug!(%error, "history cannot be read yet"),
                }
            }
            continue;
        };
        match followed.more(&*open.store).await {
            Ok(news) => tell(&news, &followed, output)?,
            Err(error) => {
                tracing::debug!(%error, "history cannot be read; whoever works next is waited for");
                if let Some(gone) = place.take() {
                    gone.close().await?;
                }
            }
        }
    }
}

fn tell(news: &News, followed: &Followed, output: Output) -> Result<(), CliError> {
    if news.missed > 0 {
        let up_to = if followed.is_everybody() { "" } else { "up to " };
        let missed = news.missed;
        output.note(&format!(
            "{up_to}{} too far back to be shown here: `homeostat history --attempts`",
            either(usize::try_from(missed).unwrap_or(usize::MAX), "1 attempt is", &format!("{missed} attempts are"))
        ));
    }
    print(news.attempts.iter().map(AttemptDocument::from), output)
}

fn print(attempts: impl Iterator<Item = AttemptDocument>, output: Output) -> Result<(), CliError> {
    for attempt in attempts {
        output.print_line(&attempt, || line(&attempt, output.is_wide()))?;
    }
    Ok(())
}

/// `2026-11-21T18:39:14.123Z motd updated (attempt 3, Repair, 12ms, +1 -1)`; an error follows, with `diffs` the difference, and what its adaptor said.
fn line(attempt: &AttemptDocument, diffs: bool) -> String {
    let at = attempt.at.map(time::iso).unwrap_or_default();
    let result = attempt.finished_at.as_ref().map_or_else(|| "granted".to_owned(), |_| attempt.result.to_string());
    let mut text = format!("{at} {} {}", attempt.name, result_style(attempt.result).apply_to(result));
    let mut about = vec![format!("attempt {}", attempt.attempt)];
    about.extend(attempt.reason.map(|reason| format!("{reason:?}")));
    // That intent was enforced is what the result says.
    about.extend(attempt.operation.filter(|operation| *operation != Operation::Enforce).map(|one| format!("{one:?}")));
    about.extend(attempt.reload.as_ref().map(|because| format!("reload for {because}")));
    about.extend(attempt.took_ms.map(time::took));
    let late = attempt.late.as_ref();
    let diff = attempt.diff.as_deref().or(late.and_then(|late| late.diff.as_deref()));
    about.extend(diff.filter(|_| !diffs).and_then(extent));
    let _ = write!(text, " ({})", about.join(", "));
    if let Some(error) = &attempt.error {
        let _ = write!(text, ": {}", error.trim_end().replace('\n', "\n    "));
    }
    if let Some(diff) = diff.filter(|_| diffs) {
        let _ = write!(text, "\n{}", styled_diff(diff, "    ").trim_end());
    }
    for said in attempt.log.iter().chain(late.and_then(|late| late.log.as_ref())).flat_map(|log| log.lines()) {
        let _ = write!(text, "\n    | {said}");
    }
    text
}

/// How much of it differs: `+1 -1`; nothing where that is not said line by line.
fn extent(diff: &str) -> Option<String> {
    let count = |mark: char| diff.lines().filter(|line| line.starts_with(mark)).count();
    match (count('+'), count('-')) {
        (0, 0) if diff.contains(SENSITIVE) => Some(SENSITIVE.to_owned()),
        (0, 0) => None,
        (added, removed) => Some(format!("+{added} -{removed}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::document::AttemptResult;

    #[test]
    fn a_line_says_how_much_differed() {
        let changed = |diff: &str| AttemptDocument {
            attempt: 3,
            name: "motd".into(),
            version: None,
            reason: None,
            operation: None,
            executor: None,
            reload: None,
            granted_at: None,
            began_at: None,
            finished_at: Some(String::new()),
            result: AttemptResult::Updated,
            diff: Some(diff.into()),
            error: None,
            log: None,
            took_ms: None,
            late: None,
            at: Some(crate::core::Timestamp(1)),
        };
        let told = |diff| line(&changed(diff), false);
        let begin = "1970-01-01T00:00:00.001Z motd updated (attempt 3";
        assert_eq!(told("content:\n@@ -1 +1 @@\n-a\n+b\n"), format!("{begin}, +1 -1)"));
        assert_eq!(told("content: (sensitive)\n"), format!("{begin}, (sensitive))"));
        assert_eq!(told("mode: 0600 → 0644\n"), format!("{begin})"));
        let said = AttemptDocument { log: Some("one\n\ttwo\n".into()), ..changed("") };
        assert_eq!(line(&said, false), format!("{begin})\n    | one\n    | \ttwo"));
    }
}
