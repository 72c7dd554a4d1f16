//! Selected resources; environments that end; what a data folder says of itself.

use super::{LOCAL, small};
use crate::house::{House, environment, eventually, file, resource};

#[test]
fn resources_are_selected_by_what_they_are_and_how_they_stand() {
    let house = House::with(LOCAL, &[small("held"), file("bad", "/proc/bad", "no", "")].concat());
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    let names = |words: &str| -> Vec<String> {
        let items = house.run(&format!("{words} -o json")).json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("status --type host.File"), ["bad", "index", "motd"]);
    assert_eq!(names("status --failed"), ["bad"]);
    assert_eq!(names("status --stale 1h"), ["bad"], "it was never found or made as declared");
    assert_eq!(names("status --stale 0s --type host.Directory --target here"), ["folder"]);
    assert_eq!(names("dry-run -f manifests --type host.Directory"), ["folder"]);
    house.write("made/motd", "by hand");
    house.write("made/index", "by hand");
    assert_eq!(house.run("repair --type host.File motd -q").code, 1, "the bad one is still bad");
    assert_eq!((house.read("made/motd").as_str(), house.read("made/index").as_str()), ("held", "by hand"));
    house.write("manifests/resources.yaml", &small("held again"));
    assert_eq!(house.run("deploy -f manifests --type host.Directory -q").code, 1);
    assert_eq!(house.read("made/motd"), "held", "its new intent was not selected");
    assert_eq!(house.run("status --stale yesterday").code, 64);
    assert_eq!(house.run("deploy -f manifests --prune --failed").code, 64);
}

#[test]
fn what_is_bad_and_was_not_asked_for_is_said() {
    let house = House::patient(LOCAL, &[small("held"), file("bad", "/proc/bad", "no", "")].concat());
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    house.check(
        "repair motd",
        1,
        "
        version 1: 0 changed, 3 unchanged, 0 failed, 0 skipped, 1 left; 1 attempt in TIME (RATE)
          1 other resource is not as declared: `homeostat status`",
    );
}

#[test]
fn p2_a_delete_that_failed_is_tried_again_when_it_is_given_again() {
    let house = House::patient(LOCAL, &resource("folder", "host.Directory", "{path: FOLDER/made}", ""));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.write("made/theirs", "not ours to delete");
    assert_eq!(house.run("delete --yes -q").code, 1);
    let why = house.run("why folder");
    assert!(why.out.contains("next: fix the cause, then `homeostat delete folder`; "), "{}", why.out);
    std::fs::remove_file(house.path("made/theirs")).unwrap();
    house.check(
        "delete folder --yes",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        deleted  folder  3  TIME  -
        version 2: 1 changed, 0 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert!(!house.path("made").exists());
}

#[test]
fn everything_that_is_said_of_resources_can_be_selected() {
    let labelled = file("bad", "/proc/bad", "no", "").replace("{name: bad}", "{name: bad, labels: {tier: front}}");
    let house = House::patient(LOCAL, &[small("held"), labelled].concat());
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    let lines = |words: &str| -> Vec<String> {
        let ran = house.run(&format!("{words} -o json"));
        let lines = ran.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["name"].as_str().unwrap().to_owned()).collect()
    };
    let names = |words: &str| -> Vec<String> {
        let items = house.run(&format!("{words} -o json")).json()["items"].as_array().unwrap().clone();
        let name = |item: &serde_json::Value| item.get("name").unwrap_or(&item["items"][0]["name"]).clone();
        items.iter().map(|item| name(item).as_str().unwrap().to_owned()).collect()
    };
    for (selector, meant) in [
        ("--type host.Directory --target here", &["folder"][..]),
        ("-l tier=front", &["bad"]),
        ("-l !tier --type host.File", &["index", "motd"]),
        ("--failed", &["bad"]),
        ("--stale 1h", &["bad"]),
        ("motd folder", &["folder", "motd"]),
    ] {
        for verb in ["status", "show", "why", "facts", "compliance"] {
            assert_eq!(names(&format!("{verb} {selector}")), meant, "{verb} {selector}");
        }
        for mut found in [names(&format!("history {selector}")), lines(&format!("logs {selector}"))] {
            found.sort();
            assert_eq!(found, meant, "history and logs {selector}");
        }
    }
    assert_eq!(names("facts --type host.File --refresh"), ["bad", "index", "motd"]);
    assert_eq!(names("history index motd --limit 2").len(), 2);
    assert!(house.run("why motd -o json").json()["good"].as_bool().unwrap(), "one that is named is told alone");

    // Who is gone is known by name as long as there are attempts.
    assert_eq!(house.run("delete index --yes -q").code, 1, "the bad one is still bad");
    assert!(names("history index motd").iter().any(|name| name == "index"));
    assert_eq!(lines("logs index").last().unwrap(), "index");
    assert!(!names("history --type host.File").iter().any(|name| name == "index"));
    assert_eq!(house.run("show index").code, 64);
}

