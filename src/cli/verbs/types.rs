//! `homeostat types [TYPE]`: what a resource can be: attributes with their meaning, facts and examples, as the adaptors of this binary know them.

use crate::adaptors::{TypeSchema, registry};
use crate::cli::arguments::TypesOptions;
use crate::cli::output::{Output, Table};
use crate::cli::{CliError, Exit, suggest};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where all types are listed.
pub(crate) const LISTED: &str = "`homeostat types` lists them all";

/// What `-o json|yaml` prints of a type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TypeDocument {
    #[serde(rename = "type")]
    kind: &'static str,
    description: &'static str,
    /// The JSON schema of the attributes.
    attributes: &'static Value,
    /// JSON pointers of the attributes that make it the same thing on its target.
    identity: &'static [&'static str],
    /// JSON pointers of the attributes whose values never appear in a diff, a log or history: they are refused where they are written in
    /// `attributes`, and come from `attributesFrom` alone.
    sensitive: &'static [&'static str],
    facts: BTreeMap<&'static str, &'static str>,
}

/// One attribute as people read it.
pub(crate) struct Attribute<'a> {
    pub(crate) name: &'a str,
    /// `string, required`, `present or absent`.
    pub(crate) kind: String,
    pub(crate) meaning: &'a str,
}

/// Prints one type, or lists all.
pub(crate) fn run(options: &TypesOptions, output: Output) -> Result<Exit, CliError> {
    let kinds: Vec<&str> = registry::kinds().collect();
    if let Some(kind) = options.kind.as_deref() {
        let unknown = || CliError::Usage(suggest::unknown("type", kind, &kinds, LISTED));
        let schema = registry::schema(kind).ok_or_else(unknown)?;
        output.print(&TypeDocument::from(schema), || text(schema))?;
    } else {
        let schemas: Vec<&TypeSchema> = kinds.iter().filter_map(|kind| registry::schema(kind)).collect();
        let documents: Vec<TypeDocument> = schemas.iter().map(|schema| TypeDocument::from(*schema)).collect();
        output.print(&documents, || list(&schemas))?;
    }
    Ok(Exit::Done)
}

impl From<&'static TypeSchema> for TypeDocument {
    fn from(schema: &'static TypeSchema) -> Self {
        let TypeSchema { kind, description, attributes, identity, sensitive, facts, .. } = schema;
        Self { kind, description, attributes, identity, sensitive, facts: facts.iter().copied().collect() }
    }
}

fn list(schemas: &[&TypeSchema]) -> String {
    let mut table = Table::new(&["TYPE", "MEANING"]);
    for schema in schemas {
        table.row(vec![schema.kind.to_owned(), schema.description.to_owned()]);
    }
    format!("{}\n`homeostat types TYPE` shows its attributes, facts and examples", table.render())
}

fn text(schema: &TypeSchema) -> String {
    let mut text = format!("{}: {}\n\n", schema.kind, schema.description);
    let mut table = Table::new(&["ATTRIBUTE", "TYPE", "MEANING"]);
    for Attribute { name, kind, meaning } in attributes(schema) {
        table.row(vec![name.to_owned(), kind, meaning.to_owned()]);
    }
    text.push_str(&table.render());
    let listed =
        |pointers: &[&str]| pointers.iter().map(|path| path.trim_start_matches('/')).collect::<Vec<_>>().join(", ");
    let same = if schema.identity.is_empty() { "the resource's name".to_owned() } else { listed(schema.identity) };
    let _ = writeln!(text, "\nThe same thing as long as this stays: {same}");
    if !schema.sensitive.is_empty() {
        let _ = writeln!(text, "Secret, from attributesFrom alone: {}", listed(schema.sensitive));
    }
    if !schema.facts.is_empty() {
        let mut table = Table::new(&["FACT", "MEANING"]);
        for (fact, meaning) in schema.facts {
            table.row(vec![(*fact).to_owned(), (*meaning).to_owned()]);
        }
        let _ = write!(text, "\n{}", table.render());
    }
    for example in examples(schema) {
        if let Ok(example) = serde_saphyr::to_string(&serde_json::json!({ "attributes": example })) {
            let _ = write!(text, "\ntype: {}\n{example}", schema.kind);
        }
    }
    text
}

/// The attributes of a type, by name.
pub(crate) fn attributes(schema: &TypeSchema) -> impl Iterator<Item = Attribute<'_>> {
    let required = schema.attributes.get("required").and_then(Value::as_array);
    let is_required =
        move |name: &str| required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)));
    let properties = schema.attributes.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.map(move |(name, property)| {
        let values = property.get("enum").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let any = || property.get("type").and_then(Value::as_str).unwrap_or("any").to_owned();
        let kind = match values.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            Some((only, _)) => (*only).to_owned(),
            None => any(),
        };
        let kind = if is_required(name) { format!("{kind}, required") } else { kind };
        Attribute { name, kind, meaning: property.get("description").and_then(Value::as_str).unwrap_or_default() }
    })
}

/// Attributes as one may give them.
pub(crate) fn examples(schema: &TypeSchema) -> impl Iterator<Item = &Value> {
    schema.attributes.get("examples").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_type_says_what_may_be_given_what_it_reports_and_how_it_looks() {
        let told = text(registry::schema("host.Service").unwrap());
        for part in [
            "host.Service: A unit of systemd",
            "string, required",
            "enabled, disabled or masked",
            "The same thing as long as this stays: name\n",
            "FACT",
            "type: host.Service\nattributes:\n",
        ] {
            assert!(told.contains(part), "{part} is missing in\n{told}");
        }
        assert!(
            text(registry::schema("host.User").unwrap()).contains("Secret, from attributesFrom alone: passwordHash\n")
        );
    }

    #[test]
    fn every_attribute_has_a_meaning_and_every_type_for_people_an_example() {
        for schema in registry::kinds().filter_map(registry::schema) {
            assert!(attributes(schema).all(|attribute| !attribute.meaning.is_empty()), "{}", schema.kind);
            assert!(schema.kind.starts_with("test.") || examples(schema).count() > 0, "{}", schema.kind);
        }
    }
}
