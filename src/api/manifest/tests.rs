//! Golden error output (`testdata/*.yaml`, each with what is said of it), grouping, and whole-way hostile input.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::format_collect)]

use super::*;
use crate::adaptors::registry;
use crate::api::Types;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The `host` types only, so that a new adaptor changes no golden file.
static CHECKER: LazyLock<Checker> = LazyLock::new(|| {
    let types = registry::kinds().filter(|kind| kind.starts_with("host.")).filter_map(registry::schema).cloned();
    Checker::new(Types::new(types).unwrap()).unwrap()
});

fn said(text: &str) -> String {
    let input = Input { name: "x.yaml".into(), text: text.to_owned() };
    read_inputs(&[input], &CHECKER).map_or_else(|problems| problems.to_string(), |_| String::new())
}

#[test]
fn errors_read_as_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/manifest/testdata");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut compared = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension != "txt")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let input = Input { name: name.as_str().into(), text: std::fs::read_to_string(file).unwrap() };
        let problems = read_inputs(&[input], &CHECKER).unwrap_err().to_string();
        let golden = file.with_extension("txt");
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            problems.trim_end() == expected.trim_end(),
            "{name} is said to have other errors than in {}:\n{problems}\n",
            golden.display()
        );
        compared += 1;
    }
    assert!(compared >= 5, "{compared}");
}

const GOOD: &str = "
apiVersion: homeostat.dev/v1alpha1
kind: Resource
metadata: {name: b}
spec: {environmentRef: {name: web}, targetRef: {name: here}, type: host.File, attributes: {path: /tmp/b}, requires: [later]}
---
apiVersion: v1
kind: List
items:
  - apiVersion: homeostat.dev/v1alpha1
    kind: Environment
    metadata: {name: web}
    spec: {executor: runners, repair: {interval: 5m}}
    status: {anything: 1}
  - apiVersion: homeostat.dev/v1alpha1
    kind: Target
    metadata: {name: here, creationTimestamp: null}
    spec: {environmentRef: {name: web}, connection: {type: local, delayMs: 5}, concurrency: 4}
---
apiVersion: homeostat.dev/v1alpha1
kind: Resource
metadata: {name: a}
spec: {environmentRef: {name: web}, targetRef: {name: here}, type: host.Directory, attributes: {path: /tmp/a}}
---
apiVersion: homeostat.dev/v1alpha1
kind: Executor
metadata: {name: runners}
spec: {environmentRef: {name: web}, adaptors: [host], replicas: {max: 3}, serviceAccountName: runner}
---
apiVersion: homeostat.dev/v1alpha1
kind: Environment
metadata: {name: mail}
spec: {}
";

#[test]
fn objects_are_grouped_by_environment() {
    let read = read_inputs(&[Input { name: "x.yaml".into(), text: GOOD.to_owned() }], &CHECKER).unwrap();
    let [mail, web] = read.environments.as_slice() else { panic!("{read:?}") };
    assert_eq!((&*mail.name, mail.targets.len(), mail.intents.len()), ("mail", 0, 0));
    assert_eq!(mail.pools.iter().map(|pool| &*pool.name).collect::<Vec<_>>(), ["default"]);
    assert_eq!(
        web.pools.iter().map(|pool| (&*pool.name, pool.max)).collect::<Vec<_>>(),
        [("default", 1), ("runners", 3)]
    );
    assert_eq!(web.intents.iter().map(|intent| &*intent.name).collect::<Vec<_>>(), ["b", "a"]);
    let target = &web.targets[0];
    assert_eq!(
        (&*target.pool, &*target.connection, target.concurrency),
        ("runners", r#"{"delayMs":5,"type":"local"}"#, 4)
    );
}

#[test]
fn a_bad_object_harms_only_itself() {
    let text = GOOD.replace("concurrency: 4", "concurrency: no-number");
    let problems = said(&text);
    assert!(
        problems.starts_with("x.yaml:18:93: spec.concurrency: must be a whole number, is \"no-number\"\n1 problem in"),
        "{problems}"
    );
}

/// What the README tells people to run must not greet them with errors.
#[test]
fn the_examples_are_read_without_errors() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let checker = Checker::new(Types::built_in().unwrap()).unwrap();
    let read = |paths: &[PathBuf]| super::read(paths, &checker).unwrap_or_else(|problems| panic!("{problems}"));
    let quickstart = read(&[examples.join("quickstart")]);
    // The namespace and its rights are the cluster's own objects.
    let cluster = read(&[examples.join("cluster/2-environment.yaml"), examples.join("cluster/3-resources.yaml")]);
    for (manifests, name, resources) in [(quickstart, "quickstart", 9), (cluster, "demo", 8)] {
        let [environment] = manifests.environments.as_slice() else { panic!("{name}: {manifests:?}") };
        assert_eq!(&*environment.name, name);
        let names: Vec<&str> = environment.intents.iter().map(|intent| &*intent.name).collect();
        assert_eq!(names.len(), resources, "{name}");
        let required = environment.intents.iter().flat_map(|intent| intent.requires.iter());
        required.for_each(|required| assert!(names.contains(&&**required), "{name}: {required}"));
    }
}

#[test]
fn many_resources_are_read_in_reasonable_time() {
    let one = |i: usize| {
        GOOD.split("---")
            .next()
            .unwrap()
            .replace("name: b}", &format!("name: b-{i}}}"))
            .replace("/tmp/b", &format!("/tmp/b-{i}"))
    };
    let many: String = (0..20_000).map(|i| format!("---{}", one(i))).collect();
    let read = read_inputs(&[Input { name: "x.yaml".into(), text: format!("{GOOD}{many}") }], &CHECKER).unwrap();
    assert_eq!(read.environments[1].intents.len(), 20_002);
}

proptest! {
    /// A good manifest with one stretch of it replaced by something else.
    #[test]
    fn reading_never_panics(start in 0..GOOD.len(), length in 0_usize..40, with in "([a-z:\\-\\[\\]{}&*!|>'\"#\n ,0-9~]|\\PC){0,20}") {
        let end = (start + length).min(GOOD.len());
        let text = format!("{}{with}{}", &GOOD[..start], &GOOD[end..]);
        let _ = said(&text);
    }
}