#[test]
fn what_needs_an_environment_makes_none() {
    let house = House::new();
    for verb in [
        "deploy",
        "repair",
        "facts --refresh",
        "rollback --to-version 1",
        "suspend",
        "resume",
        "cancel",
        "forget a --yes",
        "delete a --yes",
        "delete environment a --yes",
        "clear environment a --yes",
        "status",
        "history",
        "logs",
        "check",
    ] {
        let ran = house.run(verb);
        assert_eq!(ran.code, 64, "{verb}: {}", ran.err);
        assert!(ran.err.contains("no environment is known with --data-dir data/deploy"), "{verb}: {}", ran.err);
        assert!(!house.path("data").exists(), "{verb}");
    }
}

#[test]
fn what_selects_nothing_says_so_and_what_is_mistyped_is_refused() {
    let command = resource("ran", "host.Command", "{argv: [touch, FOLDER/ran], creates: FOLDER/ran}", "");
    let house = House::with(LOCAL, &(small("held") + &command));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    let readers = ["status", "compliance", "show", "why", "facts", "history", "logs"];
    let orders = ["repair", "deploy", "dry-run", "cancel", "delete --yes", "forget --yes", "facts --refresh"];
    for verb in readers.into_iter().chain(orders) {
        let target = house.run(&format!("{verb} --target her"));
        assert_eq!(target.code, 64, "{verb}: {}", target.out);
        assert!(target.err.contains("there is no target named her; did you mean here?"), "{verb}: {}", target.err);
        let kind = house.run(&format!("{verb} --type host.Fil"));
        assert!(kind.code == 64 && kind.err.contains("did you mean host.File?"), "{verb}: {}", kind.err);
        let name = house.run(&format!("{verb} mot"));
        assert!(name.code == 64 && name.err.contains("did you mean motd?"), "{verb}: {}", name.err);
        let elsewhere = house.run(&format!("{verb} motd --environment hous"));
        assert!(elsewhere.code == 64 && elsewhere.err.contains("did you mean house?"), "{verb}: {}", elsewhere.err);
    }
    for verb in readers.into_iter().chain(orders).filter(|verb| !verb.starts_with("forget")) {
        let nothing = house.run(&format!("{verb} --failed"));
        assert_eq!(nothing.code, 0, "{verb}: {}{}", nothing.out, nothing.err);
        assert!(nothing.err.contains("nothing is selected"), "{verb}: {}", nothing.err);
    }
    let nothing = house.run("logs --type host.User -l tier=front").err;
    assert!(nothing.contains("types of resources here: host.Command, host.Directory, host.File\n"), "{nothing}");
    assert!(nothing.contains("labels of resources here: none"), "{nothing}");
    for verb in ["show", "why"] {
        assert!(house.run(verb).err.contains("which resources? Name them, or select them"), "{verb}");
    }
    assert_eq!(house.run("forget --yes").code, 64, "something must be named");
    assert_eq!(house.run("forget --failed --yes").code, 64);
    house.check(
        "delete --type host.Command --yes",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        unchanged  ran  5  TIME  -
        version 2: 0 changed, 4 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert!(house.path("ran").exists(), "what a program did cannot be taken back");
    assert_eq!(house.run("forget --type host.Directory --yes").code, 0);
}

#[test]
fn an_environment_is_cleared_and_its_resources_stay() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.refuses(
        "clear environment house",
        64,
        "
        All that is known of environment house will be dropped, its history too; 3 resources stay on their targets:
          - folder
          - index
          - motd
        error: nothing was done: this needs a confirmation, and there is no terminal to ask on
          add --yes to confirm",
    );
    let gone = "nothing is known of environment house any more; 3 resources stay on their targets";
    house.check("clear environment house --yes", 0, gone);
    assert_eq!(house.run("status").code, 64);
    assert_eq!(house.read("made/motd"), "held");
    let adopted = house.run("deploy -f manifests -o json").json();
    assert_eq!((&adopted["version"], &adopted["changed"]), (&1.into(), &0.into()), "it is found as declared");
}

#[test]
fn an_environment_is_deleted_in_reverse_order_and_ends_when_nothing_is_left() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    assert_eq!(house.run("delete environment hous --yes").code, 64);
    let declined = house.run("delete environment house");
    assert_eq!(declined.code, 64);
    assert!(declined.err.contains("on their targets, and then all that is known of it, its history too:\n  - folder"));
    assert_eq!(house.run("suspend -q").code, 0);
    let held = house.run("delete environment house --yes");
    assert_eq!(held.code, 1, "{}{}", held.out, held.err);
    assert!(held.err.contains("environment house goes on: something of it is left"), "{}", held.err);
    assert!(house.path("made/index").exists());
    assert_eq!(house.run("resume -q").code, 0);
    let deleted = house.run("delete environment house --yes");
    assert_eq!(deleted.code, 0, "{}{}", deleted.out, deleted.err);
    assert!(deleted.err.starts_with("environment house declares nothing any more; all that"), "{}", deleted.err);
    assert!(deleted.err.contains("environment house has ended"), "{}", deleted.err);
    assert!(!house.path("made").exists());
    assert_eq!(house.run("environments").code, 64);
}

