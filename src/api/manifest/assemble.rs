//! From checked objects to environments: duplicates, references between objects, defaults.

use super::{EnvironmentManifests, Input, Located, Manifests, Problem, yaml};
use crate::api::field::{Part, shown};
use crate::api::{
    API_VERSION, Checker, DEFAULT_POOL, Duration, FieldError, FieldPath, ParsedEnvironment, ParsedExecutor,
    ParsedResource, ParsedTarget, did_you_mean,
};
use crate::core::{Name, Pool};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Objects of one kind that are valid by themselves, by name.
type Objects<T> = BTreeMap<Name, (Located, T)>;

#[derive(Default)]
struct All {
    environments: Objects<ParsedEnvironment>,
    targets: Objects<ParsedTarget>,
    executors: Objects<ParsedExecutor>,
    /// In the order of the files.
    resources: Vec<(Located, ParsedResource)>,
    /// Every object that has a kind and a name, valid or not, so that one error does not cause another.
    known: HashMap<(&'static str, Name), Located>,
}

/// Reads, checks and groups.
pub(super) fn assemble(inputs: &[Input], checker: &Checker, problems: &mut Vec<Problem>) -> Manifests {
    let mut all = All::default();
    for input in inputs {
        let documents = yaml::read(&input.text);
        problems.extend(documents.errors.into_iter().map(|(place, message)| Problem {
            file: Arc::clone(&input.name),
            place: Some(place),
            error: FieldError::value(FieldPath::default(), message),
            environment: None,
        }));
        for node in documents.documents {
            for node in items_of(node) {
                object(&Located { file: Arc::clone(&input.name), node }, checker, &mut all, problems);
            }
        }
    }
    references(&all, problems);
    facts(&all, checker, problems);
    identities(&all, problems);
    group(all)
}

/// A `List`, as `kubectl get -o yaml` writes it, stands for its items.
fn items_of(node: yaml::Node) -> Vec<yaml::Node> {
    let is = |key: &str, text: &str| node.field(key).and_then(|entry| entry.value.text()) == Some(text);
    if !(is("apiVersion", "v1") && is("kind", "List")) {
        return vec![node];
    }
    match node.field("items").map(|entry| &entry.value.content) {
        Some(yaml::Content::List(items)) => items.clone(),
        _ => vec![node],
    }
}

fn object(located: &Located, checker: &Checker, all: &mut All, problems: &mut Vec<Problem>) {
    let kind = match kind_of(located, checker) {
        Ok(kind) => kind,
        Err(error) => return problems.push(located.problem(error)),
    };
    if let Some(name) = name_of(located) {
        if let Some(first) = all.known.get(&(kind, name.clone())) {
            let message = format!("{kind} {} is already described at {}", shown(&name), first.at());
            let suggestion = Some("give one of them another name (namespaces are ignored here)".to_owned());
            return problems.push(
                located.problem(FieldError::value(FieldPath::of(&["metadata", "name"]), message).suggest(suggestion)),
            );
        }
        all.known.insert((kind, name), located.clone());
    }
    let value = located.node.value();
    let errors = match kind {
        "Environment" => {
            checker.environment(&value).map(|parsed| keep(&mut all.environments, parsed.name.clone(), located, parsed))
        }
        "Target" => checker.target(&value).map(|parsed| keep(&mut all.targets, parsed.name.clone(), located, parsed)),
        "Executor" => {
            checker.executor(&value).map(|parsed| keep(&mut all.executors, parsed.pool.name.clone(), located, parsed))
        }
        _ => checker.resource(&value).map(|parsed| all.resources.push((located.clone(), parsed))),
    };
    problems.extend(errors.err().into_iter().flatten().map(|error| located.problem(error)));
}

fn keep<T>(objects: &mut Objects<T>, name: Name, located: &Located, parsed: T) {
    objects.insert(name, (located.clone(), parsed));
}

fn kind_of(located: &Located, checker: &Checker) -> Result<&'static str, FieldError> {
    if !matches!(located.node.content, yaml::Content::Map(_)) {
        let error = FieldError::value(
            FieldPath::default(),
            "is not a Kubernetes object: it must have apiVersion, kind, metadata and spec",
        );
        return Err(error);
    }
    let text = |key: &str| located.node.field(key).and_then(|entry| entry.value.text());
    let missing = |key: &str| FieldError::value(FieldPath::of(&[key]), "is required");
    let version = text("apiVersion")
        .ok_or_else(|| missing("apiVersion").suggest(Some(format!("write `apiVersion: {API_VERSION}`"))))?;
    let kind = text("kind").ok_or_else(|| missing("kind"))?;
    if version != API_VERSION {
        let suggestion = format!(
            "write {API_VERSION}; objects of other groups are deployed by a Resource of type kubernetes.Manifest"
        );
        return Err(FieldError::value(
            FieldPath::of(&["apiVersion"]),
            format!("unknown apiVersion {}", shown(version)),
        )
        .suggest(Some(suggestion)));
    }
    checker.kinds().find(|known| *known == kind).ok_or_else(|| {
        let suggestion = did_you_mean(kind, checker.kinds())
            .unwrap_or_else(|| format!("known kinds: {}", checker.kinds().collect::<Vec<_>>().join(", ")));
        FieldError::value(FieldPath::of(&["kind"]), format!("unknown kind {}", shown(kind))).suggest(Some(suggestion))
    })
}

