//! Questions before something is removed. Never asked of a program: without a terminal the answer must come with `--yes`.

use crate::cli::CliError;
use crate::cli::output::tell;
use std::io::{IsTerminal, Write};

/// Shows what would happen, and asks; `yes` answers in advance.
///
/// # Errors
/// [`CliError::Declined`] where the answer is no, or where nobody can be asked.
pub(crate) fn confirm(preview: &str, question: &str, yes: bool) -> Result<(), CliError> {
    tell(preview);
    if yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(CliError::Declined(
            "nothing was done: this needs a confirmation, and there is no terminal to ask on\n  add --yes to confirm"
                .to_owned(),
        ));
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(CliError::Declined("nothing was done".to_owned()))
    }
}

/// `This resource`, `These 3 resources`.
pub(crate) fn these(count: usize) -> String {
    if count == 1 { "This resource".to_owned() } else { format!("These {count} resources") }
}

/// `  - name` per line, bounded.
pub(crate) fn list<'a>(mark: &str, names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let bound = crate::core::limits::LISTED_NAMES;
    let more = names.len().saturating_sub(bound);
    let mut lines: Vec<String> = names.take(bound).map(|name| format!("  {mark} {name}")).collect();
    if more > 0 {
        lines.push(format!("  … and {more} more"));
    }
    lines.join("\n")
}
