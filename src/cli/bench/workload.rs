//! What is deployed: intents of 500 bytes in layers ten deep, on targets where one attempt runs at a time, with results of 200 bytes.

use crate::cli::SET;
use crate::cli::embedded::push_of;
use crate::cli::manifests::Declared;
use crate::core::{Intent, IntentParts, Name, Push, Settings, Target, Windows};
use std::sync::Arc;

/// Resources that require one another in a row.
pub(super) const LAYERS: usize = 10;
/// Bytes of a result's diff.
pub(super) const RESULT_BYTES: usize = 200;
/// Bytes that fill an intent up to five hundred, names and requirements included.
pub(super) const FILLING: usize = 170;

/// An environment of resources that do nothing.
pub(super) fn declared(environment: &str, resources: usize, targets: usize) -> Declared {
    Declared {
        name: environment.into(),
        settings: Settings::default(),
        targets: (0..targets).map(|number| target(target_name(number), 1)).collect(),
        pools: Vec::new(),
        intents: intents(resources, targets),
    }
}

/// A target of the bench's executors.
pub(super) fn target(name: Name, concurrency: u32) -> Target {
    Target {
        name,
        pool: crate::api::DEFAULT_POOL.into(),
        connection: r#"{"type":"local"}"#.into(),
        concurrency,
        suspend: false,
        windows: Windows::default(),
        rate_limit: None,
    }
}

pub(super) fn target_name(number: usize) -> Name {
    format!("target-{number}").into()
}

pub(super) fn name_of(number: usize) -> Name {
    format!("resource-{number}").into()
}

/// Each layer requires the one below it, resource by resource.
pub(super) fn intents(resources: usize, targets: usize) -> Vec<Arc<Intent>> {
    let width = resources.div_ceil(LAYERS).max(1);
    let requires = |number: usize| number.checked_sub(width).map(name_of).into_iter().collect();
    (0..resources).map(|number| nothing(number, requires(number), target_name(number % targets), "first")).collect()
}

/// A chain on one target.
pub(super) fn chain(length: usize) -> Vec<Arc<Intent>> {
    let requires = |number: usize| number.checked_sub(1).map(name_of).into_iter().collect();
    (0..length).map(|number| nothing(number, requires(number), target_name(0), "first")).collect()
}

/// A resource that does nothing and reports two hundred bytes.
pub(super) fn nothing(number: usize, requires: Vec<Name>, target: Name, revision: &str) -> Arc<Intent> {
    let (filling, says) = ("x".repeat(FILLING), "y".repeat(RESULT_BYTES));
    let attributes = format!(r#"{{"says":"{says}","value":"{revision} {filling}"}}"#);
    intent(name_of(number), "test.Nothing", target, attributes, requires)
}

/// An intent with an identity of its own.
pub(super) fn intent(name: Name, kind: &str, target: Name, attributes: String, requires: Vec<Name>) -> Arc<Intent> {
    Arc::new(Intent::new(IntentParts {
        identity: format!(r#"{{"name":"{name}"}}"#).into(),
        name,
        kind: kind.into(),
        target,
        attributes: attributes.into(),
        requires,
        ..IntentParts::default()
    }))
}

/// What a manifest run would push.
pub(super) fn push(intents: Vec<Arc<Intent>>) -> Push {
    Push { upserts: intents, ..push_of(SET.into(), "bench", "") }
}