fn name_of(located: &Located) -> Option<Name> {
    Some(located.node.field("metadata")?.value.field("name")?.value.text()?.into())
}

/// Every reference leads to an object, and to one of the same environment.
fn references(all: &All, problems: &mut Vec<Problem>) {
    for (located, environment) in all.environments.values() {
        let path = FieldPath::of(&["spec", "executor"]);
        all.expect("Executor", &environment.pool, Some(&environment.name), located, path, problems);
    }
    let environment_path = || FieldPath::of(&["spec", "environmentRef", "name"]);
    for (located, executor) in all.executors.values() {
        all.expect("Environment", &executor.environment, None, located, environment_path(), problems);
    }
    for (located, target) in all.targets.values() {
        all.expect("Environment", &target.environment, None, located, environment_path(), problems);
        if let Some(pool) = &target.pool {
            let path = FieldPath::of(&["spec", "executorRef", "name"]);
            all.expect("Executor", pool, Some(&target.environment), located, path, problems);
        }
    }
    for (located, resource) in &all.resources {
        all.expect("Environment", &resource.environment, None, located, environment_path(), problems);
        let path = FieldPath::of(&["spec", "targetRef", "name"]);
        all.expect("Target", &resource.intent.target, Some(&resource.environment), located, path, problems);
    }
}

impl All {
    /// Reports a reference that leads nowhere, or into another environment.
    fn expect(
        &self,
        kind: &'static str,
        name: &Name,
        environment: Option<&Name>,
        from: &Located,
        path: FieldPath,
        problems: &mut Vec<Problem>,
    ) {
        let other = match kind {
            "Target" => self.targets.get(name).map(|(_, target)| &target.environment),
            "Executor" => self.executors.get(name).map(|(_, executor)| &executor.environment),
            _ => None,
        };
        let (message, suggestion) = match (other, environment) {
            (Some(other), Some(environment)) if other != environment => {
                (format!("{kind} {} belongs to Environment {}", shown(name), shown(other)), None)
            }
            _ if self.known.contains_key(&(kind, name.clone())) || (kind == "Executor" && &**name == DEFAULT_POOL) => {
                return;
            }
            _ => (format!("{kind} {} is not described in these manifests", shown(name)), self.similar(kind, name)),
        };
        problems.push(from.problem(FieldError { path, part: Part::Value, message, suggestion }));
    }

