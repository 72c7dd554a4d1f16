//! `homeostat diff V1 [V2]`: what the intent of one version says otherwise than that of another, resource by resource.
//!
//! Deliberately absent: what is on the targets; that is what `dry-run` is for.

use crate::adaptors::SENSITIVE;
use crate::cli::arguments::DiffOptions;
use crate::cli::embedded::{Reading, content_of};
use crate::cli::output::{self, Output, styled_diff};
use crate::cli::{CliError, Exit, suggest};
use crate::core::{Intent, IntentRecord, Name, ResourceId, VersionNumber};
use console::Style;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// What `-o json|yaml` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DiffDocument {
    environment: Name,
    from: VersionNumber,
    to: VersionNumber,
    /// Resources that both versions want alike.
    unchanged: usize,
    items: Vec<DifferenceDocument>,
}

/// One resource that the versions do not want alike.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DifferenceDocument {
    name: Name,
    change: IntentChange,
    /// Its name in the earlier version, where it was renamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<Name>,
    /// What is wanted, before and after.
    before: Option<Value>,
    after: Option<Value>,
    /// The difference line by line.
    diff: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum IntentChange {
    Added,
    Changed,
    Renamed,
    Removed,
}

impl IntentChange {
    const ALL: [Self; 4] = [Self::Added, Self::Changed, Self::Renamed, Self::Removed];

    const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
            Self::Removed => "removed",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Added => Style::new().green(),
            Self::Changed | Self::Renamed => Style::new().yellow(),
            Self::Removed => Style::new().red(),
        }
    }
}

/// Prints the differences. They are no failure: the code is that of success.
pub(crate) async fn run(options: DiffOptions, output: Output) -> Result<Exit, CliError> {
    Reading::with(&options.state, output, async |reading| {
        let to = options.to.map_or(reading.state.version(), VersionNumber);
        let from = VersionNumber(options.from);
        let (before, after) = (content(reading, from).await?, content(reading, to).await?);
        check_names(&options.names, &before, &after)?;
        let document = compare(reading.environment.clone(), (from, before), (to, after), &options.names);
        output.print(&document, || text(&document))?;
        Ok(Exit::Done)
    })
    .await
}

type Content = BTreeMap<Name, (ResourceId, Arc<Intent>)>;

async fn content(reading: &Reading, version: VersionNumber) -> Result<Content, CliError> {
    let records = content_of(&*reading.store, &reading.state, version).await?;
    let wanted = |record: IntentRecord| Some((record.name, (record.resource, record.intent?)));
    Ok(records.into_iter().filter_map(wanted).collect())
}

fn check_names(names: &[String], before: &Content, after: &Content) -> Result<(), CliError> {
    let known: BTreeSet<&str> = before.keys().chain(after.keys()).map(|name| &**name).collect();
    let known: Vec<&str> = known.into_iter().collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let next = "neither version wants it; `homeostat history NAME` shows its attempts";
            Err(CliError::Usage(suggest::unknown("resource", name, &known, next)))
        }
        None => Ok(()),
    }
}

fn compare(
    environment: Name,
    (from, mut before): (VersionNumber, Content),
    (to, after): (VersionNumber, Content),
    names: &[String],
) -> DiffDocument {
    let chosen = |name: &Name| names.is_empty() || names.iter().any(|wanted| **wanted == **name);
    // A name that is gone and a new one may be the same resource: it has kept its number.
    let leaving: BTreeMap<ResourceId, Name> = before
        .iter()
        .filter(|(name, _)| !after.contains_key(*name))
        .map(|(name, (id, _))| (*id, name.clone()))
        .collect();
    let (mut items, mut unchanged) = (Vec::new(), 0);
    for (name, (id, intent)) in &after {
        let was = if before.contains_key(name) { None } else { leaving.get(id).cloned() };
        let earlier = before.remove(was.as_ref().unwrap_or(name)).map(|(_, intent)| intent);
        if !chosen(name) && !was.as_ref().is_some_and(chosen) {
            continue;
        }
        if earlier.as_ref().is_some_and(|earlier| earlier == intent) {
            unchanged += 1;
        } else {
            items.push(difference(name.clone(), was, earlier.as_deref(), Some(intent)));
        }
    }
    let removed = before.iter().filter(|(name, _)| chosen(name));
    items.extend(removed.map(|(name, (_, intent))| difference(name.clone(), None, Some(intent), None)));
    items.sort_by(|one, other| one.name.cmp(&other.name));
    DiffDocument { environment, from, to, unchanged, items }
}

