//! What `dpkg-query` says of a package, and what `apt-cache` could offer.

use super::super::tool::Tool;
use crate::adaptors::{AdaptorError, Desired};

/// What is there of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Installed {
    No,
    /// Removed, but for its configuration files.
    Configuration,
    /// This version.
    Yes(String),
    /// This version, and something went wrong on the way: `half-configured`.
    Partly(String, String),
}

impl Installed {
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Yes(version) | Self::Partly(version, _) => version,
            Self::No | Self::Configuration => "none",
        }
    }
}

pub(super) struct State {
    pub(super) installed: Installed,
    /// The version that would be installed; `None` where the lists know none.
    pub(super) candidate: Option<String>,
    /// All versions that could be.
    versions: Vec<String>,
}

impl State {
    pub(super) async fn read(desired: &Desired, name: &str) -> Result<Self, AdaptorError> {
        let format = "${Architecture} ${db:Status-Status} ${db:Status-Eflag} ${Version}\\n";
        let query = Tool::new("dpkg-query").words(["--show"]).option("showformat", format).operand(name);
        let ended = query.end(desired, true).await?;
        let installed = match ended.code {
            Some(0) => {
                let native = Tool::new("dpkg").words(["--print-architecture"]).output(desired).await?;
                installed(&ended.stdout, name, native.trim())
            }
            // It knows no package of that name.
            Some(1) => Installed::No,
            _ => return Err(AdaptorError(format!("dpkg-query: {}", ended.description))),
        };
        let policy = Tool::new("apt-cache").words(["policy"]).operand(name).output(desired).await?;
        let (candidate, versions) = offered(&policy, name);
        Ok(Self { installed, candidate, versions })
    }

    /// Whether the package lists know it, in that version where one is given.
    pub(super) fn offers(&self, version: Option<&str>) -> bool {
        match version {
            Some(version) => self.versions.iter().any(|known| known == version),
            None => self.candidate.is_some(),
        }
    }

    pub(super) fn unknown(&self, name: &str, version: Option<&str>) -> AdaptorError {
        match (version, self.versions.as_slice()) {
            (Some(version), [_, ..]) => AdaptorError(format!(
                "no source of packages has version {version} of {name}; there are {}",
                self.versions.join(", ")
            )),
            _ => AdaptorError(format!("no source of packages has {name}; add one to /etc/apt, or mend the name")),
        }
    }
}

/// One line per architecture that is known: `amd64 installed ok 1.0`.
fn installed(lines: &str, name: &str, native: &str) -> Installed {
    let wanted = name.split_once(':').map_or(native, |(_, architecture)| architecture);
    let known: Vec<Vec<&str>> = lines.lines().map(|line| line.split(' ').collect()).collect();
    let of = |architecture: &str| known.iter().find(|fields| fields.first() == Some(&architecture));
    // A package that was only ever heard of has no architecture.
    match of(wanted).or_else(|| of("all")).map(Vec::as_slice) {
        Some([_, "installed", "ok", version]) => Installed::Yes((*version).to_owned()),
        Some([_, "config-files", ..]) => Installed::Configuration,
        None | Some([_, "not-installed", ..]) => Installed::No,
        Some([_, status, flag, version]) => {
            let how = if *flag == "ok" { (*status).to_owned() } else { format!("{status}, {flag}") };
            Installed::Partly((*version).to_owned(), how)
        }
        Some(_) => Installed::No,
    }
}

/// The candidate and all versions from the answer of `apt-cache policy`, where it is about just this package: where it knows none of that name,
/// apt tries names as patterns.
fn offered(policy: &str, name: &str) -> (Option<String>, Vec<String>) {
    let mut lines = policy.lines();
    if lines.next().and_then(|line| line.strip_suffix(':')) != Some(name) {
        return (None, Vec::new());
    }
    let (mut candidate, mut versions) = (None, Vec::new());
    // Then one paragraph, indented, of this package.
    for line in lines.take_while(|line| line.starts_with(' ')) {
        let marked =
            line.strip_prefix(" *** ").or_else(|| line.strip_prefix("     ").filter(|rest| !rest.starts_with(' ')));
        if let Some(found) = line.trim().strip_prefix("Candidate: ") {
            candidate = Some(found.to_owned()).filter(|found| found != "(none)");
        } else if let Some((version, _)) = marked.and_then(|rest| rest.split_once(' ')) {
            versions.push(version.to_owned());
        }
    }
    (candidate, versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_architecture_counts_unless_another_is_named() {
        let lines = "i386 installed ok 1.0-1\namd64 config-files ok 1.0-2\n";
        assert_eq!(installed(lines, "libx", "amd64"), Installed::Configuration);
        assert_eq!(installed(lines, "libx:i386", "amd64"), Installed::Yes("1.0-1".into()));
        assert_eq!(installed("all installed ok 2\n", "docs", "amd64"), Installed::Yes("2".into()));
        assert_eq!(installed(" not-installed ok \n", "docs", "amd64"), Installed::No);
        let broken = installed("amd64 half-configured reinstreq 3\n", "x1", "amd64");
        assert_eq!(broken, Installed::Partly("3".into(), "half-configured, reinstreq".into()));
    }

    #[test]
    fn only_the_package_of_just_that_name_is_offered() {
        let policy = "g++:\n  Installed: 4:12\n  Candidate: 4:13\n  Version table:\n     4:13 500\n        500 file:/repo ./ Packages\n *** 4:12 100\n        100 /var/lib/dpkg/status\n";
        assert_eq!(offered(policy, "g++"), (Some("4:13".to_owned()), vec!["4:13".to_owned(), "4:12".to_owned()]));
        assert_eq!(offered(policy, "g"), (None, vec![]));
        assert_eq!(offered("x1:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n", "x1"), (None, vec![]));
    }
}
