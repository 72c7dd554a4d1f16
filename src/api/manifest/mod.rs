//! Manifests for embedded runs: Kubernetes objects in files and folders, with every error at its file, line and column.
//!
//! Namespaces are ignored (there is no cluster), an absent `default` Executor is made up, everything else is as in a cluster.
//! Deliberately absent: templating, `kustomize`, fetching from anywhere.

mod assemble;
mod files;
mod tree;
mod yaml;

use super::field::Part;
use super::{Checker, FieldError, FieldPath};
use crate::core::{Intent, Name, Pool, Settings, Target};
pub use files::Input;
use std::fmt;
use std::sync::Arc;
pub use tree::{Reading, Stamp, Tree};
use yaml::Node;
pub use yaml::Place;

/// The intent of all environments that some manifests describe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifests {
    /// By name.
    pub environments: Vec<EnvironmentManifests>,
}

/// One environment as manifests describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentManifests {
    /// Its name.
    pub name: Name,
    /// How its work is done.
    pub settings: Settings,
    /// What its resources are deployed on, by name.
    pub targets: Vec<Target>,
    /// Its executors, by name; never empty.
    pub pools: Vec<Pool>,
    /// What is wanted, in the order of the files.
    pub intents: Vec<Arc<Intent>>,
}

/// One thing that is wrong with some manifests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Where in it; absent where the file itself is the problem.
    pub place: Option<Place>,
    /// What, and of which field.
    pub error: FieldError,
    /// The environment of the object; absent where the problem may concern any.
    pub environment: Option<Name>,
}

/// Everything that is wrong with some manifests, in the order of files and lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// Reads manifests from files, folders and standard input (`-`), checks them, and groups them by environment.
///
/// # Errors
///
/// All problems of all files, not the first.
pub fn read(paths: &[impl AsRef<std::path::Path>], checker: &Checker) -> Result<Manifests, Problems> {
    let mut problems = Vec::new();
    let inputs = files::collect(paths, &mut problems);
    finish(&inputs, checker, problems)
}

/// As [`read`], from texts that are already there.
pub fn read_inputs(inputs: &[Input], checker: &Checker) -> Result<Manifests, Problems> {
    finish(inputs, checker, Vec::new())
}

fn finish(inputs: &[Input], checker: &Checker, problems: Vec<Problem>) -> Result<Manifests, Problems> {
    let (manifests, problems) = assembled(inputs, checker, problems);
    if problems.0.is_empty() { Ok(manifests) } else { Err(problems) }
}

/// What could be made of them, and everything that is wrong.
fn assembled(inputs: &[Input], checker: &Checker, mut problems: Vec<Problem>) -> (Manifests, Problems) {
    let manifests = assemble::assemble(inputs, checker, &mut problems);
    problems.sort();
    problems.dedup();
    (manifests, Problems(problems))
}

/// An object of a file, for pointing at.
#[derive(Clone, Debug)]
struct Located {
    file: Arc<str>,
    node: Node,
}

impl Located {
    fn problem(&self, error: FieldError) -> Problem {
        let place = self.node.locate(error.path.segments(), error.part);
        Problem { file: Arc::clone(&self.file), place: Some(place), error, environment: self.environment() }
    }

    /// The environment it says it belongs to, or is.
    fn environment(&self) -> Option<Name> {
        let below = |path: &[&str]| {
            path.iter()
                .try_fold(&self.node, |node, key| node.field(key).map(|entry| &entry.value))?
                .text()
                .map(Name::from)
        };
        match below(&["kind"]).as_deref() {
            Some("Environment") => below(&["metadata", "name"]),
            _ => below(&["spec", "environmentRef", "name"]),
        }
    }

    /// `file:line` of the object's name, for naming it in another's message.
    fn at(&self) -> String {
        let place = self.node.locate(FieldPath::of(&["metadata", "name"]).segments(), Part::Value);
        format!("{}:{}", self.file, place.line)
    }
}

impl Problem {
    /// The file itself is the problem.
    fn of_file(file: &str, message: impl Into<String>) -> Self {
        let error = FieldError::value(FieldPath::default(), message);
        Self { file: file.into(), place: None, error, environment: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.escape_debug())?;
        if let Some(place) = self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        write!(f, " {}", self.error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        write!(
            f,
            "{} problem{} in the manifests; nothing was done",
            self.0.len(),
            if self.0.len() == 1 { "" } else { "s" }
        )
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests;
