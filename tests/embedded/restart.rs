//! L: a process that owned the environment has ended, in order or not, and the next one does what is due and nothing else.

use super::LOCAL;
use super::run::Running;
use crate::house::{House, environment, file};
use std::collections::BTreeMap;

/// Nothing is due before an hour has passed.
fn patient(resources: &str) -> House {
    let house = House::with(LOCAL, resources);
    let spec = "spec: {repair: {interval: 1h, jitter: 0s}, retry: {baseDelay: 1h, maxDelay: 2h}}";
    house.write("manifests/environment.yaml", &environment(LOCAL, 4).replacen("spec: {}", spec, 1));
    house
}

/// How often each resource was attempted or skipped, ever.
fn attempts(house: &House) -> BTreeMap<String, usize> {
    let document = house.run("history --attempts --limit 1000 -o json").json();
    let mut counts = BTreeMap::new();
    for attempt in document["items"].as_array().unwrap() {
        *counts.entry(attempt["name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn l1_l2_after_a_kill_only_what_is_due_is_attempted() {
    let resources = [
        file("good", "FOLDER/good", "x", ""),
        file("failed", "FOLDER/missing/failed", "x", ""),
        file("blocked", "FOLDER/blocked", "x", "failed"),
        file("undefined", "FOLDER/undefined", "x", "nobody"),
    ]
    .concat();
    let house = patient(&resources);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("good"));
    run.eventually_says("failed", Some("failed"));
    run.kill();

    std::fs::create_dir(house.path("missing")).unwrap();
    house.write("manifests/new.yaml", &file("new", "FOLDER/new", "x", ""));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("new"));
    run.stop();
    let once = |name: &str| (name.to_owned(), 1);
    assert_eq!(attempts(&house), BTreeMap::from(["good", "failed", "blocked", "new"].map(once)));
    assert!(!house.path("missing/failed").exists() && !house.path("blocked").exists());
}

#[test]
fn e13_what_is_blocked_stays_so_over_a_restart_and_runs_when_what_blocked_it_recovers() {
    let resources = [
        file("base", "FOLDER/missing/base", "x", ""),
        file("middle", "FOLDER/middle", "x", "base"),
        file("top", "FOLDER/top", "x", "middle"),
    ]
    .concat();
    let house = patient(&resources);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("skipped", Some("top"));
    run.kill();

    let state = |name: &str| house.run(&format!("status {name} -o json")).json()["items"][0]["state"].clone();
    assert_eq!((state("middle"), state("top")), ("Skipped".into(), "Skipped".into()));
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("started", None);
    run.stop();
    let once = |name: &str| (name.to_owned(), 1);
    assert_eq!(
        attempts(&house),
        BTreeMap::from(["base", "middle", "top"].map(once)),
        "nothing was tried or skipped again"
    );
    assert_eq!((state("middle"), state("top")), ("Skipped".into(), "Skipped".into()));

    std::fs::create_dir(house.path("missing")).unwrap();
    assert_eq!(house.run("deploy base -q").code, 0);
    assert_eq!(house.run("deploy -q").code, 0);
    assert_eq!(
        (house.read("missing/base"), house.read("middle"), house.read("top")),
        ("x".into(), "x".into(), "x".into())
    );
}

#[test]
fn l6_l7_versions_that_were_accepted_while_nothing_ran_end_as_the_last_one_says() {
    let house = patient(&file("a", "FOLDER/a", "one", ""));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    assert_eq!(house.run("suspend").code, 0);
    let accept = |resources: &[String]| {
        house.write("manifests/resources.yaml", &resources.concat());
        assert_eq!(house.run("deploy -f manifests --prune --yes -q").code, 1, "it is suspended");
    };
    accept(&[file("a", "FOLDER/a", "two", ""), file("b", "FOLDER/b", "one", ""), file("gone", "FOLDER/gone", "x", "")]);
    accept(&[file("a", "FOLDER/a", "three", ""), file("b", "FOLDER/b", "two", "a")]);
    assert_eq!(house.run("resume").code, 0);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("created", Some("b"));
    run.stop();
    assert_eq!((house.read("a"), house.read("b")), ("three".to_owned(), "two".to_owned()));
    let found = [("a".to_owned(), 2), ("b".to_owned(), 1)];
    assert_eq!(attempts(&house), BTreeMap::from(found), "what came and went was never attempted");
    assert_eq!(house.run("status").code, 0);
}
