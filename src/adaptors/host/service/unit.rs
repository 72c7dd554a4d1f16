//! What systemd says of a unit.

use super::systemctl;
use crate::adaptors::{AdaptorError, Desired};
use serde::Deserialize;
use std::collections::BTreeMap;

const PROPERTIES: &str = "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,Result,LoadError";

/// Whether it starts with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Startup {
    Enabled,
    Disabled,
    Masked,
}

impl Startup {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Masked => "masked",
        }
    }
}

/// The properties of one unit.
pub(super) struct Unit {
    name: String,
    properties: BTreeMap<String, String>,
    /// `enabled`, `static`, … in the words of systemd.
    startup: String,
}

impl Unit {
    pub(super) async fn read(desired: &Desired, name: &str) -> Result<Self, AdaptorError> {
        let shown = systemctl("show").option("property", PROPERTIES).operand(name).output(desired).await;
        let shown = shown.map_err(|error| AdaptorError(format!("{error}; is this machine run by systemd?")))?;
        let properties: BTreeMap<String, String> = shown
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        let mut unit = Self { name: name.to_owned(), startup: String::new(), properties };
        unit.startup = match unit.property("UnitFileState") {
            // Made from a script of System V: only the tool knows what these say.
            "generated" => systemctl("is-enabled").operand(name).end(desired, true).await?.stdout.trim().to_owned(),
            "" if unit.property("LoadState") == "masked" => "masked".to_owned(),
            known => known.to_owned(),
        };
        Ok(unit)
    }

    fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    pub(super) fn exists(&self) -> bool {
        self.property("LoadState") != "not-found"
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.property("ActiveState"), "active" | "reloading" | "refreshing")
    }

    /// On its way somewhere: starting, stopping, or about to be started again after a failure.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.property("ActiveState"), "activating" | "deactivating")
    }

    pub(super) fn needs_daemon_reload(&self) -> bool {
        self.property("NeedDaemonReload") == "yes"
    }

    /// Whether its startup is as wanted. A unit that others start, or that is not there, is disabled.
    pub(super) fn has(&self, wanted: Startup) -> bool {
        let masked = matches!(self.startup.as_str(), "masked" | "masked-runtime");
        match wanted {
            Startup::Enabled => matches!(self.startup.as_str(), "enabled" | "alias"),
            Startup::Disabled => !masked && !matches!(self.startup.as_str(), "enabled" | "enabled-runtime" | "alias"),
            Startup::Masked => self.startup == "masked",
        }
    }

    pub(super) fn startup_words(&self) -> &str {
        if self.startup.is_empty() { "not there" } else { &self.startup }
    }

    /// `active (running)`, `inactive (dead)`.
    pub(super) fn state_words(&self) -> String {
        format!("{} ({})", self.property("ActiveState"), self.property("SubState"))
    }

    /// How its last run ended: `success`, `exit-code`.
    pub(super) fn result(&self) -> &str {
        self.property("Result")
    }

    pub(super) fn missing(&self) -> AdaptorError {
        AdaptorError(format!(
            "there is no unit {}; declare the package or the file that brings it, and require that",
            self.name
        ))
    }
}
