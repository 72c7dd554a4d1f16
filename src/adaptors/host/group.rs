//! `host.Group`: a group of users, by `groupadd`, `groupmod` and `groupdel`.
//!
//! Deliberately absent: members, which are declared with the users.

use super::accounts::{self, id_schema, name_complaint, name_schema};
use super::tool::Tool;
use super::{Ensure, assessment, attributes, ensure_schema, nothing};
use crate::adaptors::schema::Complaint;
use crate::adaptors::{AdaptorError, Assessment, Desired, FactValues, TypeSchema};
use crate::core::Change;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const KIND: &str = "host.Group";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attributes {
    name: String,
    gid: Option<u32>,
    #[serde(default)]
    system: bool,
    #[serde(default)]
    ensure: Ensure,
}

pub(super) fn schema() -> TypeSchema {
    TypeSchema {
        kind: KIND,
        description: "A group of /etc/group. Its members are declared with the users.",
        attributes: json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": name_schema("What it is called."),
                "gid": id_schema("Its number. When it changes, the files of the old number keep it. Absent: the next free one."),
                "system": {"type": "boolean", "description": "Whether a new group gets a number of the range for system groups. Default: false."},
                "ensure": ensure_schema("Whether the group is to be there."),
            },
            "examples": [{"name": "deploy", "gid": 1500}],
        }),
        identity: &["/name"],
        identity_part: None,
        sensitive: &[],
        facts: &[("gid", "Its number.")],
        check: Some(check),
    }
}

fn check(attributes: &Value) -> Vec<Complaint> {
    let name = attributes.get("name").and_then(Value::as_str).unwrap_or_default();
    name_complaint("/name", name).into_iter().collect()
}

pub(super) async fn difference(desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
    let Attributes { name, gid, ensure, .. } = attributes(desired, check)?;
    // Who wanted a group absent and no longer does wants nothing of it.
    if deleting && ensure == Ensure::Absent {
        return Ok(nothing());
    }
    let found = accounts::groups().await?.into_iter().find(|group| group.name == name);
    Ok(match (found, deleting || ensure == Ensure::Absent) {
        (None, true) => nothing(),
        (Some(group), true) => assessment(Change::Delete, format!("delete the group {name} (gid {})\n", group.gid)),
        (None, false) => {
            let number = gid.map_or_else(|| "the next free one".to_owned(), |gid| gid.to_string());
            assessment(Change::Create, format!("a group\ngid: {number}\n"))
        }
        (Some(group), false) => match gid.filter(|gid| *gid != group.gid) {
            Some(gid) => assessment(Change::Update, format!("gid: {} -> {gid}\n", group.gid)),
            None => nothing(),
        },
    })
}

pub(super) async fn facts(desired: &Desired) -> Result<FactValues, AdaptorError> {
    let Attributes { name, .. } = attributes(desired, check)?;
    let found = accounts::groups().await?.into_iter().find(|group| group.name == name);
    Ok(found.into_iter().map(|group| ("gid".to_owned(), group.gid.into())).collect())
}

pub(super) async fn apply(desired: &Desired, change: Change) -> Result<(), AdaptorError> {
    let Attributes { name, gid, system, .. } = attributes(desired, check)?;
    let found = accounts::groups().await?.into_iter().find(|group| group.name == name);
    let tool = match (change, found) {
        (Change::None, _) | (Change::Delete, None) => return Ok(()),
        (Change::Delete, Some(_)) => Tool::new("groupdel"),
        (_, None) => {
            let tool = Tool::new("groupadd").words(system.then_some("--system"));
            gid.into_iter().fold(tool, |tool, gid| tool.option("gid", gid))
        }
        (_, Some(group)) => match gid.filter(|gid| *gid != group.gid) {
            Some(gid) => Tool::new("groupmod").option("gid", gid),
            None => return Ok(()),
        },
    };
    tool.operand(&name).succeed(desired).await
}
