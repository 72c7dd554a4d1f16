//! Every verb as a user types it: the built binary, a real private PostgreSQL, a real executor process; the output is golden.
//!
//! What differs from run to run is replaced by a word (`TIME`, `AUTHOR` …); the padding of columns is tested where it is made.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "embedded/beside.rs"]
mod beside;
#[path = "embedded/cancel.rs"]
mod cancel;
#[path = "embedded/ends.rs"]
mod ends;
#[path = "embedded/facts.rs"]
mod facts;
#[path = "embedded/honest.rs"]
mod honest;
mod house;
#[path = "embedded/logs.rs"]
mod logs;
#[path = "embedded/readers.rs"]
mod readers;
#[path = "embedded/release.rs"]
mod release;
#[path = "embedded/report.rs"]
mod report;
#[path = "embedded/restart.rs"]
mod restart;
#[path = "embedded/run.rs"]
mod run;
#[path = "embedded/secrets.rs"]
mod secrets;
#[path = "embedded/suspend.rs"]
mod suspend;
#[path = "embedded/upkeep.rs"]
mod upkeep;

use house::{House, Ran, eventually, file, ran, resource};
use rustix::process::{Pid, Signal};
use std::process::Stdio;

const LOCAL: &str = "{type: local}";

/// A folder, a file in it, and a file that requires both.
fn small(content: &str) -> String {
    [
        resource("folder", "host.Directory", "{path: FOLDER/made}", ""),
        file("motd", "FOLDER/made/motd", content, "folder"),
        file("index", "FOLDER/made/index", "index", "folder, motd"),
    ]
    .concat()
}

