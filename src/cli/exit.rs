//! The exit codes, which scripts may rely on. `--help` and `docs/cli.md` print this table; nothing else in the binary ends the process.

/// How a command ended. The number is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, and everything asked about is as declared.
    Done = 0,
    /// Something failed, was skipped, or is not compliant.
    NotCompliant = 1,
    /// A dry run found something that would change, or a report something that differs.
    WouldChange = 2,
    /// The manifests have errors, or the environment refused them.
    Refused = 3,
    /// Another process holds the environment.
    Held = 4,
    /// The database or the executor could not be used.
    Infrastructure = 5,
    /// The command line is wrong, names something that does not exist, or needed a confirmation that was not given.
    Usage = 64,
    /// Interrupted by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in the order in which they are documented.
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::NotCompliant,
        Self::WouldChange,
        Self::Refused,
        Self::Held,
        Self::Infrastructure,
        Self::Usage,
        Self::Interrupted,
    ];

    /// What it means, in one line.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; everything asked about is as declared",
            Self::NotCompliant => "something failed, was skipped, or is not compliant",
            Self::WouldChange => "dry-run, repair --report: something would change",
            Self::Refused => "the manifests have errors, or were refused",
            Self::Held => "another process holds the environment",
            Self::Infrastructure => "the database or the executor could not be used",
            Self::Usage => "wrong command line, unknown name, or no confirmation",
            Self::Interrupted => "interrupted by Ctrl-C or SIGTERM",
        }
    }

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The table as `--help` shows it.
    pub(crate) fn help() -> String {
        let lines: Vec<String> =
            Self::ALL.iter().map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning())).collect();
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_leave_two_to_the_dry_run() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert_eq!(Exit::WouldChange.code(), 2);
        assert!(Exit::help().contains(" 64  wrong command line"));
    }
}
