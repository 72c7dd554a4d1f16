//! What colour means: green as declared, yellow on its way, red needs attention; added and removed lines of a diff.

use crate::cli::document::State;
use console::{Style, style};

/// The colour of a state word.
pub(crate) fn state_style(state: State) -> Style {
    match state {
        State::Compliant => Style::new().green(),
        State::Failed | State::Undefined => Style::new().red(),
        State::Skipped
        | State::Drifted
        | State::Updating
        | State::Unreleased
        | State::Deploying
        | State::Interrupted
        | State::Deleting => Style::new().yellow(),
    }
}

/// A diff with its lines indented and coloured.
pub(crate) fn styled_diff(diff: &str, indent: &str) -> String {
    diff_lines(diff).map(|line| format!("{indent}{line}\n")).collect::<Vec<_>>().concat()
}

/// The lines of a diff, coloured.
fn diff_lines(diff: &str) -> impl Iterator<Item = String> {
    diff.lines().map(|line| match line.as_bytes().first() {
        Some(b'+') => style(line).green().to_string(),
        Some(b'-') => style(line).red().to_string(),
        Some(b'@') => style(line).cyan().to_string(),
        _ => line.to_owned(),
    })
}