    fn similar(&self, kind: &str, name: &str) -> Option<String> {
        let mut names: Vec<&str> =
            self.known.keys().filter(|(known, _)| *known == kind).map(|(_, name)| &**name).collect();
        names.sort_unstable();
        did_you_mean(name, names)
    }
}

/// A fact that is taken is one that the type of its resource reports, where both are described here.
fn facts(all: &All, checker: &Checker, problems: &mut Vec<Problem>) {
    let kinds: HashMap<(&Name, &Name), &Name> =
        all.resources.iter().map(|(_, one)| ((&one.environment, &one.intent.name), &one.intent.kind)).collect();
    for (located, resource) in &all.resources {
        for of in resource.intent.facts_taken() {
            let Some(kind) = kinds.get(&(&resource.environment, &of.name)) else { continue };
            let reported = checker.types().facts(kind);
            if reported.contains(&&*of.fact) {
                continue;
            }
            let message = format!("{} reports no fact {}", shown(&of.name), shown(&of.fact));
            let others = || match reported.join(", ").as_str() {
                "" => format!("{kind} reports none"),
                names => format!("{kind} reports {names}"),
            };
            let suggestion = did_you_mean(&of.fact, reported.iter().copied()).unwrap_or_else(others);
            let path = FieldPath::of(&["spec", "attributesFrom"]);
            problems.push(located.problem(FieldError::value(path, message).suggest(Some(suggestion))));
        }
    }
}

/// Two resources that are the same thing on the same target would fight.
fn identities(all: &All, problems: &mut Vec<Problem>) {
    let mut seen: HashMap<(&Name, &Name, &Name, &Name), &Located> = HashMap::new();
    for (located, resource) in &all.resources {
        let intent = &resource.intent;
        let identity = (&resource.environment, &intent.target, &intent.kind, &intent.identity);
        if let Some(first) = seen.get(&identity) {
            let message =
                format!("is the same {} on Target {} as the one at {}", intent.kind, shown(&intent.target), first.at());
            let suggestion = Some("remove one of them".to_owned());
            problems.push(
                located.problem(FieldError::value(FieldPath::of(&["spec", "attributes"]), message).suggest(suggestion)),
            );
        } else {
            seen.insert(identity, located);
        }
    }
}

fn group(all: All) -> Manifests {
    let mut environments: BTreeMap<Name, EnvironmentManifests> = BTreeMap::new();
    let mut default_pools: BTreeMap<Name, Name> = BTreeMap::new();
    for (name, (_, parsed)) in all.environments {
        default_pools.insert(name.clone(), parsed.pool);
        let environment = EnvironmentManifests {
            name: name.clone(),
            settings: parsed.settings,
            targets: Vec::new(),
            pools: Vec::new(),
            intents: Vec::new(),
        };
        environments.insert(name, environment);
    }
    for (_, (_, parsed)) in all.executors {
        if let Some(environment) = environments.get_mut(&parsed.environment) {
            environment.pools.push(parsed.pool);
        }
    }
    for (_, (_, parsed)) in all.targets {
        if let (Some(environment), Some(default)) =
            (environments.get_mut(&parsed.environment), default_pools.get(&parsed.environment))
        {
            environment.targets.push(parsed.with_default_pool(default));
        }
    }
    for (_, parsed) in all.resources {
        if let Some(environment) = environments.get_mut(&parsed.environment) {
            environment.intents.push(Arc::new(parsed.intent));
        }
    }
    let mut environments: Vec<EnvironmentManifests> = environments.into_values().collect();
    environments.iter_mut().for_each(add_default_pool);
    Manifests { environments }
}

/// Nobody has to describe the one process an embedded run needs.
fn add_default_pool(environment: &mut EnvironmentManifests) {
    if !environment.pools.iter().any(|pool| &*pool.name == DEFAULT_POOL) {
        environment.pools.insert(
            0,
            Pool { name: DEFAULT_POOL.into(), min: 0, max: 1, idle_timeout_ms: Duration::from_secs(60).as_ms() },
        );
    }
}
