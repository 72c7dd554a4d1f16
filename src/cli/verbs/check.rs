//! `homeostat check`: whether history, what is read from it into memory, and the files of the data folder say the same.
//!
//! It only reads, and may run beside a deploy: everything is compared as of the version and the attempt that were the newest when it began.
//! Deliberately absent: the targets. Whether they are as history says is what `repair --report` finds out.

mod attempts;

use crate::cli::arguments::CheckOptions;
use crate::cli::embedded::Place;
use crate::cli::limits::CHECK_PAGE;
use crate::cli::output::{Output, Table, counted, either, time};
use crate::cli::{CliError, Exit};
use crate::core::{EnvironmentState, Epoch, IntentRecord, Life, LoadedRow, Name, ResourceId, VersionNumber};
use crate::executor::process::{check_key, environment_folder};
use crate::history::{Store, private_server};
use attempts::Attempts;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Characters of a process's id in the file of owners.
const OWNER_ID: usize = 32;

/// What to do where history contradicts itself.
const RESTORE: &str = "stop every homeostat process, keep a copy of the data folder, and bring its database back from a backup; \
                       without one, `homeostat deploy -f DIR --data-dir NEW` begins a new history of what is on the targets";
/// What to do where a file is in the way.
const TIDY: &str =
    "while nothing runs, delete the file that is named, as the folder's README.md describes, and check again";

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
struct CheckDocument {
    environment: Name,
    version: VersionNumber,
    /// Everything holds.
    holds: bool,
    items: Vec<Finding>,
}

/// One thing that must be so.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    holds: bool,
    /// What was found.
    detail: String,
    /// What to do where it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
}

impl Finding {
    /// `Ok`: how much was looked at; `Err`: what is not so.
    fn new(check: &'static str, found: Result<String, String>, next: &'static str) -> Self {
        match found {
            Ok(detail) => Self { check, holds: true, detail, next: None },
            Err(detail) => Self { check, holds: false, detail, next: Some(next) },
        }
    }
}

/// Checks everything, also after something did not hold.
pub(crate) async fn run(options: CheckOptions, output: Output) -> Result<Exit, CliError> {
    let document = Place::visited(&options.state, output, async |place| {
        let environment = place.environment(options.state.environment.as_deref(), None).await?;
        check(place, environment).await
    })
    .await?;
    output.print(&document, || text(&document))?;
    Ok(if document.holds { Exit::Done } else { Exit::NotCompliant })
}

async fn check(place: &Place, environment: Name) -> Result<CheckDocument, CliError> {
    let store = &*place.store;
    let snapshot = store.peek(&environment).await?.ok_or_else(|| place.nothing())?;
    let version = snapshot.version;
    let numbers = version_numbers(store, &environment, version).await?;
    let wanted = store.intents_at(&environment, version).await?;
    let mut attempts = Attempts::of(&snapshot);
    attempts.read(store, &environment, snapshot.last_attempt).await?;
    let live: Vec<&LoadedRow> = snapshot.resources.iter().filter(|row| row.life == Life::Live).collect();
    let state = EnvironmentState::restore(environment.clone(), Epoch(0), snapshot.clone(), time::now()).0;
    let items = vec![
        Finding::new("versions", versions(version, &numbers), RESTORE),
        Finding::new("intent", intent(&snapshot.resources, wanted.as_deref()), RESTORE),
        Finding::new("memory", memory(&state, version, &live), RESTORE),
        Finding::new("attempts", attempts.recorded(), RESTORE),
        Finding::new("grants", attempts.open(), RESTORE),
        Finding::new("folder", folder(&place.folder, place.is_private(), &environment), TIDY),
    ];
    Ok(CheckDocument { environment, version, holds: items.iter().all(|item| item.holds), items })
}

async fn version_numbers(
    store: &dyn Store,
    environment: &str,
    newest: VersionNumber,
) -> Result<Vec<VersionNumber>, CliError> {
    let (mut numbers, mut before) = (Vec::new(), Some(VersionNumber(newest.0 + 1)));
    loop {
        let page = store.versions(environment, before, CHECK_PAGE).await?;
        numbers.extend(page.iter().map(|version| version.number));
        before = page.last().map(|version| version.number);
        if page.len() < CHECK_PAGE as usize {
            return Ok(numbers);
        }
    }
}

