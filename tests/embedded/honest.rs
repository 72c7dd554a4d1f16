//! What is said is true also in the unusual moments: while something is set up, after a kill, where nothing is new, where nothing can be written.

use super::run::Running;
use super::{LOCAL, small};
use crate::house::{House, environment, eventually, file, resource};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::process::Stdio;

#[test]
fn a_message_is_kept_also_where_there_is_no_new_version() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -m first").code, 0);
    let again = house.run("deploy -f manifests -m \"after the storm\"");
    assert_eq!(
        house.normal(&again.err),
        "no new version: the manifests want what version 1 wants; the message is kept with this deploy (`homeostat audit`)"
    );
    assert_eq!(house.run("deploy -m \"no files\" -q").err, "");
    house.check(
        "audit",
        0,
        "
        WHEN  AUTHOR  ACTION  WHAT  MESSAGE
        TIME  AUTHOR  deploy  all  no files
        TIME  AUTHOR  deploy  all  after the storm
        TIME  AUTHOR  deploy  all  first
        TIME  AUTHOR  version  1 from manifests: 3 changed, 0 removed  first",
    );
}

/// Every number in a document that can only be a time in milliseconds.
fn raw_times(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(items) => items.iter().flat_map(raw_times).collect(),
        Value::Object(fields) => fields.values().flat_map(raw_times).collect(),
        Value::Number(number) => number.as_i64().filter(|number| *number > 1_000_000_000_000).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_time_in_a_document_has_one_form() {
    let house = House::patient(LOCAL, &[small("held"), file("bad", "/proc/bad", "no", "")].concat());
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    assert_eq!(house.run("suspend -q").code, 0);
    for words in ["show bad", "why bad", "show motd", "status", "history", "history --attempts", "compliance", "audit"]
        .into_iter()
        .chain([
            "environments",
            "facts",
            "check",
            "deploy",
            "repair --report",
            "dry-run",
            "suspend",
            "cancel bad",
            "resume",
        ])
    {
        let document = house.run(&format!("{words} -o json")).json();
        assert!(raw_times(&document).is_empty(), "{words}: {document}");
    }
}

#[test]
fn an_environment_that_is_being_set_up_is_not_called_unknown() {
    let house = House::new();
    house.write("data/deploy/lock", r#"{"pid":1,"command":"homeostat deploy","since":"2026-11-22 21:00:00 UTC"}"#);
    let lock = std::fs::File::open(house.path("data/deploy/lock")).unwrap();
    lock.lock().unwrap();
    for words in ["status", "why motd", "environments"] {
        house.refuses(
            words,
            4,
            "
            error: no environment is known yet with --data-dir data/deploy: it is being set up by HOLDER
              ask again when that has begun to deploy",
        );
    }
    drop(lock);
    assert_eq!(house.run("status").code, 64, "nobody is there any more");
}

#[test]
fn what_a_killed_process_had_in_hand_is_interrupted_until_the_next_settles_it() {
    let slow = "{type: local, delayMs: 10000}";
    let resources = [file("one", "FOLDER/one", "x", ""), file("two", "FOLDER/two", "x", "one")].concat();
    let house = House::with(slow, &resources);
    let mut deploy = house.command("deploy -f manifests").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("a grant", || house.run("history --attempts").out.contains("open"));
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    house.check(
        "status",
        1,
        "
        NAME  TYPE  TARGET  STATE  VERSION  VERIFIED  CHANGED
        one  host.File  here  Interrupted  1  -  -
        two  host.File  here  Updating  1  -  -
        environment house, version 1: 0 of 2 compliant, 2 updating
          1 attempt was interrupted, and nobody works on this now: `homeostat deploy` settles that and goes on",
    );
    house.check(
        "why two",
        1,
        "
        two is Updating
          it waits for one, which is queued or running
          it waits to be run, as soon as a homeostat process owns the environment
          one is Interrupted
            attempt 1 was interrupted: what it did is not recorded, and nobody works on it now; the next homeostat process that owns the environment settles it
        next: `homeostat deploy` closes that attempt, and runs it again where that is needed",
    );
    assert_eq!(house.run("history one -o json").json()["items"][0]["result"], "interrupted");
    house.write("manifests/environment.yaml", &environment(LOCAL, 1));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    assert_eq!(house.run("history one -o json").json()["items"][1]["result"], "lost");
}

#[test]
fn what_stays_skipped_is_counted_apart() {
    let low = file("low", "FOLDER/missing/low", "x", "");
    let house = House::patient(
        LOCAL,
        &[low, file("high", "FOLDER/high", "x", "low"), file("fine", "FOLDER/fine", "x", "")].concat(),
    );
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    let again = house.normal(&house.run("deploy").out);
    let counted = "version 1: 0 changed, 1 unchanged, 1 failed, 0 skipped, 1 still skipped; 1 attempt in TIME (RATE)";
    assert!(again.contains(counted), "{again}");
    house.check(
        "deploy fine",
        1,
        "
        version 1: 0 changed, 1 unchanged, 0 failed, 0 skipped, 1 still skipped, 1 left; 0 attempts in TIME (RATE)
          2 other resources are not as declared: `homeostat status`",
    );
}

#[test]
fn a_data_folder_that_cannot_be_made_says_what_to_do() {
    let house = House::with(LOCAL, &small("held"));
    house.refuses(
        "deploy -f manifests --data-dir /proc/x",
        5,
        "
        error: cannot make or lock /proc/x
          name a folder with --data-dir that this user can make and write to
          because: No such file or directory (os error 2)",
    );
}

#[test]
fn an_ended_environment_leaves_no_locks_behind() {
    let house = House::with(LOCAL, &small("held"));
    let locks = || {
        let entries = std::fs::read_dir(house.path("data/deploy")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("executor-")).count()
    };
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    assert!(locks() > 0);
    assert_eq!(house.run("delete environment house --yes -q").code, 0);
    assert_eq!(locks(), 0);
}

#[test]
fn a_closed_window_says_when_it_opens() {
    let house = House::with(LOCAL, &small("held"));
    let hour = (jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour() + 6) % 24;
    let windows = format!("  windows: {{deploy: [{{start: \"0 {hour} * * *\", duration: 1h}}]}}\n");
    house.write("manifests/environment.yaml", &(environment(LOCAL, 1) + &windows));
    let deployed = house.run("deploy -f manifests");
    assert_eq!(deployed.code, 1);
    assert!(deployed.out.contains("target here is outside its deploy windows; the next opens in "), "{}", deployed.out);
    assert!(
        deployed.out.contains(": 0 changed, 0 unchanged, 0 failed, 0 skipped, 3 left; 0 attempts"),
        "{}",
        deployed.out
    );
    let status = house.run("status").out;
    assert!(status.contains("folder waits: target here is outside its deploy windows; the next opens in "), "{status}");
}

/// A command that waits, and what it has told so far; it is interrupted once it has told this.
fn waits_and_says(house: &House, words: &str, said: &str) {
    let told = house.path("told");
    let err = std::fs::File::create(&told).unwrap();
    let mut waiting = house.command(words).stdout(Stdio::null()).stderr(err).spawn().unwrap();
    eventually(said, || house.read("told").contains(said));
    let line = house.read("told").lines().find(|line| line.contains(said)).unwrap().to_owned();
    assert!(line.contains(" attempts done, 0 failed, "), "{line}");
    rustix::process::kill_process(Pid::from_child(&waiting), Signal::INT).unwrap();
    house.write("opened", "");
    waiting.wait().unwrap();
}

#[test]
fn a_deploy_in_which_nothing_ends_says_what_runs() {
    let script = "{argv: [sh, -c, 'until test -e FOLDER/opened; do sleep 0.1; done'], creates: /no/such/thing}";
    let slow = ["one", "two", "three", "four"].map(|name| resource(name, "host.Command", script, ""));
    let house = House::with(LOCAL, &slow.concat());
    house.write("manifests/environment.yaml", &environment(LOCAL, 4));
    waits_and_says(&house, "deploy -f manifests", "; running: four, one, three and 1 more");
}

#[test]
fn a_deploy_in_which_nothing_ends_says_what_holds_it_also_beside_a_run() {
    let house = House::with(LOCAL, &small("held"));
    let limited = environment(LOCAL, 1) + "  rateLimit: {attempts: 2, period: 1h}\n";
    house.write("manifests/environment.yaml", &limited);
    let holds = "; index waits: the rate limit of target here is used up; the next may start in ";
    waits_and_says(&house, "deploy -f manifests", holds);
    let run = Running::start(&house, "-f manifests");
    run.eventually_says("started", None);
    waits_and_says(&house, "deploy", holds);
    run.stop();
}

#[test]
fn what_is_said_with_an_order_has_a_bound() {
    let house = House::new();
    for verb in ["deploy -f x", "suspend", "cancel", "forget a"] {
        let long = house.run(&format!("{verb} -m {}", "x".repeat(4_097)));
        assert_eq!(long.code, 64, "{}", long.err);
        assert!(long.err.contains("it may have 4096 bytes, and has 4097; say it in fewer words"), "{}", long.err);
    }
}