#[test]
fn the_life_of_an_environment() {
    let house = House::with(LOCAL, &small("held"));
    house.check(
        "deploy -f manifests -m first",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        created  folder  1  TIME  -
        created  motd  2  TIME  -
        created  index  3  TIME  -
        version 1: 3 changed, 0 unchanged, 0 failed, 0 skipped; 3 attempts in TIME (RATE)",
    );
    house.check("deploy -f manifests", 0, "nothing to do: 3 of 3 resources compliant (version 1)");

    house.write("made/motd", "changed by hand\n");
    house.check(
        "repair",
        0,
        "
        updated motd (attempt 5)
            content:
            @@ -1 +1 @@
            -changed by hand
            +held
            \\ No newline at end of file
        version 1: 1 changed, 2 unchanged, 0 failed, 0 skipped; 3 attempts in TIME (RATE)",
    );
    assert_eq!(house.read("made/motd"), "held");

    house.write("manifests/resources.yaml", &small("held again"));
    house.check(
        "dry-run -f manifests",
        2,
        "
        update motd
            content:
            @@ -1 +1 @@
            -held
            \\ No newline at end of file
            +held again
            \\ No newline at end of file
        1 of 3 resources would change: 2 none, 1 update (on version 1)",
    );
    assert_eq!(house.read("made/motd"), "held", "a dry run changes nothing");
    house.check(
        "deploy -f manifests",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  motd  7  TIME  -
        version 2: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    house.check("dry-run -f manifests", 0, "nothing would change: 3 of 3 resources as declared (version 2)");
    house.check(
        "status",
        0,
        "
        NAME  TYPE  TARGET  STATE  VERSION  VERIFIED  CHANGED
        folder  host.Directory  here  Compliant  1  TIME  TIME
        index  host.File  here  Compliant  1  TIME  TIME
        motd  host.File  here  Compliant  2  TIME  TIME
        environment house, version 2: 3 of 3 compliant",
    );
    house.check(
        "why motd",
        0,
        "
        motd is Compliant
          it is as declared; nothing to do
          attempt 7 verified it TIME (version 2)
          attempt 7 changed it last, TIME",
    );
    house.check(
        "rollback --to-version 1",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  motd  8  TIME  -
        version 3: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert_eq!(house.read("made/motd"), "held");
    house.check(
        "history",
        0,
        "
        VERSION  ACCEPTED  AUTHOR  SOURCE  CHANGED  REMOVED  MESSAGE
        3  TIME  AUTHOR  rollback  1  0  rollback to version 1
        2  TIME  AUTHOR  manifests  1  0  -
        1  TIME  AUTHOR  manifests  3  0  first",
    );
    house.check(
        "history motd --limit 2",
        0,
        "
        ATTEMPT  NAME  VERSION  REASON  OPERATION  WHEN  TOOK  RESULT  ERROR
        8  motd  3  UserDeploy  Enforce  TIME  TIME  updated  -
        7  motd  2  UserDeploy  Enforce  TIME  TIME  updated  -",
    );
    house.check(
        "delete --yes",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        deleted  index  9  TIME  -
        deleted  motd  10  TIME  -
        deleted  folder  11  TIME  -
        version 4: 3 changed, 0 unchanged, 0 failed, 0 skipped; 3 attempts in TIME (RATE)",
    );
    assert!(!house.path("made").exists());
}

/// Its lines belong to others too: they stay, also when it goes.
#[test]
fn a_line_of_a_file_is_held_and_the_others_are_left() {
    let house = House::with(
        LOCAL,
        &resource(
            "root-login",
            "host.LineInFile",
            "{path: FOLDER/sshd, match: ^PermitRootLogin, line: PermitRootLogin no}",
            "",
        ),
    );
    house.write("sshd", "Port 22\nPermitRootLogin yes\n");
    house.check(
        "deploy -f manifests",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  root-login  1  TIME  -
        version 1: 1 changed, 0 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert_eq!(house.read("sshd"), "Port 22\nPermitRootLogin no\n");
    house.write("sshd", "Port 2222\n");
    house.check(
        "repair",
        0,
        "
        updated root-login (attempt 2)
            content:
            @@ -1,0 +2 @@
            +PermitRootLogin no
        version 1: 1 changed, 0 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    house.check(
        "delete --yes",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        deleted  root-login  3  TIME  -
        version 2: 1 changed, 0 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert_eq!(house.read("sshd"), "Port 2222\n");
}

#[test]
fn a_failure_is_explained_down_to_its_cause() {
    let house = House::with(
        LOCAL,
        &[file("low", "FOLDER/missing/low", "x", ""), file("high", "FOLDER/high", "x", "low")].concat(),
    );
    let failed = house.run("deploy -f manifests");
    assert_eq!(failed.code, 1);
    let text = house.normal(&failed.out);
    assert!(text.contains("failed  low  1  TIME") && text.contains("skipped  high  2  -  low is not good"), "{text}");
    assert!(text.ends_with("what failed and why: `homeostat why low`"), "{text}");

    let why = house.run("why high");
    assert_eq!(why.code, 1);
    let text = house.normal(&why.out);
    assert!(text.starts_with("high is Skipped\n  it requires low, which failed: "), "{text}");
    assert!(text.contains("\n  low is Failed\n    its last attempt failed: "), "{text}");
    assert!(
        text.ends_with("next: fix the cause, then `homeostat deploy low`; `homeostat history low` lists every attempt"),
        "{text}"
    );

    std::fs::create_dir(house.path("missing")).unwrap();
    let mended = house.run("deploy");
    assert_eq!(mended.code, 0, "{}{}", mended.out, mended.err);
    assert!(house.path("high").exists());
}

#[test]
fn what_is_wrong_is_refused_with_what_to_do() {
    let house = House::with(LOCAL, &small("held"));
    house.refuses(
        "status",
        64,
        "
        error: no environment is known with --data-dir data/deploy
          deploy something first: `homeostat deploy -f DIR`, or name another folder",
    );
    house.write("manifests/resources.yaml", &small("held").replace("content", "contents"));
    let wrong = house.run("deploy -f manifests");
    assert_eq!(wrong.code, 3);
    assert!(wrong.err.contains("manifests/resources.yaml:20:") && wrong.err.contains("contents"), "{}", wrong.err);

    house.write("manifests/resources.yaml", &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.refuses(
        "show indx",
        64,
        "
        error: there is no resource named indx; did you mean index?
          `homeostat status` lists them all",
    );
    house.refuses(
        "rollback --to-version 7",
        64,
        "
        error: environment house has no version 7; its newest is 1
          `homeostat history` lists them",
    );
    house.refuses(
        "deploy -f manifests --environment hose",
        64,
        "
        error: there is no environment named hose; did you mean house?
          the manifests declare: house",
    );
    house.refuses(
        "delete",
        64,
        "
        These 3 resources of environment house will be deleted on their targets:
          - folder
          - index
          - motd
        error: nothing was done: this needs a confirmation, and there is no terminal to ask on
          add --yes to confirm",
    );
    house.write("manifests/resources.yaml", &small("held").replace("requires: []", "requires: [index]"));
    house.refuses(
        "deploy -f manifests",
        3,
        "
        error: the intent was refused; nothing was accepted
          folder: it transitively requires itself (folder → index → folder); remove one of these requires
          index: it transitively requires itself (folder → index → folder); remove one of these requires
          motd: it transitively requires itself (folder → index → folder); remove one of these requires",
    );
}

#[test]
fn a_prune_shows_first_what_goes_away() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests").code, 0);
    house.write("manifests/resources.yaml", &resource("folder", "host.Directory", "{path: FOLDER/made}", ""));
    house.check("deploy -f manifests", 0, "nothing to do: 3 of 3 resources compliant (version 1)");
    house.check(
        "dry-run -f manifests --prune",
        2,
        "
        delete index
        delete motd
        2 of 3 resources would change: 2 delete, 1 none (on version 1)",
    );
    house.refuses(
        "deploy -f manifests --prune",
        64,
        "
        These 2 resources are no longer declared, and will be deleted on their targets:
          - index
          - motd
        error: nothing was done: this needs a confirmation, and there is no terminal to ask on
          add --yes to confirm",
    );
    assert!(house.path("made/motd").exists());
    house.check(
        "deploy -f manifests --prune --yes",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        deleted  index  4  TIME  -
        deleted  motd  5  TIME  -
        version 2: 2 changed, 1 unchanged, 0 failed, 0 skipped; 2 attempts in TIME (RATE)",
    );
}

#[test]
fn programs_get_documents() {
    let house = House::with(LOCAL, &small("held"));
    let run = house.run("deploy -f manifests -o json").json();
    assert_eq!(
        (run["version"].as_u64(), run["changed"].as_u64(), run["items"][1]["name"].as_str()),
        (Some(1), Some(3), Some("motd"))
    );
    let status = house.run("status -o json").json();
    assert_eq!(status["items"][0]["state"], "Compliant");
    assert_eq!(status["counts"]["compliant"], 3);
    assert_eq!(house.run("show motd -o json").json()["attributes"]["content"], "held");
    assert_eq!(house.run("history motd -o json").json()["items"][0]["result"], "created");
    assert_eq!(house.run("why motd -o json").json()["items"][0]["holds"][0]["hold"], "good");
    let yaml = house.run("history -o yaml").out;
    assert!(yaml.starts_with("environment: house\nversion: 1\nitems:\n"), "{yaml}");
    assert!(!house.run("status").out.contains('\u{1b}'), "no colour without a terminal");
    assert!(house.run("status --color always").out.contains('\u{1b}'));
}

/// Twenty files, one after the other, each slow.
fn slow() -> (House, Vec<String>) {
    let names: Vec<String> = (0..20).map(|number| format!("file-{number:02}")).collect();
    let resources: String = names.iter().map(|name| file(name, &format!("FOLDER/{name}"), name, "")).collect();
    (House::with("{type: local, delayMs: 200}", &resources), names)
}

/// A deploy that is interrupted when it has made the first of them.
fn interrupted(house: &House, deploy: &str) -> Ran {
    let deploy = house.command(deploy).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the first file", || house.path("file-00").exists());
    rustix::process::kill_process(Pid::from_child(&deploy), Signal::INT).unwrap();
    let interrupted = ran(&deploy.wait_with_output().unwrap());
    assert_eq!(interrupted.code, 130, "{}{}", interrupted.out, interrupted.err);
    interrupted
}

#[test]
fn who_reads_keeps_nobody_out_and_is_kept_out_by_nobody() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests").code, 0);
    let started = |words: &&str| house.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let readers = ["status", "history", "logs", "facts", "audit", "status", "history", "logs"];
    let readers: Vec<_> = readers.iter().map(started).collect();
    let deployed = house.run("deploy");
    assert_eq!(deployed.code, 0, "{}", deployed.err);
    for reader in readers {
        let read = ran(&reader.wait_with_output().unwrap());
        assert_eq!(read.code, 0, "{}", read.err);
    }
}

#[test]
fn while_one_deploys_others_read_and_are_told_who_it_is() {
    let (house, names) = slow();
    let mut deploy = house.command("deploy -f manifests -q").stdout(Stdio::null()).spawn().unwrap();
    eventually("the first file", || house.path("file-00").exists());
    let status = house.run("status");
    assert_eq!(status.code, 1, "{}", status.err);
    assert!(status.out.contains("Deploying") && status.out.contains(" of 20 compliant"), "{}", status.out);
    house.refuses(
        "repair",
        4,
        "error: data/deploy is in use by HOLDER; wait until it has ended, stop it, or use another folder with --data-dir",
    );
    let dry_run = house.run("dry-run -f manifests");
    assert_eq!(dry_run.code, 2, "{}{}", dry_run.out, dry_run.err);
    assert!(deploy.wait().unwrap().success());
    assert!(names.iter().all(|name| house.read(name) == *name));
}

#[test]
fn an_interrupted_deploy_ends_in_order_and_goes_on_with_the_next() {
    let (house, names) = slow();
    let interrupted = interrupted(&house, "deploy -f manifests");
    assert!(interrupted.err.contains("stopping: waiting for "), "{}", interrupted.err);
    assert!(
        interrupted.out.trim_end().ends_with("interrupted; `homeostat deploy` goes on with what is left"),
        "{}",
        interrupted.out
    );
    let open = house.run("history --attempts -o json").json();
    assert!(open["items"].as_array().unwrap().iter().all(|attempt| attempt["result"] != "open"), "{open}");
    assert_eq!(house.run("deploy").code, 0);
    assert!(names.iter().all(|name| house.read(name) == *name));
}

#[test]
fn a_dry_run_of_a_slow_target_is_waited_for() {
    let house = House::with("{type: local, delayMs: 1500}", &small("held"));
    let results = house.run("dry-run -f manifests -o json").json()["results"].clone();
    assert_eq!(results, serde_json::json!({"create": 3}));
}

#[test]
fn a_suspended_environment_says_what_holds_it() {
    let house = House::with(LOCAL, &small("held"));
    let suspended = house::environment(LOCAL, 1).replace("spec: {}", "spec: {suspend: true}");
    house.write("manifests/environment.yaml", &suspended);
    let held = house.run("deploy -f manifests");
    assert_eq!(held.code, 1);
    assert!(
        held.out.contains("folder does not run: the environment is suspended (and 2 more are held)"),
        "{}",
        held.out
    );
}

#[test]
fn generated_files_are_up_to_date() {
    let check = House::new().command("generate --check --root").arg(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn a_service_reloads_once_when_its_configuration_changed() {
    let house = House::with("{type: file, path: FOLDER/world.json}", "");
    let declare = |value: &str| {
        let conf = resource("conf", "test.Thing", &format!("{{key: conf, value: \"{value}\"}}"), "");
        let service = resource("service", "test.Thing", "{key: service, value: runs}", "conf");
        house.write("manifests/resources.yaml", &format!("{conf}  notify: {{send: true}}\n{service}"));
        assert_eq!(house.run("deploy -f manifests -q").code, 0);
        let world: serde_json::Value = serde_json::from_str(&house.read("world.json")).unwrap();
        world["things"]["service"]["reloads"].as_u64().unwrap()
    };
    assert_eq!(declare("1"), 0, "it did not exist: there was nothing to reload");
    assert_eq!(declare("1"), 0, "nothing changed");
    assert_eq!(declare("2"), 1, "its configuration changed, and it did not");
    assert_eq!(declare("2"), 1, "nothing changed");
    let history = house.run("history service --limit 1");
    assert!(history.out.contains(", reload for conf"), "{}", history.out);
}

#[test]
fn outside_its_windows_a_target_is_left_alone_and_why_says_until_when() {
    let house = House::with(LOCAL, &small("held"));
    // Half a year from now, whenever now is.
    let month = (jiff::Zoned::now().month() + 5) % 12 + 1;
    let windows = format!("  windows: {{deploy: [{{start: \"0 0 1 {month} *\", duration: 1h}}]}}\n");
    house.write("manifests/environment.yaml", &(house::environment(LOCAL, 1) + &windows));
    let deploy = house.run("deploy -f manifests");
    assert_eq!(deploy.code, 1, "{}{}", deploy.out, deploy.err);
    assert!(!house.path("made").exists());
    let why = house.run("why folder");
    assert!(why.out.contains("target here is outside its deploy windows; the next opens in"), "{}", why.out);
    assert_eq!(house.run("dry-run -f manifests").code, 2, "a look changes nothing");

    house.write("manifests/environment.yaml", &house::environment(LOCAL, 1));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    assert!(house.path("made/index").exists());
}