/// Versions are gap-free up to the newest, from 1 or from the oldest that retention has kept; `numbers` are those that are there, newest first.
fn versions(newest: VersionNumber, numbers: &[VersionNumber]) -> Result<String, String> {
    let there: BTreeSet<u64> = numbers.iter().map(|number| number.0).collect();
    let oldest = there.first().copied().unwrap_or(1);
    match (oldest..=newest.0).find(|number| !there.contains(number)) {
        Some(missing) => Err(format!("version {missing} is not in history")),
        None if oldest > 1 => {
            Ok(format!("{} without a gap; those before {oldest} are no longer kept", counted(there.len(), "version")))
        }
        None => Ok(format!("{} without a gap", counted(there.len(), "version"))),
    }
}

/// What the current state says is wanted is what the newest version wants.
fn intent(rows: &[LoadedRow], wanted: Option<&[IntentRecord]>) -> Result<String, String> {
    let Some(wanted) = wanted else { return Err("the newest version is not in history".to_owned()) };
    let count = wanted.len();
    let mut wanted: BTreeMap<ResourceId, &IntentRecord> =
        wanted.iter().map(|record| (record.resource, record)).collect();
    for (resource, (set, intent)) in rows.iter().filter_map(|row| Some((row.resource, row.accepted()?))) {
        let name = &intent.name;
        match wanted.remove(&resource) {
            None => return Err(format!("{name} is in the current state, and the newest version does not want it")),
            Some(record) if record.intent.as_ref() != Some(intent) || record.set != *set => {
                return Err(format!("the current state of {name} has another intent than the newest version"));
            }
            Some(_) => {}
        }
    }
    match wanted.values().next() {
        Some(missing) => Err(format!("the newest version wants {}, and it has no current state", missing.name)),
        None => {
            Ok(format!("{} as the newest version wants {}", counted(count, "resource"), either(count, "it", "them")))
        }
    }
}

/// A scheduler that starts now knows every resource as it is stored.
fn memory(state: &EnvironmentState, version: VersionNumber, live: &[&LoadedRow]) -> Result<String, String> {
    if state.version() != version {
        return Err(format!("memory is at version {} and history at version {version}", state.version()));
    }
    for row in live {
        let name = &row.intent.name;
        let known = state.find(name).filter(|&id| id == row.resource).and_then(|id| state.row(id));
        if known.is_none_or(|known| {
            known.intent != row.intent || known.pending != row.pending || known.remote_identity != row.remote_identity
        }) {
            return Err(format!("memory knows {name} otherwise than history"));
        }
    }
    let known = state.views().filter(|view| view.row.life == Life::Live).count();
    if known == live.len() {
        Ok(format!("{} restored as stored", counted(known, "resource")))
    } else {
        Err(format!("memory knows {} and history {}", counted(known, "resource"), live.len()))
    }
}

/// The files that every run needs can be used, and those of the environment.
fn folder(folder: &Path, private: bool, environment: &str) -> Result<String, String> {
    let version = folder.join(private_server::DATA).join("PG_VERSION");
    if private && !version.is_file() {
        return Err(format!("{} is not there", version.display()));
    }
    let path = folder.join("owner");
    let owners = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        Ok(owners) => owners,
    };
    let is_id = |line: &str| line.len() == OWNER_ID && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(line) = owners.lines().find(|line| !is_id(line)) {
        return Err(format!("{} has a line that is no owner's id: {line:?}", path.display()));
    }
    let own = environment_folder(folder, environment);
    if std::fs::metadata(&own).is_ok_and(|found| !found.is_dir()) {
        return Err(format!("{} is no folder", own.display()));
    }
    check_key(folder, environment)?;
    Ok("the files of the data folder can be used".to_owned())
}

