//! What `-f` declares, and which part of it a command is about.

use super::arguments::SelectOptions;
use super::embedded::known_names;
use super::labels::LabelSelector;
use super::{CliError, suggest};
use crate::adaptors::registry;
use crate::api::manifest::{self, EnvironmentManifests};
use crate::api::{Checker, Duration, Types};
use crate::core::{EnvironmentState, Intent, LastResult, Name, Scope, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

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

/// What is said where something was asked for, and nothing fits it.
pub(crate) const NOTHING_SELECTED: &str = "nothing is selected: no resource fits all of what was given";

/// Which resources a command is about: all, or those to which everything applies that was given.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    names: BTreeSet<String>,
    target: Option<String>,
    kind: Option<String>,
    labels: Option<LabelSelector>,
    failed: bool,
    stale_ms: Option<u64>,
    /// What is meant by what is known of resources; filled in by [`Selection::within`].
    chosen: Option<BTreeSet<Name>>,
}

impl Selection {
    /// What the options say.
    pub(crate) fn new(options: &SelectOptions) -> Self {
        Self {
            names: options.names.iter().cloned().collect(),
            target: options.target.clone(),
            kind: options.kind.clone(),
            labels: options.labels.clone(),
            failed: options.failed,
            stale_ms: options.stale.map(Duration::as_ms),
            chosen: None,
        }
    }

    /// Whether nothing narrows it.
    pub(crate) fn is_all(&self) -> bool {
        self.names.is_empty() && self.target.is_none() && self.by_name_alone()
    }

    /// Whether it can be told without looking at resources.
    fn by_name_alone(&self) -> bool {
        self.kind.is_none() && self.labels.is_none() && !self.failed && self.stale_ms.is_none()
    }

    /// The same, with what it means for what is known of the environment now, and for what the manifests add.
    pub(crate) fn within(&self, state: &EnvironmentState, declared: Option<&Declared>, now: Timestamp) -> Self {
        if self.by_name_alone() {
            return self.clone();
        }
        let stale = |verified: Option<Timestamp>| {
            self.stale_ms.is_none_or(|ms| verified.is_none_or(|at| at.after_ms(ms) < now))
        };
        let failed = |result: LastResult| !self.failed || result == LastResult::Failed;
        let known = state.views().map(|view| view.row);
        let known = known.filter(|row| failed(row.last_result) && stale(row.verified_at)).map(|row| row.intent);
        let is_new = |intent: &&Arc<Intent>| state.find(&intent.name).is_none();
        let new = declared.into_iter().flat_map(|declared| &declared.intents).filter(is_new).cloned();
        let new = new.filter(|_| !self.failed);
        let chosen = known.chain(new).filter(|intent| self.covers(intent)).map(|intent| intent.name.clone()).collect();
        Self { chosen: Some(chosen), ..self.clone() }
    }

    /// Whether this resource is meant.
    pub(crate) fn covers(&self, intent: &Intent) -> bool {
        (self.names.is_empty() || self.names.contains(&*intent.name))
            && self.target.as_deref().is_none_or(|target| *target == *intent.target)
            && self.kind.as_deref().is_none_or(|kind| *kind == *intent.kind)
            && self.labels.as_ref().is_none_or(|labels| labels.matches(&intent.labels))
            && self.chosen.as_ref().is_none_or(|chosen| chosen.contains(&intent.name))
    }

    /// The same for the scheduler.
    pub(crate) fn scope(&self) -> Scope {
        let named = || self.names.iter().map(|name| Name::from(name.as_str())).collect();
        let chosen = self.chosen.as_ref().map(|chosen| chosen.iter().cloned().collect());
        let names = chosen.or_else(|| (!self.names.is_empty()).then(named));
        Scope { target: self.target.as_deref().map(Name::from), names }
    }

    /// Whether there is nothing that it means, though something was asked for.
    pub(crate) fn selects_nothing(&self, state: &EnvironmentState, declared: Option<&Declared>) -> bool {
        let mut declared = declared.into_iter().flat_map(|declared| &declared.intents);
        !(self.is_all()
            || state.views().any(|view| self.covers(&view.row.intent))
            || declared.any(|intent| self.covers(intent)))
    }

    /// Refuses targets and types that do not exist: who mistypes one is not told that all is well with nothing.
    pub(crate) fn check_place(&self, state: &EnvironmentState, declared: Option<&Declared>) -> Result<(), CliError> {
        let places = declared.into_iter().flat_map(|declared| &declared.targets).chain(state.targets());
        let places: BTreeSet<&str> = places.map(|target| &*target.name).collect();
        let residents = state.views().map(|view| view.row.intent.target.clone()).collect::<BTreeSet<Name>>();
        let places: Vec<&str> = places.into_iter().chain(residents.iter().map(|name| &**name)).collect();
        let kinds: Vec<&str> = registry::kinds().collect();
        let unknown = |what, typed: &Option<String>, known: &[&str], next: &str| match typed.as_deref() {
            Some(typed) if !known.contains(&typed) => Err(CliError::Usage(suggest::unknown(what, typed, known, next))),
            _ => Ok(()),
        };
        unknown("target", &self.target, &places, "`homeostat status` says what is on which target")?;
        unknown("type", &self.kind, &kinds, "docs/types.md lists them all")
    }

    /// Refuses names, targets and types that exist neither in the environment nor in the manifests.
    pub(crate) fn check(&self, state: &EnvironmentState, declared: Option<&Declared>) -> Result<(), CliError> {
        self.check_place(state, declared)?;
        let mut known = known_names(state);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{Epoch, Event, IntentParts, Push, PushMode, step};

    fn intent(name: &str, kind: &str, target: &str) -> Arc<Intent> {
        Arc::new(Intent::new(IntentParts {
            name: name.into(),
            kind: kind.into(),
            target: target.into(),
            identity: name.into(),
            attributes: "{}".into(),
            requires: Vec::new(),
            ..IntentParts::default()
        }))
    }

    /// Two files and a service, none of them attempted.
    fn environment() -> EnvironmentState {
        let mut state = EnvironmentState::new("house".into(), Epoch(1), Timestamp(0));
        let upserts = vec![intent("a", "File", "x"), intent("b", "File", "y"), intent("c", "Service", "x")];
        let (set, author) = ("default".into(), "ana".into());
        let (source, message) = ("manifests".into(), "".into());
        let push = Push {
            set,
            upserts,
            removals: Vec::new(),
            prune: false,
            approved: false,
            base: None,
            mode: PushMode::Whole,
            author,
            source,
            message,
        };
        step(&mut state, Event::Push(push), Timestamp(0), &mut crate::core::Effects::default());
        state
    }

    fn chosen(options: &SelectOptions) -> Option<Vec<String>> {
        let scope = Selection::new(options).within(&environment(), None, Timestamp(1)).scope();
        Some(scope.names?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_given_narrows_together() {
        let file = || SelectOptions { kind: Some("File".into()), ..SelectOptions::default() };
        assert_eq!(chosen(&SelectOptions::default()), None);
        assert_eq!(chosen(&file()), Some(vec!["a".into(), "b".into()]));
        assert_eq!(chosen(&SelectOptions { target: Some("x".into()), ..file() }), Some(vec!["a".into()]));
        assert_eq!(chosen(&SelectOptions { names: vec!["c".into()], ..file() }), Some(vec![]));
        assert_eq!(chosen(&SelectOptions { failed: true, ..file() }), Some(vec![]));
        let stale = Some(Duration::from_secs(60));
        assert_eq!(chosen(&SelectOptions { stale, ..file() }), Some(vec!["a".into(), "b".into()]), "never verified");
    }
}
