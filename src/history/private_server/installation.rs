//! Finding the PostgreSQL server programs that are installed on this machine.

use super::{ServerError, limits};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable that names the folder of the server programs, before all else.
pub(super) const OVERRIDE: &str = "HOMEOSTAT_POSTGRES_BIN";
/// Where Debian and its relatives keep one folder per major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// One installed server.
#[derive(Debug)]
pub(super) struct Installation {
    bin: PathBuf,
    /// Its major version.
    pub(super) major: u32,
}

impl Installation {
    /// The newest one, or the one that can read data of version `needed`.
    pub(super) fn find(needed: Option<u32>) -> Result<Self, ServerError> {
        let (places, looked_in) = places();
        let found = places.filter_map(|bin| Self::at(&bin)).filter(|found| found.major >= limits::OLDEST_POSTGRES);
        choose(found, needed, looked_in)
    }

    fn at(bin: &Path) -> Option<Self> {
        if !bin.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { bin: bin.to_owned(), major })
    }

    /// The path of one of its programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15; also `17beta1` → 17.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The first that fits; the candidates come in order of preference. No further one is asked: each is a program to start, and every command waits.
fn choose(
    found: impl Iterator<Item = Installation>,
    needed: Option<u32>,
    looked_in: String,
) -> Result<Installation, ServerError> {
    let mut others = Vec::new();
    for installation in found {
        if needed.is_none_or(|needed| installation.major == needed) {
            return Ok(installation);
        }
        let major = installation.major.to_string();
        // One installation may be found at several places.
        if !others.contains(&major) {
            others.push(major);
        }
    }
    match needed {
        Some(needed) if !others.is_empty() => Err(ServerError::OtherVersion { needed, found: others.join(", ") }),
        _ => Err(ServerError::NotInstalled { looked_in }),
    }
}

/// Folders that may hold server programs, best first, and how they are called in an error.
fn places() -> (Box<dyn Iterator<Item = PathBuf>>, String) {
    if let Some(bin) = std::env::var_os(OVERRIDE) {
        let name = format!("{OVERRIDE}={}", bin.to_string_lossy());
        return (Box::new(std::iter::once(bin.into())), name);
    }
    let told = std::iter::once_with(told_place).flatten();
    let of_path = std::iter::once_with(path_places).flatten();
    (Box::new(debian_places().into_iter().chain(told).chain(of_path)), format!("{DEBIAN}, pg_config, PATH"))
}

fn told_place() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().into())
}

fn path_places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = std::env::split_paths(&path).filter_map(|folder| folder.join("postgres").canonicalize().ok());
    programs.filter_map(|program| program.parent().map(Path::to_owned)).collect()
}

fn debian_places() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn installed(majors: &[u32]) -> impl Iterator<Item = Installation> {
        majors.iter().map(|&major| Installation { bin: "/somewhere".into(), major })
    }

    #[test]
    fn the_version_is_read_from_what_the_server_says() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 19beta2"), Some(19));
        assert_eq!(parse_major("something else"), None);
    }

    #[test]
    fn data_decides_which_version_runs() {
        assert_eq!(choose(installed(&[17, 15]), None, String::new()).unwrap().major, 17);
        assert_eq!(choose(installed(&[17, 15]), Some(15), String::new()).unwrap().major, 15);
    }

    #[test]
    fn errors_say_what_to_install() {
        let error = choose(installed(&[17, 16]), Some(15), String::new()).unwrap_err().to_string();
        assert!(
            error.contains("PostgreSQL 15")
                && error.contains("17, 16")
                && error.contains("apt-get install postgresql-15"),
            "{error}"
        );
        let error = choose(installed(&[]), Some(15), "/nowhere".into()).unwrap_err().to_string();
        assert!(error.contains("/nowhere") && error.contains("apt-get install postgresql"), "{error}");
    }
}