fn difference(name: Name, was: Option<Name>, before: Option<&Intent>, after: Option<&Intent>) -> DifferenceDocument {
    let change = match (before, after) {
        (None, _) => IntentChange::Added,
        (_, None) => IntentChange::Removed,
        _ if was.is_some() => IntentChange::Renamed,
        _ => IntentChange::Changed,
    };
    let (earlier, mut later) = (before.map(document), after.map(document));
    if let (Some(before), Some(after)) = (before, after)
        && let Some(earlier) = earlier.as_ref().and_then(|earlier| earlier.get("attributes"))
        && let Some(later) = later.as_mut().and_then(|later| later.get_mut("attributes"))
    {
        mark(&super::given(before), &super::given(after), (earlier, later));
    }
    let yaml = |document: &Option<Value>| {
        document.as_ref().and_then(|document| serde_saphyr::to_string(document).ok()).unwrap_or_default()
    };
    let (old, new) = (yaml(&earlier), yaml(&later));
    let diff = similar::TextDiff::from_lines(&old, &new).unified_diff().context_radius(3).to_string();
    DifferenceDocument { name, change, was, before: earlier, after: later, diff }
}

/// Says of what is printed alike, because it is secret, that it is not.
fn mark(before: &Value, after: &Value, printed: (&Value, &mut Value)) {
    match (before, after, printed) {
        (Value::Object(before), Value::Object(after), (Value::Object(earlier), Value::Object(later))) => {
            for (key, printed) in later {
                if let (Some(before), Some(after), Some(earlier)) = (before.get(key), after.get(key), earlier.get(key))
                {
                    mark(before, after, (earlier, printed));
                }
            }
        }
        (before, after, (earlier, later)) if before != after && earlier == later => {
            *later = format!("{SENSITIVE}, changed").into();
        }
        _ => {}
    }
}

/// What an intent says, much as its manifest says it: a policy's defaults are left out.
fn document(intent: &Intent) -> Value {
    let mut document = serde_json::to_value(intent).unwrap_or_default();
    if let Some(fields) = document.as_object_mut() {
        // The name stands above it, and the identity is derived from the attributes.
        fields.remove("name");
        fields.remove("identity");
        fields.insert("attributes".to_owned(), super::attributes(intent));
    }
    document
}

