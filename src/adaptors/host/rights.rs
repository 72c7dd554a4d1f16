//! Mode, owner and group: what is wanted, and what differs.
//!
//! Owners and groups are numbers, or names of `/etc/passwd` and `/etc/group`. Deliberately absent: directory services, whose names are known only
//! to the C library; write their numbers.

use super::place::failed;
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, FactValues};
use rustix::fs::{Gid, Mode, Stat, Uid};
use serde_json::Value;
use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::path::Path;

/// The bits that `mode` is about.
const MODE_BITS: u32 = 0o7777;

/// The fact of a mode.
pub(super) const MODE_FACT: (&str, &str) = ("mode", "Its permissions as four octal digits.");
/// The fact of an owner.
pub(super) const UID_FACT: (&str, &str) = ("uid", "The number of its owner.");
/// The fact of a group.
pub(super) const GID_FACT: (&str, &str) = ("gid", "The number of its group.");
/// What is known of the rights of anything.
pub(super) const FACTS: &[(&str, &str)] = &[MODE_FACT, UID_FACT, GID_FACT];

/// The values of [`FACTS`].
pub(super) fn facts(stat: &Stat) -> FactValues {
    let mode = format!("{:04o}", stat.st_mode & MODE_BITS);
    let facts = [("mode", mode.into()), ("uid", stat.st_uid.into()), ("gid", stat.st_gid.into())];
    facts.into_iter().map(|(name, value): (_, Value)| (name.to_owned(), value)).collect()
}

/// What is wanted; `None` leaves what is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rights {
    mode: Option<u32>,
    owner: Option<u32>,
    group: Option<u32>,
}

impl Rights {
    pub(super) fn parse(mode: Option<&str>, owner: Option<&str>, group: Option<&str>) -> Result<Self, AdaptorError> {
        let mode = mode
            .map(|text| parse_mode(text).ok_or_else(|| AdaptorError(format!("mode {text:?}: {MODE_HELP}"))))
            .transpose()?;
        let owner = owner.map(|name| number(name, "user", "/etc/passwd")).transpose()?;
        let group = group.map(|name| number(name, "group", "/etc/group")).transpose()?;
        Ok(Self { mode, owner, group })
    }

    /// One line per difference; empty where nothing differs.
    pub(super) fn differences(&self, stat: &Stat) -> String {
        let mut lines = String::new();
        let mode = stat.st_mode & MODE_BITS;
        if let Some(wanted) = self.mode.filter(|wanted| *wanted != mode) {
            let _ = writeln!(lines, "mode: {mode:04o} -> {wanted:04o}");
        }
        for (what, is, wanted) in [("owner", stat.st_uid, self.owner), ("group", stat.st_gid, self.group)] {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                let file = if what == "owner" { "/etc/passwd" } else { "/etc/group" };
                let _ = writeln!(lines, "{what}: {} -> {}", name_of(is, file), name_of(wanted, file));
            }
        }
        lines
    }

    /// One line per right that something new gets.
    pub(super) fn describe(&self) -> String {
        let mut lines = String::new();
        if let Some(mode) = self.mode {
            let _ = writeln!(lines, "mode: {mode:04o}");
        }
        for (what, wanted, file) in [("owner", self.owner, "/etc/passwd"), ("group", self.group, "/etc/group")] {
            if let Some(wanted) = wanted {
                let _ = writeln!(lines, "{what}: {}", name_of(wanted, file));
            }
        }
        lines
    }

    /// What something new gets: a mode in any case.
    pub(super) fn for_new(self, default_mode: u32) -> Self {
        Self { mode: self.mode.or(Some(default_mode)), ..self }
    }

    /// What is wanted, and where nothing is, what was there.
    pub(super) fn or(self, stat: &Stat) -> Self {
        Self {
            mode: self.mode.or(Some(stat.st_mode & MODE_BITS)),
            owner: self.owner.or(Some(stat.st_uid)),
            group: self.group.or(Some(stat.st_gid)),
        }
    }

    /// Sets on an open file or folder what differs. The owner first: changing it clears bits of the mode.
    pub(super) fn set(&self, file: impl AsFd, path: &Path) -> Result<(), AdaptorError> {
        let stat = rustix::fs::fstat(&file).map_err(|error| failed("cannot look at", path, error))?;
        let owner = self.owner.filter(|owner| *owner != stat.st_uid);
        let group = self.group.filter(|group| *group != stat.st_gid);
        if owner.is_some() || group.is_some() {
            let (owner, group) = (owner.map(Uid::from_raw), group.map(Gid::from_raw));
            rustix::fs::fchown(&file, owner, group)
                .map_err(|error| failed("cannot change the owner of", path, error))?;
        }
        if let Some(mode) = self.mode {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
                .map_err(|error| failed("cannot change the mode of", path, error))?;
        }
        Ok(())
    }
}

const MODE_HELP: &str = "must be three or four octal digits in quotes, such as \"0644\"";

fn parse_mode(text: &str) -> Option<u32> {
    let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if digits { u32::from_str_radix(text, 8).ok() } else { None }
}

/// The complaint about a mode that is none.
pub(super) fn mode_complaint(attributes: &Value) -> Option<Complaint> {
    let mode = attributes.get("mode").and_then(Value::as_str)?;
    if parse_mode(mode).is_some() { None } else { Some(Complaint::new("/mode", MODE_HELP)) }
}

/// A schema's own members, and those that are about rights.
pub(super) fn with_rights(mut properties: Value) -> Value {
    let text = |description: &str, most: u32| serde_json::json!({"type": "string", "minLength": 1, "maxLength": most, "description": description});
    let rights = [
        ("mode", text("Permissions as octal digits in quotes, such as \"0644\". Absent: left as they are.", 4)),
        ("owner", text("User name or number. Absent: left as it is.", 256)),
        ("group", text("Group name or number. Absent: left as it is.", 256)),
    ];
    if let Some(members) = properties.as_object_mut() {
        members.extend(rights.map(|(name, property)| (name.to_owned(), property)));
    }
    properties
}

fn number(name: &str, what: &str, file: &str) -> Result<u32, AdaptorError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed("cannot read", Path::new(file), error))?;
    let found = entries(&text).find(|(entry, _)| *entry == name).map(|(_, number)| number);
    found.ok_or_else(|| {
        AdaptorError(format!("there is no {what} {name:?} in {file}; create it first, or give its number"))
    })
}

fn name_of(number: u32, file: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let name = entries(&text).find(|(_, entry)| *entry == number).map(|(name, _)| name.to_owned());
    name.unwrap_or_else(|| number.to_string())
}

/// `name:x:number:…` lines.
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    })
}
