//! `homeostat generate`: writes what is generated into the repository, from the types and the command line themselves: CRDs, references, man pages.
//!
//! `--check` writes nothing and names what is stale; a test runs it.

use super::arguments::{Arguments, GenerateOptions};
use super::verbs::types::{self, Attribute};
use super::{CliError, Exit};
use crate::adaptors::registry;
use clap::CommandFactory;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One generated file: its path in the repository, and its content.
struct Generated {
    path: PathBuf,
    content: String,
}

/// Writes, or checks, all generated files.
pub(crate) fn run(options: &GenerateOptions) -> Result<Exit, CliError> {
    let mut stale = Vec::new();
    for Generated { path, content } in all()? {
        let full = options.root.join(&path);
        let fresh = std::fs::read_to_string(&full).is_ok_and(|found| found == content);
        if fresh {
            continue;
        }
        stale.push(path.display().to_string());
        if !options.check {
            write(&full, &content)?;
        }
    }
    match (options.check, stale.is_empty()) {
        (_, true) => println!("generated files are up to date"),
        (false, false) => println!("wrote {}", stale.join(", ")),
        (true, false) => {
            return Err(CliError::Usage(format!(
                "stale: {}\n  run `make generate` and commit what it writes",
                stale.join(", ")
            )));
        }
    }
    Ok(Exit::Done)
}

fn write(path: &Path, content: &str) -> Result<(), CliError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, content)?)
}

fn all() -> Result<Vec<Generated>, CliError> {
    let crds = crate::api::crds().map_err(|error| CliError::Document(error.to_string()))?;
    let mut files: Vec<Generated> =
        crds.into_iter().map(|(name, content)| Generated { path: Path::new("crds").join(name), content }).collect();
    files.push(Generated { path: PathBuf::from("docs/cli.md"), content: cli_reference() });
    files.push(Generated { path: PathBuf::from("docs/types.md"), content: types_reference() });
    files.push(Generated { path: PathBuf::from("docs/limits.md"), content: limits_reference() });
    files.extend(man_pages()?);
    Ok(files)
}

/// A page for the program, and one for each command that people run.
fn man_pages() -> Result<Vec<Generated>, CliError> {
    let mut root = Arguments::command();
    root.build();
    let shown = root.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set());
    let shown = shown.flat_map(|command| std::iter::once(command).chain(inner(command)));
    let commands: Vec<clap::Command> = std::iter::once(&root).chain(shown).cloned().collect();
    let page = |command: clap::Command| {
        let page = clap_mangen::Man::new(command).manual("Homeostat");
        let mut text = Vec::new();
        page.render(&mut text)?;
        let path = Path::new("docs/man").join(page.get_filename());
        Ok(Generated { path, content: String::from_utf8_lossy(&text).into_owned() })
    };
    commands.into_iter().map(page).collect()
}

/// What a command is followed by, as `environment` after `delete`.
fn inner(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set())
}

/// The reference of the command line, from the command line.
fn cli_reference() -> String {
    let mut root = Arguments::command().term_width(100);
    root.build();
    let mut text = String::from(
        "<!-- Generated from src/cli/arguments.rs by `make generate`; do not edit. -->\n# Command line reference\n\n",
    );
    let _ = writeln!(text, "```text\n{}\n```", trimmed(&mut root));
    for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let hidden = if command.is_hide_set() { " (for developers)" } else { "" };
        let _ = writeln!(
            text,
            "\n## homeostat {}{hidden}\n\n```text\n{}\n```",
            command.get_name().to_owned(),
            trimmed(command)
        );
        let outer = command.get_name().to_owned();
        let names: Vec<String> = inner(command).map(|inner| inner.get_name().to_owned()).collect();
        for name in names {
            let Some(command) = command.find_subcommand_mut(&name) else { continue };
            let _ = writeln!(text, "\n### homeostat {outer} {name}\n\n```text\n{}\n```", trimmed(command));
        }
    }
    text
}

/// The long help without colour and without blanks at line ends.
fn trimmed(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// Every `limits.rs`, and whose bounds are in it.
const LIMITS: [(&str, &str); 9] = [
    ("What the brain and its edges agree on", include_str!("../core/limits.rs")),
    ("What is read from users", include_str!("../api/limits.rs")),
    ("The scheduler", include_str!("../scheduler/limits.rs")),
    ("History", include_str!("../history/limits.rs")),
    ("The executor protocol and the executor", include_str!("../executor/limits.rs")),
    ("The adaptors", include_str!("../adaptors/limits.rs")),
    ("The commands and embedded mode", include_str!("../cli/limits.rs")),
    ("The operator: controllers", include_str!("../controller/limits.rs")),
    (
        "The operator: what is said to Kubernetes",
        concat!(include_str!("../cluster/limits.rs"), include_str!("../server/limits.rs")),
    ),
];

/// The reference of bounds, from the files where they stand.
fn limits_reference() -> String {
    let mut text = String::from(
        "<!-- Generated from the files limits.rs in src/ by `make generate`; do not edit. -->\n# Limits\n\n\
         Every queue, message, table and retry has a bound. Where nothing else is said, what is beyond it waits, is cut with a mark, or is refused with\n\
         the path and the reason.\n",
    );
    for (title, source) in LIMITS {
        let _ = writeln!(text, "\n## {title}\n\n| limit | value | |\n|---|---|---|");
        let mut meaning: Vec<&str> = Vec::new();
        for line in source.lines() {
            let declared =
                line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
            if let Some(words) = line.strip_prefix("/// ") {
                meaning.push(words);
            } else if let Some((name, value)) = declared.strip_prefix("const ").and_then(|rest| rest.split_once(": ")) {
                let value = value.split_once(" = ").map_or(value, |(_, value)| value).trim_end_matches(';');
                let _ = writeln!(text, "| `{name}` | `{value}` | {} |", meaning.join(" "));
                meaning.clear();
            } else {
                meaning.clear();
            }
        }
    }
    text
}

/// The reference of resource types, from the adaptors.
fn types_reference() -> String {
    let mut text = String::from(
        "<!-- Generated from the adaptors' schemas by `make generate`; do not edit. -->\n# Resource types\n",
    );
    for schema in registry::kinds().filter_map(registry::schema) {
        let _ = writeln!(text, "\n## {}\n\n{}\n", schema.kind, schema.description);
        let _ = writeln!(text, "| attribute | type | meaning |\n|---|---|---|");
        for Attribute { name, kind, meaning } in types::attributes(schema) {
            let _ = writeln!(text, "| `{name}` | {kind} | {} |", meaning.replace('|', "\\|"));
        }
        let examples: Vec<String> = types::examples(schema).map(|example| format!("attributes: {example}")).collect();
        if !examples.is_empty() {
            let _ = writeln!(text, "\n```yaml\n{}\n```", examples.join("\n"));
        }
        if !schema.facts.is_empty() {
            let _ = writeln!(text, "\n| fact | meaning |\n|---|---|");
        }
        for (name, meaning) in schema.facts {
            let _ = writeln!(text, "| `{name}` | {} |", meaning.replace('|', "\\|"));
        }
    }
    text
}
