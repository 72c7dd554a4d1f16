//! What `/etc/passwd`, `/etc/group` and `/etc/shadow` say, and which names may stand in them.
//!
//! Read as files: these are the accounts that the tools of the machine change. Deliberately absent: directory services.

use super::place::failed;
use crate::adaptors::AdaptorError;
use crate::adaptors::limits::ACCOUNT_NAME_BYTES;
use crate::adaptors::schema::Complaint;
use serde_json::{Value, json};
use std::path::Path;

/// The highest number: the one above means "no change" to the kernel.
const MOST_ID: u32 = u32::MAX - 2;

/// One line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) comment: String,
    pub(super) home: String,
    pub(super) shell: String,
}

/// One line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) gid: u32,
    pub(super) members: Vec<String>,
}

pub(super) async fn user(name: &str) -> Result<Option<User>, AdaptorError> {
    let text = read("/etc/passwd").await?;
    Ok(text.lines().find_map(|line| {
        let [found, _, uid, gid, comment, home, shell] = fields(line)?;
        (found == name).then_some(User {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            comment: comment.to_owned(),
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    }))
}

/// All groups, in the order of the file.
pub(super) async fn groups() -> Result<Vec<Group>, AdaptorError> {
    let text = read("/etc/group").await?;
    let group = |line: &str| {
        let [name, _, gid, members] = fields(line)?;
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
        Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
    };
    Ok(text.lines().filter_map(group).collect())
}

/// The password field of a user: a hash, `!` and a hash where it is locked, or something that no password fits.
pub(super) async fn password_field(name: &str) -> Result<String, AdaptorError> {
    let text = read("/etc/shadow").await?;
    let field = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.next().unwrap_or_default().to_owned())
    });
    Ok(field.unwrap_or_default())
}

async fn read(path: &'static str) -> Result<String, AdaptorError> {
    let bytes = tokio::fs::read(path).await.map_err(|error| failed("cannot read", Path::new(path), error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn fields<const COUNT: usize>(line: &str) -> Option<[&str; COUNT]> {
    line.split(':').collect::<Vec<_>>().try_into().ok()
}

/// The schema of a name.
pub(super) fn name_schema(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": ACCOUNT_NAME_BYTES, "description": description})
}

/// The schema of a number.
pub(super) fn id_schema(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": MOST_ID, "description": description})
}

/// A complaint where a user or group could not be called so.
pub(super) fn name_complaint(pointer: &str, name: &str) -> Option<Complaint> {
    let body = name.strip_suffix('$').unwrap_or(name);
    let fits = body.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let help = "must begin with a letter or `_`, followed by letters, digits, `_`, `-` and `.`";
    (!fits).then(|| Complaint::new(pointer, help))
}
