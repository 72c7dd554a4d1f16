//! Which resources a command is about: the same words for every verb, what they mean, and what is said where they mean nothing.

use super::arguments::SelectOptions;
use super::embedded::known_names;
use super::labels::LabelSelector;
use super::manifests::Declared;
use super::verbs::types;
use super::{CliError, suggest};
use crate::adaptors::registry;
use crate::api::Duration;
use crate::core::{EnvironmentState, Intent, LastResult, Name, Scope, Timestamp, limits};
use std::collections::BTreeSet;
use std::fmt::Write as _;

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

    /// Whether it names resources, and says nothing else of them.
    pub(crate) fn names_only(&self) -> bool {
        self.target.is_none() && self.by_name_alone()
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
        // By what the manifests say of it, too: a label may be new.
        let declared = declared.into_iter().flat_map(|declared| &declared.intents).filter(|intent| {
            let row = state.find(&intent.name).and_then(|id| state.row(id));
            row.map_or(!self.failed, |row| failed(row.last_result) && stale(row.verified_at))
        });
        let meant = known.chain(declared.cloned()).filter(|intent| self.covers(intent));
        let chosen = meant.map(|intent| intent.name.clone()).collect();
        Self { chosen: Some(chosen), ..self.clone() }
    }

    /// Whether this resource is meant.
    pub(crate) fn covers(&self, intent: &Intent) -> bool {
        if let Some(chosen) = &self.chosen {
            return chosen.contains(&intent.name);
        }
        (self.names.is_empty() || self.names.contains(&*intent.name))
            && self.target.as_deref().is_none_or(|target| *target == *intent.target)
            && self.kind.as_deref().is_none_or(|kind| *kind == *intent.kind)
            && self.labels.as_ref().is_none_or(|labels| labels.matches(&intent.labels))
    }

    /// The same for the scheduler.
    pub(crate) fn scope(&self) -> Scope {
        let named = || self.names.iter().map(|name| Name::from(name.as_str())).collect();
        let chosen = self.chosen.as_ref().map(|chosen| chosen.iter().cloned().collect());
        let names = chosen.or_else(|| (!self.names.is_empty()).then(named));
        Scope { target: self.target.as_deref().map(Name::from), names }
    }

    /// What is to be said where something was asked for and nothing is meant by it: what there is instead.
    pub(crate) fn nothing(&self, state: &EnvironmentState, declared: Option<&Declared>) -> Option<String> {
        let known = || state.views().map(|view| view.row.intent);
        let declared = || declared.into_iter().flat_map(|declared| &declared.intents).cloned();
        if self.is_all() || known().chain(declared()).any(|intent| self.covers(&intent)) {
            return None;
        }
        let mut text = "nothing is selected: no resource fits all of what was given".to_owned();
        let mut add = |what: &str, asked: bool, found: &dyn Fn(&Intent) -> Vec<String>| {
            let all: BTreeSet<String> = known().chain(declared()).flat_map(|intent| found(&intent)).collect();
            if asked {
                let _ = write!(text, "\n  {what} of resources here: {}", listed(&all));
            }
        };
        add("targets", self.target.is_some(), &|intent| vec![intent.target.to_string()]);
        add("types", self.kind.is_some(), &|intent| vec![intent.kind.to_string()]);
        let labels = |intent: &Intent| intent.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        add("labels", self.labels.is_some(), &labels);
        Some(text)
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
        unknown("type", &self.kind, &kinds, types::LISTED)
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

/// As many as one reads: `a, b`, `a, b … and 7 more`.
fn listed(all: &BTreeSet<String>) -> String {
    let first: Vec<&str> = all.iter().take(limits::LISTED_NAMES).map(String::as_str).collect();
    match all.len() - first.len() {
        0 if all.is_empty() => "none".to_owned(),
        0 => first.join(", "),
        more => format!("{} … and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{Epoch, Event, IntentParts, Push, PushMode, step};
    use std::sync::Arc;

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
