//! What `-f` declares, and which part of it a command is about.

use super::{CliError, suggest};
use crate::adaptors::registry;
use crate::api::manifest::{self, EnvironmentManifests};
use crate::api::{Checker, Types};
use crate::core::{Intent, Name, Scope};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The environment that the manifests declare.
pub(crate) type Declared = EnvironmentManifests;

/// Reads what `-f` names; `None` where nothing is named. Of several environments `named` says which one is meant.
pub(crate) fn read(files: &[PathBuf], named: Option<&str>) -> Result<Option<Declared>, CliError> {
    if files.is_empty() {
        return Ok(None);
    }
    let schemas = registry::kinds().filter_map(registry::schema).cloned();
    let checker = Types::new(schemas).map_err(|error| CliError::Defect(error.to_string()))?;
    let checker = Checker::new(checker).map_err(|error| CliError::Defect(error.to_string()))?;
    let manifests = manifest::read(files, &checker).map_err(|problems| CliError::Manifests(problems.to_string()))?;
    choose(manifests.environments, named).map(Some)
}

fn choose(mut environments: Vec<Declared>, named: Option<&str>) -> Result<Declared, CliError> {
    let names: Vec<String> = environments.iter().map(|environment| environment.name.to_string()).collect();
    if let Some(named) = named {
        environments.retain(|environment| *environment.name == *named);
    }
    match (environments.pop(), environments.is_empty(), named) {
        (Some(only), true, _) => Ok(only),
        (Some(_), false, _) => {
            let list = names.join(", ");
            Err(CliError::Usage(format!(
                "the manifests declare several environments: {list}\n  name one with --environment"
            )))
        }
        (None, _, Some(named)) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let next = format!(
                "the manifests declare: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
            Err(CliError::Usage(suggest::unknown("environment", named, &names, &next)))
        }
        (None, _, None) => Err(CliError::Manifests(
            "the manifests declare no Environment; add one (see examples/quickstart)".to_owned(),
        )),
    }
}

/// Which resources a command is about: all, those named, those on a target.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    names: BTreeSet<String>,
    target: Option<String>,
}

impl Selection {
    /// The intersection of what is given.
    pub(crate) fn new(names: &[String], target: Option<&str>) -> Self {
        Self { names: names.iter().cloned().collect(), target: target.map(ToOwned::to_owned) }
    }

    /// Whether nothing narrows it.
    pub(crate) fn is_all(&self) -> bool {
        self.names.is_empty() && self.target.is_none()
    }

    /// Whether this resource is meant.
    pub(crate) fn covers(&self, intent: &Intent) -> bool {
        (self.names.is_empty() || self.names.contains(&*intent.name))
            && self.target.as_deref().is_none_or(|target| *target == *intent.target)
    }

    /// The same for the scheduler.
    pub(crate) fn scope(&self) -> Scope {
        let names = self.names.iter().map(|name| Name::from(name.as_str())).collect();
        Scope {
            target: self.target.as_deref().map(Name::from),
            names: if self.names.is_empty() { None } else { Some(names) },
        }
    }

    /// Refuses names that exist neither in the environment nor in the manifests.
    pub(crate) fn check(&self, known: BTreeSet<Name>, declared: Option<&Declared>) -> Result<(), CliError> {
        let mut known = known;
        known.extend(declared.into_iter().flat_map(|declared| &declared.intents).map(|intent| intent.name.clone()));
        let names: Vec<&str> = known.iter().map(|name| &**name).collect();
        match self.names.iter().find(|name| !known.contains(name.as_str())) {
            Some(name) => {
                Err(CliError::Usage(suggest::unknown("resource", name, &names, "`homeostat status` lists them all")))
            }
            None => Ok(()),
        }
    }
}