#[test]
fn history_memory_and_folder_are_checked() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.write("manifests/resources.yaml", &resource("folder", "host.Directory", "{path: FOLDER/made}", ""));
    assert_eq!(house.run("deploy -f manifests --prune --yes -q").code, 0);
    house.check(
        "check",
        0,
        "
        CHECK  HOLDS  FOUND
        versions  yes  2 versions without a gap
        intent  yes  1 resource as the newest version wants it
        memory  yes  1 resource restored as stored
        attempts  yes  5 attempts, with all that the current state names
        grants  yes  0 without an end, all waited for
        folder  yes  the files of the data folder can be used
        history, memory and data folder agree on environment house, version 2",
    );
    assert!(house.read("data/deploy/README.md").contains("| `owner` |"));
    house.write("data/deploy/owner", "somebody\n");
    let check = house.run("check -o json");
    assert_eq!(check.code, 1);
    let document = check.json();
    assert_eq!((&document["holds"], &document["items"][5]["holds"]), (&false.into(), &false.into()));
    assert!(
        document["items"][5]["detail"].as_str().unwrap().ends_with("has a line that is no owner's id: \"somebody\"")
    );
    std::fs::remove_file(house.path("data/deploy/owner")).unwrap();
    assert_eq!(house.run("check -q").code, 0, "as the next step says");
}

#[test]
fn a_confirmed_delete_needs_no_other_approval_and_leaves_what_is_protected() {
    let files = (0..12).map(|number| file(&format!("f{number:02}"), &format!("FOLDER/f{number:02}"), "x", ""));
    let kept = file("kept", "FOLDER/kept", "x", "") + "  policy: {protected: true}\n";
    let house = House::with(LOCAL, &files.chain([kept]).collect::<String>());
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    assert_eq!(house.run("delete --yes -q").code, 1, "one is left");
    let left: Vec<String> =
        (0..12).map(|number| format!("f{number:02}")).filter(|name| house.path(name).exists()).collect();
    assert_eq!((left, house.read("kept")), (vec![], "x".to_owned()));
    let why = house.run("why kept");
    assert!(why.out.contains("it was removed and is protected: it is never deleted on its target"), "{}", why.out);
    assert!(why.out.contains("`homeostat forget kept` leaves it where it is"), "{}", why.out);
    assert_eq!(house.run("forget kept --yes").code, 0);
    assert_eq!(house.read("kept"), "x");
}

#[test]
fn what_nobody_can_go_on_with_is_named() {
    let house = House::with(LOCAL, &(small("held") + &file("lone", "FOLDER/lone", "x", "nobody")));
    let deployed = house.run("deploy -f manifests");
    let step = "\n  lone does not run: it requires nobody, which does not exist; `homeostat why lone`";
    assert!(deployed.code == 1 && deployed.out.trim_end().ends_with(step), "{}", deployed.out);
    house.write("manifests/resources.yaml", &small("held"));
    assert_eq!(house.run("deploy -f manifests --prune --yes -q").code, 0);
    house.check(
        "delete motd --yes",
        1,
        "
        version 3: 0 changed, 2 unchanged, 0 failed, 0 skipped; 0 attempts in TIME (RATE)
          motd does not run: it is to be deleted, and is still required by index; `homeostat why motd`",
    );
}

#[test]
fn what_failed_and_waits_to_be_tried_again_says_why_it_failed() {
    let restless = environment(LOCAL, 1).replace("spec: {}", "spec: {retry: {baseDelay: 100ms, maxDelay: 100ms}}");
    let house = House::with(LOCAL, &[small("held"), file("bad", "/proc/bad", "no", "")].concat());
    house.write("manifests/environment.yaml", &restless);
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    // Its retry falls due while a process owns the environment and starts nothing.
    eventually("a retry that waits", || {
        assert_eq!(house.run("facts motd --refresh -q").code, 0);
        house.run("why bad").out.contains("it waits to be run")
    });
    let why = house.normal(&house.run("why bad").out);
    assert!(why.starts_with("bad is Failed\n  its last attempt failed: "), "{why}");
    let report = house.run("compliance bad -o json").json();
    let because = report["items"][0]["because"].as_str().unwrap();
    assert!(because.starts_with("its last attempt failed: "), "{because}");
}

#[test]
fn the_folder_of_an_environment_says_what_is_in_it() {
    let house = House::with(LOCAL, &small("held"));
    let readme = "data/deploy/environments/house/README.md";
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    let text = house.read(readme);
    assert!(text.starts_with("# Environment house\n\nWhat belongs to this environment alone"), "{text}");
    assert!(text.contains("| `secrets.key` | ") && text.contains("`homeostat audit --environment house`"), "{text}");
    assert!(!text.contains("NAME"), "the name stands wherever it is meant: {text}");
    // Whoever changes or deletes it finds it again as it was.
    let changes: [fn(&std::path::Path); 2] =
        [|path| std::fs::write(path, "mine").unwrap(), |path| std::fs::remove_file(path).unwrap()];
    for change in changes {
        change(&house.path(readme));
        assert_eq!(house.run("deploy -q").code, 0);
        assert_eq!(house.read(readme), text);
    }
}
