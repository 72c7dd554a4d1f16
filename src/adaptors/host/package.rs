//! `host.Package`: a Debian package, by `apt-get`, `apt-cache` and `dpkg-query`.
//!
//! Nothing asks: questions are answered by their defaults, and configuration files that were changed on the machine are kept. A lock that another
//! program holds is waited for until the attempt's deadline. What an interrupted `dpkg` left is completed first. Other packages are never removed:
//! an install that would do so fails, and so does a removal of what others need. Deliberately absent: sources, keys, holds, and upgrades of the
//! whole machine.

mod apt;
mod state;

use self::state::{Installed, State};
use super::{assessment, attributes, known, nothing};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, FactValues, TypeSchema};
use crate::core::Change;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

pub(super) const KIND: &str = "host.Package";

/// The age of package lists that is still good enough, in seconds, when nothing is said: a day.
const DEFAULT_LIST_AGE_SECONDS: u64 = 86_400;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    name: String,
    #[serde(default)]
    ensure: Ensure,
    version: Option<String>,
    #[serde(default)]
    purge: bool,
    install_recommends: Option<bool>,
    max_list_age_seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ensure {
    #[default]
    Present,
    Absent,
    Latest,
}

impl Attributes {
    fn max_list_age(&self) -> Duration {
        Duration::from_secs(self.max_list_age_seconds.unwrap_or(DEFAULT_LIST_AGE_SECONDS))
    }
}

pub(super) fn schema() -> TypeSchema {
    TypeSchema {
        kind: KIND,
        description: "A Debian package. No other package is ever removed for it or with it. Deleting it removes the package.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 2, "maxLength": 128, "description": "The package, with its architecture where that is not the machine's: libc6:i386."},
                "ensure": {"type": "string", "enum": ["present", "absent", "latest"], "description": "Whether it is to be there, in whatever version; or in the newest that the package lists know. Default: present."},
                "version": {"type": "string", "minLength": 1, "maxLength": 128, "description": "Exactly this version, also where a newer one is there."},
                "purge": {"type": "boolean", "description": "Whether its configuration files go with it when it is removed. Default: false."},
                "installRecommends": {"type": "boolean", "description": "Whether packages that it recommends are installed with it. Absent: as apt is set up."},
                "maxListAgeSeconds": {"type": "integer", "minimum": 60, "maximum": 31_536_000, "description": "Package lists older than this are brought up to date before an installation; with `ensure: latest` old lists are a difference by themselves. Default: 86400, a day. They are brought up to date in any case when they do not know the package or the version."},
            },
            "examples": [
                {"name": "nginx"},
                {"name": "postgresql-15", "version": "15.9-0+deb12u1"},
                {"name": "openssl", "ensure": "latest", "maxListAgeSeconds": 3600},
            ],
        }),
        identity: &["/name"],
        identity_part: None,
        sensitive: &[],
        facts: &[("version", "The version that is installed.")],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let mut complaints = Vec::new();
    let name = text("name").unwrap_or_default();
    let (package, architecture) = name.split_once(':').unwrap_or((name, "any"));
    let word = |text: &str, more: &[u8]| {
        text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(&byte))
    };
    // To apt-get, a minus at the end means the opposite.
    if !word(package, b"+-.") || package.ends_with('-') || !word(architecture, b"-") || architecture.ends_with('-') {
        let message = "must be a package such as libc6 or libc6:i386: lower case letters, digits and `+-.`";
        complaints.push(Complaint::new("/name", message));
    }
    if let Some(version) = text("version") {
        let fits = version.starts_with(|first: char| first.is_ascii_alphanumeric())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-:~".contains(&byte));
        if !fits {
            complaints
                .push(Complaint::new("/version", "must be a version such as 1:2.3-4: letters, digits and `.+-:~`"));
        }
        if matches!(text("ensure"), Some("absent" | "latest")) {
            complaints.push(Complaint::new("/version", "means something only with `ensure: present`"));
        }
    }
    complaints
}

pub(super) async fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    // Who wanted a package absent and no longer does wants nothing of it.
    if deleting && attributes.ensure == Ensure::Absent {
        return Ok(nothing());
    }
    let state = State::read(desired, &attributes.name).await?;
    if deleting || attributes.ensure == Ensure::Absent {
        return Ok(match (&state.installed, attributes.purge) {
            (Installed::No, _) | (Installed::Configuration, false) => nothing(),
            (Installed::Configuration, true) => {
                assessment(Change::Delete, "delete the configuration files\n".to_owned())
            }
            (is, purge) => {
                let files = if purge { ", with its configuration files" } else { "" };
                assessment(Change::Delete, format!("delete the package, version {}{files}\n", is.words()))
            }
        });
    }
    let (Installed::Yes(is) | Installed::Partly(is, _)) = &state.installed else {
        let wanted = attributes.version.as_deref().or(state.candidate.as_deref());
        return Ok(assessment(Change::Create, format!("version: {}\n", wanted.unwrap_or("not yet known"))));
    };
    let mut diff = String::new();
    if let Installed::Partly(_, how) = &state.installed {
        diff = format!("state: {how} -> installed\n");
    }
    let newest = state.candidate.as_ref().filter(|_| attributes.ensure == Ensure::Latest);
    if let Some(wanted) = attributes.version.as_ref().or(newest).filter(|wanted| *wanted != is) {
        let _ = writeln!(diff, "version: {is} -> {wanted}");
    }
    if attributes.ensure == Ensure::Latest && apt::lists_are_old(attributes.max_list_age()).await? {
        diff.push_str("package lists: too old -> up to date\n");
    }
    Ok(if diff.is_empty() { known(facts_of(&state)) } else { assessment(Change::Update, diff) })
}

fn facts_of(state: &State) -> FactValues {
    match &state.installed {
        Installed::Yes(version) => [("version".to_owned(), version.as_str().into())].into_iter().collect(),
        _ => FactValues::new(),
    }
}

pub(super) async fn facts(desired: &Desired) -> Result<FactValues, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    Ok(facts_of(&State::read(desired, &attributes.name).await?))
}

pub(super) async fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    if change == Change::None {
        return Ok(());
    }
    apt::complete_what_was_interrupted(desired).await?;
    let mut state = State::read(desired, &attributes.name).await?;
    if change == Change::Delete {
        return match (state.installed, attributes.purge) {
            (Installed::No, _) | (Installed::Configuration, false) => Ok(()),
            (_, purge) => apt::remove(desired, &attributes.name, purge).await,
        };
    }
    if apt::lists_are_old(attributes.max_list_age()).await? || !state.offers(attributes.version.as_deref()) {
        apt::update(desired).await?;
        state = State::read(desired, &attributes.name).await?;
    }
    let is = match &state.installed {
        Installed::Yes(version) => Some(version),
        _ => None,
    };
    let done = match (attributes.version.as_ref(), attributes.ensure) {
        (Some(wanted), _) => is == Some(wanted),
        (None, Ensure::Latest) => is.is_some() && (is == state.candidate.as_ref() || state.candidate.is_none()),
        (None, _) => is.is_some(),
    };
    if done {
        return Ok(());
    }
    if !state.offers(attributes.version.as_deref()) && is.is_none_or(|_| attributes.version.is_some()) {
        return Err(state.unknown(&attributes.name, attributes.version.as_deref()));
    }
    apt::install(desired, &attributes).await
}
