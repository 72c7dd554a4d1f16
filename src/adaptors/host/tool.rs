//! Programs of the operating system that a type uses, by arguments.
//!
//! What a user wrote reaches them as `--option=value` or after `--`, never where it could be taken for an option, and never through a shell.

use super::process::{self, DEFAULT_PATH, Ended, Program};
use crate::adaptors::{AdaptorError, Desired};
use std::collections::BTreeMap;
use std::path::Path;

/// A program and its arguments.
pub(super) struct Tool {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    input: Option<Vec<u8>>,
}

impl Tool {
    pub(super) fn new(program: &str) -> Self {
        // Messages are parsed here and there, and searched for by people.
        let env = [("PATH", DEFAULT_PATH), ("LC_ALL", "C.UTF-8")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { argv: vec![program.to_owned()], env: env.into(), input: None }
    }

    /// Words of ours.
    pub(super) fn words<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.argv.extend(words.into_iter().map(str::to_owned));
        self
    }

    /// `--name=value`.
    pub(super) fn option(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.argv.push(format!("--{name}={value}"));
        self
    }

    /// Whatever it is, it is no option: the last words, after `--`.
    pub(super) fn operand(mut self, operand: &str) -> Self {
        self.argv.extend(["--".to_owned(), operand.to_owned()]);
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What it reads; for what must not be seen among arguments.
    pub(super) fn input(mut self, input: String) -> Self {
        self.input = Some(input.into_bytes());
        self
    }

    /// Runs it to its end, whatever that is. `prints`: its output is the point.
    pub(super) async fn end(self, desired: &Desired, prints: bool) -> Result<Ended, AdaptorError> {
        let Self { argv, env, input } = self;
        let program = Program { argv: &argv, cwd: Path::new("/"), env: &env, input, prints };
        process::run(program, desired).await
    }

    /// Runs it; anything but success is an error.
    pub(super) async fn succeed(self, desired: &Desired) -> Result<(), AdaptorError> {
        let shown = self.argv.join(" ");
        let ended = self.end(desired, false).await?;
        if ended.succeeded() { Ok(()) } else { Err(AdaptorError(format!("{shown}: {}", ended.description))) }
    }

    /// Runs it for what it prints; anything but success is an error.
    pub(super) async fn output(self, desired: &Desired) -> Result<String, AdaptorError> {
        let shown = self.argv.join(" ");
        let ended = self.end(desired, true).await?;
        if ended.succeeded() { Ok(ended.stdout) } else { Err(AdaptorError(format!("{shown}: {}", ended.description))) }
    }
}
