//! What `-f` declares.

use super::{CliError, suggest};
use crate::adaptors::registry;
use crate::api::manifest::{self, EnvironmentManifests};
use crate::api::{Checker, Types};
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
