//! `host.User`: a user of this machine, by `useradd`, `usermod`, `userdel` and `chpasswd`.
//!
//! A password is declared as a hash, reaches the machine over a pipe and is never shown. Deliberately absent: plain passwords, their age, and SSH
//! keys (declare them as a `host.File`). A home folder is made with the user where that is wanted, and never deleted: what is in it is not ours.

mod state;

use self::state::{Wanted, state};
use super::accounts::{self, id_schema, name_complaint, name_schema};
use super::tool::Tool;
use super::{Ensure, assessment, attributes, ensure_schema, nothing, path_complaint, path_schema};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, FactValues, TypeSchema};
use crate::core::Change;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const KIND: &str = "host.User";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    name: String,
    uid: Option<u32>,
    group: Option<String>,
    groups: Option<Vec<String>>,
    #[serde(default)]
    other_groups: OtherGroups,
    home: Option<String>,
    create_home: Option<bool>,
    shell: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    system: bool,
    locked: Option<bool>,
    password_hash: Option<String>,
    #[serde(default)]
    ensure: Ensure,
}

/// What happens to memberships that are not declared.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OtherGroups {
    #[default]
    Remove,
    Keep,
}

pub(super) fn schema() -> TypeSchema {
    TypeSchema {
        kind: KIND,
        description: "A user of /etc/passwd. What is not declared is left as it is. The home folder is never deleted.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": name_schema("What the user is called."),
                "uid": id_schema("The number. When it changes, files in the home folder change with it, others keep the old one. Absent: the next free one."),
                "group": name_schema("The primary group, by name or number; it must exist. Absent: a group of the user's own name, as the machine is set up."),
                "groups": {"type": "array", "maxItems": 128, "uniqueItems": true, "items": name_schema("A group."), "description": "The other groups the user is in, by name; they must exist. An empty list: none."},
                "otherGroups": {"type": "string", "enum": ["remove", "keep"], "description": "Where `groups` is given: whether memberships that it does not list are removed. Default: remove."},
                "home": path_schema("The home folder. When it changes, nothing is moved."),
                "createHome": {"type": "boolean", "description": "Whether a new user's home folder is made. Default: true, but not for system users."},
                "shell": path_schema("The login shell."),
                "comment": {"type": "string", "maxLength": 256, "description": "The full name, or a word on what the user is for."},
                "system": {"type": "boolean", "description": "Whether a new user gets a number of the range for system users. Default: false."},
                "locked": {"type": "boolean", "description": "Whether logging in by password is refused. Other ways, such as SSH keys, are not touched. Absent: left as it is."},
                "passwordHash": {"type": "string", "minLength": 1, "maxLength": 512, "description": "The password as crypt(5) hashes it, such as `mkpasswd` prints. Secret: it comes from attributesFrom, is refused here, and is never shown. Absent: left as it is."},
                "ensure": ensure_schema("Whether the user is to be there."),
            },
            "examples": [
                {"name": "ada", "uid": 1501, "groups": ["sudo"], "shell": "/bin/bash", "comment": "Ada Lovelace"},
                {"name": "backup-agent", "system": true, "home": "/var/lib/backup-agent", "shell": "/usr/sbin/nologin", "locked": true},
            ],
        }),
        identity: &["/name"],
        identity_part: None,
        sensitive: &["/passwordHash"],
        facts: &[
            ("uid", "Its number."),
            ("gid", "The number of its primary group."),
            ("home", "Its home folder."),
            ("shell", "Its login shell."),
        ],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let mut complaints: Vec<Complaint> =
        text("name").and_then(|name| name_complaint("/name", name)).into_iter().collect();
    if let Some(group) = text("group").filter(|group| group.parse::<u32>().is_err()) {
        complaints.extend(name_complaint("/group", group));
    }
    let groups = attributes.get("groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for (index, group) in groups.enumerate() {
        complaints.extend(name_complaint(&format!("/groups/{index}"), group));
    }
    for name in ["home", "shell"] {
        if let Some(path) = text(name) {
            complaints.extend(path_complaint(&format!("/{name}"), path));
            if path.contains([':', '\n']) {
                complaints.push(Complaint::new(format!("/{name}"), "must not contain a colon or a line end"));
            }
        }
    }
    if text("comment").is_some_and(|comment| comment.contains([':', '\n', '\0'])) {
        complaints.push(Complaint::new("/comment", "must not contain a colon, a line end or NUL"));
    }
    // Without a word of what it is.
    let is_hash =
        |hash: &str| hash.starts_with('$') && hash.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if text("passwordHash").is_some_and(|hash| !is_hash(hash)) {
        let message = "must be a hash as crypt(5) writes it, beginning with `$`; never a plain password";
        complaints.push(Complaint::new("/passwordHash", message));
    }
    if text("otherGroups").is_some() && attributes.get("groups").is_none() {
        complaints.push(Complaint::new("/otherGroups", "means something only together with groups"));
    }
    complaints
}