fn text(document: &DiffDocument) -> String {
    let DiffDocument { from, to, unchanged, items, .. } = document;
    let mut text = String::new();
    for item in items {
        let word = item.change.style().apply_to(item.change.word());
        let was = item.was.as_ref().map_or_else(String::new, |was| format!(" (was {was})"));
        let _ = write!(text, "{word} {}{was}\n{}", item.name, styled_diff(&item.diff, "    "));
    }
    let count = |change| items.iter().filter(|item| item.change == change).count();
    let counted = IntentChange::ALL.into_iter().map(|change| (count(change), change.word()));
    let counted: Vec<String> =
        counted.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if counted.is_empty() {
        let _ = write!(text, "versions {from} and {to} want the same: {}", output::counted(*unchanged, "resource"));
    } else {
        let _ = write!(text, "from version {from} to version {to}: {}, {unchanged} unchanged", counted.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{IntentParts, Policy, Replace};

    fn content(resources: &[(u32, &str, &str)]) -> Content {
        let entry = |&(id, name, value): &(u32, &str, &str)| {
            let parts = IntentParts {
                name: name.into(),
                kind: "test.Null".into(),
                target: "here".into(),
                identity: r#"{"name":"x"}"#.into(),
                attributes: format!(r#"{{"value":"{value}"}}"#).into(),
                requires: Vec::new(),
                inputs: Vec::new(),
                labels: std::collections::BTreeMap::new(),
                policy: Policy::default(),
            };
            (Name::from(name), (ResourceId(id), Arc::new(Intent::new(parts))))
        };
        resources.iter().map(entry).collect()
    }

    fn changes(before: &[(u32, &str, &str)], after: &[(u32, &str, &str)]) -> Vec<String> {
        let compared =
            compare("house".into(), (VersionNumber(1), content(before)), (VersionNumber(2), content(after)), &[]);
        let told = |item: &DifferenceDocument| format!("{} {}", item.change.word(), item.name);
        compared.items.iter().map(told).collect()
    }

    #[test]
    fn a_resource_is_added_changed_removed_or_renamed() {
        assert_eq!(changes(&[(1, "a", "x")], &[(1, "a", "x"), (2, "b", "x")]), ["added b"]);
        assert_eq!(changes(&[(1, "a", "x")], &[(1, "a", "y")]), ["changed a"]);
        assert_eq!(changes(&[(1, "a", "x"), (2, "b", "x")], &[(2, "b", "x")]), ["removed a"]);
        assert_eq!(changes(&[(1, "a", "x")], &[(1, "b", "x")]), ["renamed b"]);
        // The same name as another thing is a change to whoever reads it.
        assert_eq!(changes(&[(1, "a", "x")], &[(2, "a", "y")]), ["changed a"]);
    }

    #[test]
    fn of_a_secret_it_shows_that_it_has_changed_and_nothing_else() {
        let secret = |token: &str, more: &str| {
            let manifest =
                r#"{"apiVersion":"v1","data":{MORE"token":"TOKEN"},"kind":"Secret","metadata":{"name":"a"}}"#;
            let attributes = format!(r#"{{"manifest":{}}}"#, manifest.replace("TOKEN", token).replace("MORE", more));
            Intent::new(IntentParts {
                kind: "kubernetes.Manifest".into(),
                attributes: attributes.into(),
                ..IntentParts::default()
            })
        };
        let told = |earlier: &Intent, later: &Intent| {
            let found = difference("a".into(), None, Some(earlier), Some(later));
            let all = serde_json::to_string(&found).expect("a document is JSON");
            assert!(!all.contains("canary"), "{all}");
            found
                .diff
                .lines()
                .filter(|line| line.starts_with(['+', '-']))
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("|")
        };
        let old = secret("canary-1", "");
        assert_eq!(told(&old, &secret("canary-2", "")), "-      token: (sensitive)|+      token: (sensitive), changed");
        assert_eq!(told(&old, &secret("canary-1", r#""key":"canary-3","#)), "+      key: (sensitive)");
    }

    #[test]
    fn of_a_policy_it_shows_what_is_not_the_default() {
        let with = |policy| Intent::new(IntentParts { policy, attributes: "{}".into(), ..IntentParts::default() });
        let usual = with(Policy::default());
        let kept = with(Policy { protected: true, replace: Replace::Never, ..Policy::default() });
        let changed = |earlier, later| {
            let lines = difference("a".into(), None, Some(earlier), Some(later)).diff;
            let changed = lines.lines().filter(|line| line.starts_with(['+', '-'])).map(str::to_owned);
            changed.collect::<Vec<_>>()
        };
        assert_eq!(changed(&usual, &kept), ["+  protected: true", "+  replace: Never"]);
        assert_eq!(changed(&kept, &usual), ["-  protected: true", "-  replace: Never"]);
    }
}
