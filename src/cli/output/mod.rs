//! How results reach the user: tables for people, documents of a stable shape for programs.
//!
//! Results go to stdout; progress, questions and diagnoses go to stderr, so that a pipe gets only results.

mod style;
mod table;
pub(crate) mod time;

pub(crate) use style::{state_style, styled_diff};
pub(crate) use table::Table;

use super::CliError;
use clap::ValueEnum;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// The shape of results on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences for people.
    #[default]
    Table,
    /// The same with more columns.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where results go, and in which shape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
}

impl Output {
    /// Decides about colour for the whole process, once.
    pub(crate) fn new(format: Format, color: Color, quiet: bool) -> Self {
        match color {
            Color::Auto => {}
            Color::Always => {
                console::set_colors_enabled(true);
                console::set_colors_enabled_stderr(true);
            }
            Color::Never => {
                console::set_colors_enabled(false);
                console::set_colors_enabled_stderr(false);
            }
        }
        Self { format, quiet }
    }

    /// Whether more columns are wanted.
    pub(crate) const fn is_wide(self) -> bool {
        matches!(self.format, Format::Wide)
    }

    /// Prints a document (`-o json|yaml`) or the text made of it for people.
    pub(crate) fn print<D: Serialize>(self, document: &D, text: impl FnOnce() -> String) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Wide => print_text(&text()),
            Format::Json => {
                let json =
                    serde_json::to_string_pretty(document).map_err(|error| CliError::Document(error.to_string()))?;
                write_out(&format!("{json}\n"))
            }
            Format::Yaml => {
                let yaml = serde_saphyr::to_string(document).map_err(|error| CliError::Document(error.to_string()))?;
                write_out(if yaml.ends_with('\n') { yaml } else { yaml + "\n" }.as_str())
            }
        }
    }

    /// Prints one of many documents (`-o json`: one per line, `-o yaml`: a stream), or the line made of it for people.
    pub(crate) fn print_line<D: Serialize>(self, document: &D, text: impl FnOnce() -> String) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Wide => print_text(&text()),
            Format::Json => {
                let json = serde_json::to_string(document).map_err(|error| CliError::Document(error.to_string()))?;
                write_out(&format!("{json}\n"))
            }
            Format::Yaml => {
                let yaml = serde_saphyr::to_string(document).map_err(|error| CliError::Document(error.to_string()))?;
                write_out(&format!("---\n{}\n", yaml.trim_end()))
            }
        }
    }

    /// Tells people something on stderr, unless `--quiet`.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }

    /// Whether progress may be drawn: a terminal, people, not quiet.
    pub(crate) fn draws_progress(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// Whether to be silent about all but results and errors.
    pub(crate) const fn is_quiet(self) -> bool {
        self.quiet
    }
}

/// `1 resource`, `3 resources`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", either(count, "", "s"))
}

/// The words for one, or those for none and for several.
pub(crate) const fn either<'a>(count: usize, one: &'a str, several: &'a str) -> &'a str {
    if count == 1 { one } else { several }
}

/// Writes a line to stderr. Nobody may read it any more, and there is no other place to say so: the work goes on.
pub(crate) fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes to stdout; a reader that went away (`| head`) is not an error.
fn write_out(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes text for people to stdout, ending in one line break.
fn print_text(text: &str) -> Result<(), CliError> {
    if text.is_empty() { Ok(()) } else { write_out(&format!("{}\n", text.trim_end_matches('\n'))) }
}