pub(super) async fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    // Who wanted a user absent and no longer does wants nothing of it.
    if deleting && attributes.ensure == Ensure::Absent {
        return Ok(nothing());
    }
    let found = state(&attributes).await?;
    if deleting || attributes.ensure == Ensure::Absent {
        return Ok(found.map_or_else(nothing, |state| {
            let diff = format!(
                "delete the user {} (uid {}); the folder {} stays\n",
                attributes.name, state.user.uid, state.user.home
            );
            assessment(Change::Delete, diff)
        }));
    }
    Ok(match found {
        None => assessment(Change::Create, Wanted::of_new(&attributes).describe()),
        Some(state) => {
            let diff = Wanted::differing(&attributes, &state)?.differences(&state);
            assessment(if diff.is_empty() { Change::None } else { Change::Update }, diff)
        }
    })
}

pub(super) async fn facts(desired: &Desired) -> Result<FactValues, AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let Some(user) = accounts::user(&attributes.name).await? else { return Ok(FactValues::new()) };
    let facts: [(&str, Value); 4] =
        [("uid", user.uid.into()), ("gid", user.gid.into()), ("home", user.home.into()), ("shell", user.shell.into())];
    Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(super) async fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let attributes: Attributes = attributes(desired, check)?;
    let name = &attributes.name;
    match (change, state(&attributes).await?) {
        (Change::None, _) | (Change::Delete, None) => Ok(()),
        (Change::Delete, Some(_)) => Tool::new("userdel").operand(name).succeed(desired).await,
        (_, None) => {
            create(desired, &attributes).await?;
            // What is about the password differs from what a new user has.
            match state(&attributes).await? {
                Some(state) => update(desired, name, &Wanted::differing(&attributes, &state)?).await,
                None => Err(AdaptorError(format!("useradd succeeded, but there is no user {name} in /etc/passwd"))),
            }
        }
        (_, Some(state)) => update(desired, name, &Wanted::differing(&attributes, &state)?).await,
    }
}

async fn create(desired: &Desired, attributes: &Attributes) -> Result<(), AdaptorError> {
    let Attributes { name, system, .. } = attributes;
    let home = if attributes.create_home.unwrap_or(!system) { "--create-home" } else { "--no-create-home" };
    let mut tool =
        with(Tool::new("useradd").words([home]).words(system.then_some("--system")), &Wanted::of_new(attributes));
    // A group of that name may be there already; useradd would refuse to make it again.
    if attributes.group.is_none() && accounts::groups().await?.iter().any(|group| group.name == *name) {
        tool = tool.option("gid", name);
    }
    tool.operand(name).succeed(desired).await
}

async fn update(desired: &Desired, name: &str, wanted: &Wanted) -> Result<(), AdaptorError> {
    if wanted.needs_tool() {
        let lock = wanted.locked.map(|locked| if locked { "--lock" } else { "--unlock" });
        with(Tool::new("usermod").words(lock), wanted).operand(name).succeed(desired).await?;
    }
    let Some(field) = &wanted.password_field else { return Ok(()) };
    // Over a pipe: arguments are seen by everybody on the machine.
    Tool::new("chpasswd").words(["--encrypted"]).input(format!("{name}:{field}\n")).succeed(desired).await
}

/// The options that `useradd` and `usermod` share.
fn with(tool: Tool, wanted: &Wanted) -> Tool {
    let groups = wanted.groups.as_ref().map(|groups| groups.join(","));
    let options = [
        ("uid", wanted.uid.map(|uid| uid.to_string())),
        ("gid", wanted.group.clone()),
        ("groups", groups),
        ("home", wanted.home.clone()),
        ("shell", wanted.shell.clone()),
        ("comment", wanted.comment.clone()),
    ];
    let given = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.fold(tool, |tool, (name, value)| tool.option(name, value))
}