fn text(document: &CheckDocument) -> String {
    let mut table = Table::new(&["CHECK", "HOLDS", "FOUND"]);
    for item in &document.items {
        let holds = if item.holds { "yes" } else { "NO" };
        table.row(vec![item.check.to_owned(), holds.to_owned(), item.detail.clone()]);
    }
    let CheckDocument { environment, version, holds, .. } = document;
    let agree = format!("history, memory and data folder agree on environment {environment}, version {version}");
    let steps: BTreeSet<&str> = document.items.iter().filter_map(|item| item.next).collect();
    let steps = steps.into_iter().map(|next| format!("next: {next}"));
    let last: Vec<String> = steps.chain(holds.then_some(agree)).collect();
    format!("{}{}", table.render(), last.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{Intent, IntentParts, ResourceRow, Snapshot, Timestamp};
    use std::sync::Arc;

    fn checked(newest: u64, there: &[u64]) -> Result<String, String> {
        versions(VersionNumber(newest), &there.iter().copied().map(VersionNumber).collect::<Vec<_>>())
    }

    #[test]
    fn a_gap_in_the_versions_is_named() {
        assert_eq!(checked(3, &[3, 2, 1]).unwrap(), "3 versions without a gap");
        assert_eq!(checked(1, &[1]).unwrap(), "1 version without a gap");
        for (there, missing) in [(&[3, 1][..], 2), (&[2, 1], 3), (&[], 1)] {
            assert_eq!(checked(3, there).unwrap_err(), format!("version {missing} is not in history"));
        }
    }

    #[test]
    fn s7_what_retention_has_dropped_is_no_gap() {
        assert_eq!(checked(4, &[4, 3]).unwrap(), "2 versions without a gap; those before 3 are no longer kept");
        assert_eq!(checked(4, &[3]).unwrap_err(), "version 4 is not in history");
    }

    fn wanted(attributes: &str) -> Arc<Intent> {
        let (name, kind, target) = ("motd".into(), "test.Nothing".into(), "here".into());
        Arc::new(Intent::new(IntentParts {
            name,
            kind,
            target,
            identity: "motd".into(),
            attributes: attributes.into(),
            ..IntentParts::default()
        }))
    }

    fn row(resource: u32, attributes: &str) -> LoadedRow {
        ResourceRow::new(ResourceId(resource), "default".into(), wanted(attributes), VersionNumber(1)).into()
    }

    #[test]
    fn a_current_state_that_is_not_what_the_newest_version_wants_is_named() {
        let record = |resource: u32, attributes: &str| IntentRecord {
            resource: ResourceId(resource),
            name: "motd".into(),
            set: "default".into(),
            intent: Some(wanted(attributes)),
        };
        let rows = [row(1, "{}")];
        assert_eq!(intent(&rows, Some(&[record(1, "{}")])).unwrap(), "1 resource as the newest version wants it");
        let refused = |found: Option<&[IntentRecord]>| intent(&rows, found).unwrap_err();
        assert_eq!(refused(None), "the newest version is not in history");
        assert_eq!(refused(Some(&[])), "motd is in the current state, and the newest version does not want it");
        let other = "the current state of motd has another intent than the newest version";
        assert_eq!(refused(Some(&[record(1, "{\"a\":1}")])), other);
        assert_eq!(refused(Some(&[IntentRecord { set: "other".into(), ..record(1, "{}") }])), other);
        let missing = "the newest version wants motd, and it has no current state";
        assert_eq!(refused(Some(&[record(1, "{}"), record(2, "{}")])), missing);
    }

    #[test]
    fn what_a_scheduler_would_know_otherwise_than_history_is_named() {
        let stored = Snapshot { version: VersionNumber(1), resources: vec![row(1, "{}")], ..Snapshot::default() };
        let state = EnvironmentState::restore("house".into(), Epoch(0), stored, Timestamp(0)).0;
        let known =
            |version: u64, rows: &[LoadedRow]| memory(&state, VersionNumber(version), &rows.iter().collect::<Vec<_>>());
        assert_eq!(known(1, &[row(1, "{}")]).unwrap(), "1 resource restored as stored");
        assert_eq!(known(2, &[row(1, "{}")]).unwrap_err(), "memory is at version 1 and history at version 2");
        let mut named = row(1, "{}");
        named.remote_identity = Some("uid-1".into());
        for other in [row(2, "{}"), row(1, "{\"a\":1}"), named] {
            assert_eq!(known(1, &[other]).unwrap_err(), "memory knows motd otherwise than history");
        }
        assert_eq!(known(1, &[]).unwrap_err(), "memory knows 1 resource and history 0");
    }

    #[test]
    fn files_of_the_environment_that_cannot_be_used_are_named() {
        let place = tempfile::tempdir().unwrap();
        let found = || {
            let said = folder(place.path(), false, "house");
            said.map_err(|why| why.replace(place.path().to_str().unwrap(), "DATA"))
        };
        assert_eq!(found().unwrap(), "the files of the data folder can be used", "what is not there yet is made");
        let own = place.path().join("environments/house");
        std::fs::create_dir(place.path().join("environments")).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(found().unwrap_err(), "DATA/environments/house is no folder");
        std::fs::remove_file(&own).unwrap();
        std::fs::create_dir(&own).unwrap();
        for key in [[7; 32].as_slice(), &[]] {
            std::fs::write(own.join("secrets.key"), key).unwrap();
            assert!(found().is_ok(), "an empty one, which a crash has left, is made anew");
        }
        std::fs::write(own.join("secrets.key"), [7; 31]).unwrap();
        let why = "DATA/environments/house/secrets.key is not a key of 32 bytes; delete it while nothing runs, and a new one is made";
        assert_eq!(found().unwrap_err(), why);
    }
}
