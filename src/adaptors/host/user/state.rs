//! What is there of a user, what of it is to become different, and both in words.

use super::super::accounts::{self, Group, User};
use super::{Attributes, OtherGroups};
use crate::adaptors::{AdaptorError, sensitive_line};
use std::fmt::Write as _;

/// What is there.
pub(super) struct State {
    pub(super) user: User,
    all_groups: Vec<Group>,
    /// Supplementary groups, sorted.
    groups: Vec<String>,
    /// Of `/etc/shadow`; read only where something about it is declared, because that takes rights.
    password_field: Option<String>,
}

pub(super) async fn state(attributes: &Attributes) -> Result<Option<State>, AdaptorError> {
    let name = &attributes.name;
    let Some(user) = accounts::user(name).await? else { return Ok(None) };
    let all_groups = accounts::groups().await?;
    let member = |group: &&Group| group.members.iter().any(|member| member == name);
    let mut groups: Vec<String> = all_groups.iter().filter(member).map(|group| group.name.clone()).collect();
    groups.sort_unstable();
    let password_field = if attributes.password_hash.is_some() || attributes.locked.is_some() {
        Some(accounts::password_field(name).await?)
    } else {
        None
    };
    Ok(Some(State { user, all_groups, groups, password_field }))
}

/// What is to become different; `None` leaves what is there.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) uid: Option<u32>,
    /// The primary group, by name or number.
    pub(super) group: Option<String>,
    /// All supplementary groups.
    pub(super) groups: Option<Vec<String>>,
    pub(super) home: Option<String>,
    pub(super) shell: Option<String>,
    pub(super) comment: Option<String>,
    /// The lock alone; where the password changes too, it is in the field.
    pub(super) locked: Option<bool>,
    pub(super) password_field: Option<String>,
    /// For people.
    password_differs: bool,
    lock_differs: Option<bool>,
}

impl Wanted {
    /// What a new user gets.
    pub(super) fn of_new(attributes: &Attributes) -> Self {
        Self {
            uid: attributes.uid,
            group: attributes.group.clone(),
            groups: attributes.groups.clone().filter(|groups| !groups.is_empty()),
            home: attributes.home.clone(),
            shell: attributes.shell.clone(),
            comment: attributes.comment.clone(),
            password_differs: attributes.password_hash.is_some(),
            lock_differs: attributes.locked,
            ..Self::default()
        }
    }

    /// What of the declared differs from what is there.
    pub(super) fn differing(attributes: &Attributes, state: &State) -> Result<Self, AdaptorError> {
        let user = &state.user;
        let text = |wanted: &Option<String>, is: &str| wanted.clone().filter(|wanted| wanted != is);
        let group = attributes.group.clone().filter(|group| state.gid(group) != Some(user.gid));
        let groups = attributes.groups.as_ref().map(|groups| {
            let kept = state.groups.iter().filter(|_| attributes.other_groups == OtherGroups::Keep);
            let mut wanted: Vec<String> = groups.iter().chain(kept).cloned().collect();
            wanted.sort_unstable();
            wanted.dedup();
            wanted
        });
        let mut wanted = Self {
            uid: attributes.uid.filter(|uid| *uid != user.uid),
            group,
            groups: groups.filter(|groups| *groups != state.groups),
            home: text(&attributes.home, &user.home),
            shell: text(&attributes.shell, &user.shell),
            comment: text(&attributes.comment, &user.comment),
            ..Self::default()
        };
        if let Some(field) = &state.password_field {
            wanted.password(attributes, field)?;
        }
        Ok(wanted)
    }

    /// What of the password and its lock differs. A lock is a `!` in front of the hash; a field without a hash fits no password anyway.
    fn password(&mut self, attributes: &Attributes, field: &str) -> Result<(), AdaptorError> {
        let hash = field.trim_start_matches('!');
        let (is_locked, has_hash) = (field.starts_with('!'), hash.starts_with('$'));
        let locked = attributes.locked.unwrap_or(is_locked && has_hash);
        self.lock_differs = attributes.locked.filter(|locked| *locked != is_locked);
        match &attributes.password_hash {
            Some(wanted) if wanted != hash => {
                self.password_differs = true;
                self.password_field = Some(if locked { format!("!{wanted}") } else { wanted.clone() });
            }
            None if self.lock_differs == Some(false) && !has_hash => {
                return Err(AdaptorError(format!(
                    "{} has no password, and unlocking it would let everybody in: declare a passwordHash too, or leave locked out",
                    attributes.name
                )));
            }
            _ => self.locked = self.lock_differs,
        }
        Ok(())
    }

    /// Whether anything differs that `usermod` changes.
    pub(super) fn needs_tool(&self) -> bool {
        let texts = [&self.group, &self.home, &self.shell, &self.comment];
        self.uid.is_some() || self.groups.is_some() || self.locked.is_some() || texts.iter().any(|text| text.is_some())
    }

    /// One line for what a new user gets.
    pub(super) fn describe(&self) -> String {
        let mut lines = "a user\n".to_owned();
        let groups = self.groups.as_ref().map(|groups| groups.join(", "));
        let uid = self.uid.map(|uid| uid.to_string());
        let texts = [
            ("uid", &uid),
            ("group", &self.group),
            ("groups", &groups),
            ("home", &self.home),
            ("shell", &self.shell),
            ("comment", &self.comment),
        ];
        for (name, value) in texts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            let _ = writeln!(lines, "{name}: {value}");
        }
        self.describe_password(&mut lines, |locked| format!("locked: {locked}"));
        lines
    }

    /// One line per difference; empty where nothing differs.
    pub(super) fn differences(&self, state: &State) -> String {
        let mut lines = String::new();
        let mut line = |name: &str, is: &dyn std::fmt::Display, wanted: Option<&dyn std::fmt::Display>| {
            if let Some(wanted) = wanted {
                let _ = writeln!(lines, "{name}: {is} -> {wanted}");
            }
        };
        let user = &state.user;
        let list = |groups: &[String]| if groups.is_empty() { "none".to_owned() } else { groups.join(", ") };
        line("uid", &user.uid, shown(self.uid.as_ref()));
        line("group", &state.group_name(user.gid), shown(self.group.as_ref()));
        line("groups", &list(&state.groups), shown(self.groups.as_deref().map(list).as_ref()));
        line("home", &user.home, shown(self.home.as_ref()));
        line("shell", &user.shell, shown(self.shell.as_ref()));
        line("comment", &user.comment, shown(self.comment.as_ref()));
        self.describe_password(&mut lines, |locked| format!("locked: {} -> {locked}", !locked));
        lines
    }

    fn describe_password(&self, lines: &mut String, lock: impl Fn(bool) -> String) {
        if self.password_differs {
            lines.push_str(&sensitive_line("passwordHash"));
        }
        if let Some(locked) = self.lock_differs {
            let _ = writeln!(lines, "{}", lock(locked));
        }
    }
}

impl State {
    /// The number of a group; `None` where it is not there yet.
    fn gid(&self, group: &str) -> Option<u32> {
        group.parse().ok().or_else(|| Some(self.all_groups.iter().find(|known| known.name == group)?.gid))
    }

    fn group_name(&self, gid: u32) -> String {
        let group = self.all_groups.iter().find(|group| group.gid == gid);
        group.map_or_else(|| gid.to_string(), |group| group.name.clone())
    }
}

fn shown<T: std::fmt::Display>(wanted: Option<&T>) -> Option<&dyn std::fmt::Display> {
    wanted.map(|wanted| wanted as &dyn std::fmt::Display)
}
