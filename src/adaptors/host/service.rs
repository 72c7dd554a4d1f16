//! `host.Service`: a unit of systemd, by `systemctl`.
//!
//! Whether it runs, and whether it starts with the machine. When something it requires has changed, a running unit is restarted or reloaded, after
//! systemd has read its unit files again. Deleting it takes back what was declared: it is stopped, disabled, unmasked. Deliberately absent: the
//! units of users, and writing unit files (declare them as a `host.File`).

mod unit;

use self::unit::{Startup, Unit};
use super::tool::Tool;
use super::{assessment, attributes, known};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, FactValues, TypeSchema};
use crate::core::Change;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;

pub(super) const KIND: &str = "host.Service";

/// The kinds of unit that a name may end with.
const SUFFIXES: [&str; 8] = [".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap", ".target"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    name: String,
    state: Option<State>,
    startup: Option<Startup>,
    #[serde(default)]
    on_reload: OnReload,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Running,
    Stopped,
}

/// What a running unit does when something it requires has changed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OnReload {
    #[default]
    Restart,
    Reload,
}

pub(super) fn schema() -> TypeSchema {
    TypeSchema {
        kind: KIND,
        description: "A unit of systemd: whether it runs, and whether it starts with the machine. Restarted or reloaded when something it requires has changed. Deleting it takes back what is declared.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 255, "description": "The unit; without a suffix such as .timer, a .service."},
                "state": {"type": "string", "enum": ["running", "stopped"], "description": "Whether it is to run now. Absent: left as it is."},
                "startup": {"type": "string", "enum": ["enabled", "disabled", "masked"], "description": "Whether it starts with the machine; a masked one cannot be started at all. Absent: left as it is."},
                "onReload": {"type": "string", "enum": ["restart", "reload"], "description": "What a running unit does when something it requires has changed; one that cannot reload is restarted. Default: restart."},
            },
            "examples": [
                {"name": "nginx", "state": "running", "startup": "enabled", "onReload": "reload"},
                {"name": "apt-daily.timer", "state": "stopped", "startup": "masked"},
            ],
        }),
        identity: &["/name"],
        identity_part: Some(|_, name, _| name.as_str().map_or(Value::Null, |name| Value::from(full_name(name)))),
        sensitive: &[],
        facts: &[
            ("state", "`running` or `stopped`."),
            ("startup", "Whether it starts with the machine, in the words of systemd: `enabled`, `static` …"),
        ],
        check: Some(check),
    }
}

/// The name with its suffix.
fn full_name(name: &str) -> Cow<'_, str> {
    if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) { name.into() } else { format!("{name}.service").into() }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let mut complaints = Vec::new();
    let name = text("name").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'.' | b'\\' | b'@' | b'-');
    if name.starts_with('-') || !name.bytes().all(fits) {
        // What systemctl takes for a pattern is among what is refused here.
        complaints.push(Complaint::new("/name", "must be letters, digits and `:_.\\@-`, and not begin with `-`"));
    }
    if text("state") == Some("running") && text("startup") == Some("masked") {
        complaints.push(Complaint::new("/startup", "a masked unit cannot run"));
    }
    complaints
}

/// What is to be done, in this order: first what must be so before it can start.
#[derive(Default)]
struct Plan {
    startup: Option<Startup>,
    state: Option<State>,
    /// The unit runs, is to go on running, and shall take up what has changed.
    reload: bool,
}

impl Plan {
    fn of(attributes: &Attributes, unit: &Unit, reload: bool) -> Self {
        let is = if unit.runs() { State::Running } else { State::Stopped };
        let state = attributes.state.filter(|wanted| *wanted != is || (is == State::Stopped && unit.is_busy()));
        Self {
            startup: attributes.startup.filter(|wanted| !unit.has(*wanted)),
            state,
            reload: reload && unit.runs() && state.is_none() && attributes.startup != Some(Startup::Masked),
        }
    }

    /// What is taken back when nobody wants it any more.
    fn of_removal(attributes: &Attributes, unit: &Unit) -> Self {
        let startup = match attributes.startup {
            Some(Startup::Enabled | Startup::Masked) => Some(Startup::Disabled),
            _ => None,
        };
        let stop = attributes.state == Some(State::Running) && (unit.runs() || unit.is_busy());
        Self {
            startup: startup.filter(|wanted| unit.exists() && !unit.has(*wanted)),
            state: stop.then_some(State::Stopped),
            reload: false,
        }
    }

    fn differences(&self, unit: &Unit, on_reload: OnReload) -> String {
        let mut lines = String::new();
        if let Some(startup) = self.startup {
            let _ = writeln!(lines, "startup: {} -> {}", unit.startup_words(), startup.word());
        }
        if let Some(state) = self.state {
            let wanted = if state == State::Running { "running" } else { "stopped" };
            let _ = writeln!(lines, "state: {} -> {wanted}", unit.state_words());
        }
        if self.reload {
            let how = if on_reload == OnReload::Reload { "reload" } else { "restart" };
            let _ = writeln!(lines, "{how}: what it requires has changed");
        }
        lines
    }
}

