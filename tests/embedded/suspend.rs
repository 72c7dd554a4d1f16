//! Suspended environments and targets: what users order outlives the process that took the order.

use super::{LOCAL, small};
use crate::house::{House, environment, file};

#[test]
fn o_a_suspended_environment_accepts_versions_and_runs_nothing_until_it_is_resumed() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.check(
        "suspend -m \"a new disk\"",
        0,
        "
        environment house is suspended: nothing new starts, and versions are accepted
          `homeostat resume` lifts it",
    );
    house.write("manifests/resources.yaml", &small("held again"));
    house.check(
        "deploy -f manifests",
        1,
        "
        version 2: 0 changed, 2 unchanged, 0 failed, 0 skipped, 1 left; 0 attempts in TIME (RATE)
          motd does not run: AUTHOR suspended the environment: a new disk; `homeostat why motd`
          AUTHOR suspended the environment TIME: a new disk; `homeostat resume` lifts it",
    );
    assert_eq!(house.read("made/motd"), "held");
    house.check(
        "why motd",
        1,
        "
        motd is Updating
          AUTHOR suspended the environment TIME: a new disk
          it waits to be run, as soon as a homeostat process owns the environment
        next: `homeostat resume` lifts it",
    );
    house.check(
        "status motd",
        1,
        "
        NAME  TYPE  TARGET  STATE  VERSION  VERIFIED  CHANGED
        motd  host.File  here  Updating  2  TIME  TIME
        environment house, version 2: 2 of 3 compliant, 1 updating
          AUTHOR suspended the environment TIME: a new disk; `homeostat resume` lifts it",
    );
    assert_eq!(house.run("status -o json").json()["suspensions"][0]["message"], "a new disk");
    assert_eq!(house.run("environments -o json").json()["items"][0]["suspended"], true);
    assert_eq!(house.run("dry-run -f manifests").code, 2, "a dry run runs all the same");
    assert_eq!(house.run("repair").code, 1);
    assert_eq!(house.read("made/motd"), "held");
    house.check(
        "resume -m done",
        0,
        "
        environment house is resumed
          AUTHOR suspended the environment TIME: a new disk
          3 resources wait; `homeostat deploy` goes on with them",
    );
    assert_eq!(house.run("deploy -q").code, 0);
    assert_eq!(house.read("made/motd"), "held again");
    house.check("resume", 0, "nobody has suspended environment house");
}

#[test]
fn o_a_suspended_target_holds_what_is_on_it_and_what_requires_that() {
    let there = environment(LOCAL, 1).split("---").nth(1).unwrap().replace("{name: here}", "{name: there}");
    let elsewhere = |text: String| text.replace("targetRef: {name: here}", "targetRef: {name: there}");
    let house = House::with(LOCAL, &[small("held"), elsewhere(file("gate", "FOLDER/gate", "open", ""))].concat());
    house.write("manifests/there.yaml", &there);
    house.write("manifests/last.yaml", &elsewhere(file("last", "FOLDER/last", "last", "motd")));
    assert_eq!(house.run("deploy -f manifests gate -q").code, 0);
    house.refuses(
        "suspend --target her",
        64,
        "
        error: there is no target named her; did you mean here?
          there are: here, there",
    );
    house.check(
        "suspend --target here",
        0,
        "
        target here of environment house is suspended: nothing new starts, and versions are accepted
          `homeostat resume --target here` lifts it",
    );
    let run = house.run("deploy -f manifests -o json");
    let held: Vec<String> =
        run.json()["held"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!((run.code, held), (1, ["folder", "index", "last", "motd"].map(str::to_owned).into()));
    assert!(!house.path("last").exists(), "it requires what is on the suspended target");
    house.check(
        "resume",
        0,
        "
        nobody has suspended environment house
          target here is still suspended; `homeostat resume --target here` lifts it
          4 resources wait; `homeostat deploy` goes on with them",
    );
    assert_eq!(house.run("resume --target here").code, 0);
    assert_eq!(house.run("deploy -q").code, 0);
    assert_eq!(house.read("last"), "last");
}