pub(super) async fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let unit = Unit::read(desired, &full_name(&attributes.name)).await?;
    let (plan, change) = if deleting {
        (Plan::of_removal(&attributes, &unit), Change::Delete)
    } else {
        (Plan::of(&attributes, &unit, desired.reload), Change::Update)
    };
    let diff = plan.differences(&unit, attributes.on_reload);
    Ok(if diff.is_empty() { known(facts_of(&unit)) } else { assessment(change, diff) })
}

fn facts_of(unit: &Unit) -> FactValues {
    if !unit.exists() {
        return FactValues::new();
    }
    let state = if unit.runs() { "running" } else { "stopped" };
    [("state".to_owned(), state.into()), ("startup".to_owned(), unit.startup_words().into())].into_iter().collect()
}

pub(super) async fn facts(desired: &Desired) -> Result<FactValues, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    Ok(facts_of(&Unit::read(desired, &full_name(&attributes.name)).await?))
}

pub(super) async fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let name = full_name(&attributes.name);
    let unit = Unit::read(desired, &name).await?;
    let plan = match change {
        Change::None => return Ok(()),
        Change::Delete => Plan::of_removal(&attributes, &unit),
        _ => Plan::of(&attributes, &unit, desired.reload),
    };
    if unit.needs_daemon_reload() {
        systemctl("daemon-reload").succeed(desired).await?;
    }
    match plan.startup {
        None => {}
        Some(_) if !unit.exists() && change != Change::Delete => return Err(unit.missing()),
        Some(Startup::Enabled) => {
            unmask(desired, &unit, &name).await?;
            systemctl("enable").operand(&name).succeed(desired).await?;
        }
        Some(Startup::Disabled) => {
            unmask(desired, &unit, &name).await?;
            systemctl("disable").operand(&name).succeed(desired).await?;
        }
        Some(Startup::Masked) => systemctl("mask").operand(&name).succeed(desired).await?,
    }
    match plan.state {
        Some(State::Running) => run(desired, "start", &name).await?,
        Some(State::Stopped) => run(desired, "stop", &name).await?,
        None if plan.reload => {
            let verb = if attributes.on_reload == OnReload::Reload { "reload-or-restart" } else { "restart" };
            run(desired, verb, &name).await?;
        }
        None => return verify_startup(desired, &attributes, &plan, change).await,
    }
    verify_startup(desired, &attributes, &plan, change).await?;
    let after = Unit::read(desired, &name).await?;
    if (plan.state == Some(State::Running) || plan.reload) && !after.runs() {
        let hint = if after.result() == "success" { ". A oneshot unit runs only with RemainAfterExit=yes" } else { "" };
        return Err(AdaptorError(format!(
            "{name} was started and is {} now ({}); look at `journalctl -u {name}`{hint}",
            after.state_words(),
            after.result()
        )));
    }
    Ok(())
}

/// Where it fails, systemd knows why: `systemctl` says nothing of a unit that does not come up, since it is told to be quiet.
async fn run(desired: &Desired, verb: &str, name: &str) -> Result<(), AdaptorError> {
    let Err(AdaptorError(error)) = systemctl(verb).operand(name).succeed(desired).await else { return Ok(()) };
    let after = Unit::read(desired, name).await?;
    if !after.exists() {
        return Err(AdaptorError(error));
    }
    let (state, result) = (after.state_words(), after.result());
    Err(AdaptorError(format!("{error}; {name} is {state} now ({result}): look at `journalctl -u {name}`")))
}

async fn unmask(desired: &Desired, unit: &Unit, name: &str) -> Result<(), AdaptorError> {
    if !unit.has(Startup::Masked) {
        return Ok(());
    }
    systemctl("unmask").operand(name).succeed(desired).await
}

/// `systemctl enable` succeeds, and does nothing, where the unit says nothing of when it starts.
async fn verify_startup(
    desired: &Desired,
    attributes: &Attributes,
    plan: &Plan,
    change: Change,
) -> Result<(), AdaptorError> {
    let Some(wanted) = plan.startup.filter(|_| change != Change::Delete) else { return Ok(()) };
    let name = full_name(&attributes.name);
    let unit = Unit::read(desired, &name).await?;
    if unit.has(wanted) {
        return Ok(());
    }
    Err(AdaptorError(format!(
        "{name} was to be {}, and is {}; a unit without an [Install] section is started by others and cannot be enabled",
        wanted.word(),
        unit.startup_words()
    )))
}

fn systemctl(verb: &str) -> Tool {
    Tool::new("systemctl").words(["--no-ask-password", "--no-pager", "--quiet", verb])
}
