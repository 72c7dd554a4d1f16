//! What looks after environments: versions compared, environments listed, resources given up, shells completed.

use super::{LOCAL, small};
use crate::house::{House, environment, file, labelled, of_barn, resource};

#[test]
fn two_versions_are_compared_resource_by_resource() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    let changed = [
        resource("folder", "host.Directory", "{path: FOLDER/made}", ""),
        file("motd", "FOLDER/made/motd", "held again", "folder"),
        file("news", "FOLDER/made/news", "news", ""),
    ];
    house.write("manifests/resources.yaml", &changed.concat());
    assert_eq!(house.run("deploy -f manifests --prune --yes -q").code, 0);
    house.check(
        "diff 1 2 --resource motd",
        0,
        "
        changed motd
            @@ -1,5 +1,5 @@
             attributes:
            -  content: held
            +  content: held again
               path: FOLDER/made/motd
             policy:
               deadlineMs: 600000
        from version 1 to version 2: 1 changed, 0 unchanged",
    );
    let all = house.run("diff 1").out;
    let told: Vec<&str> = all.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        told,
        [
            "removed index",
            "changed motd",
            "added news",
            "from version 1 to version 2: 1 added, 1 changed, 1 removed, 1 unchanged"
        ]
    );
    house.check("diff 2 2", 0, "versions 2 and 2 want the same: 3 resources");
    let document = house.run("diff 2 1 -o json").json();
    assert_eq!(
        (&document["items"][1]["change"], &document["items"][1]["after"]["attributes"]["content"]),
        (&"changed".into(), &"held".into())
    );
    house.refuses(
        "diff 1 3",
        64,
        "
        error: environment house has no version 3; its newest is 2
          `homeostat history` lists them",
    );
    house.refuses(
        "diff 1 2 --resource mot",
        64,
        "
        error: there is no resource named mot; did you mean motd?
          neither version wants it; `homeostat history NAME` shows its attempts",
    );
}

#[test]
fn environments_are_listed() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("environments").code, 64, "there is none yet");
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    let garden = environment(LOCAL, 1).replace("house", "garden").replace("spec: {}", "spec: {suspend: true}");
    house.write("garden/environment.yaml", &garden);
    house.write(
        "garden/resources.yaml",
        &file("gate", "FOLDER/gate", "open", "").replace("name: house", "name: garden"),
    );
    assert_eq!(house.run("deploy -f garden -q").code, 1, "it is suspended");
    house.check(
        "environments",
        0,
        "
        NAME  VERSION  ACCEPTED  RESOURCES  COMPLIANT  SUSPENDED
        garden  1  TIME  1  0  yes
        house  1  TIME  3  3  no",
    );
    assert_eq!(house.run("environments -o json").json()["items"][1]["counts"]["compliant"], 3);
    let one = house.run("environments --environment garden");
    assert!(one.code == 0 && !one.out.contains("house"), "{}", one.out);
    assert_eq!(one.err, "1 other left out: --environment or HOMEOSTAT_ENVIRONMENT says garden\n");
    house.refuses(
        "environments --environment gardn",
        64,
        "
        error: there is no environment named gardn; did you mean garden?
          there are: garden, house",
    );
}

#[test]
fn what_is_forgotten_stays_on_its_target() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.refuses(
        "forget index",
        64,
        r#"
        This resource of environment house will be forgotten, and left on its target as it is:
          - index (host.File {"/path":"FOLDER/made/index"} on here)
        error: nothing was done: this needs a confirmation, and there is no terminal to ask on
          add --yes to confirm"#,
    );
    house.refuses(
        "forget motd",
        64,
        r#"
        This resource of environment house will be forgotten, and left on its target as it is:
          - motd (host.File {"/path":"FOLDER/made/motd"} on here)
        What requires it is undefined until that is declared again, and is neither deployed nor repaired:
          - index
        error: nothing was done: this needs a confirmation, and there is no terminal to ask on
          add --yes to confirm"#,
    );
    house.check(
        "forget index --yes -m \"it moved\"",
        0,
        "
        forgot 1 resource (version 2); what is on its target stays there
          what the manifests still declare comes back with the next `homeostat deploy -f`",
    );
    assert_eq!(house.read("made/index"), "index");
    assert_eq!(house.run("show index").code, 64);
    house.check(
        "history",
        0,
        "
        VERSION  ACCEPTED  AUTHOR  SOURCE  CHANGED  REMOVED  MESSAGE
        2  TIME  AUTHOR  forget  0  1  it moved
        1  TIME  AUTHOR  manifests  3  0  -",
    );
    house.check(
        "deploy -f manifests",
        0,
        "
        version 3: 0 changed, 3 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert_eq!(house.run("forget nobody --yes").code, 64);
}

#[test]
fn shells_complete_commands() {
    let house = House::new();
    for (shell, sign) in
        [("bash", "complete -F _homeostat"), ("zsh", "#compdef homeostat"), ("fish", "complete -c homeostat")]
    {
        let script = house.run(&format!("completion {shell}"));
        assert!(
            script.code == 0 && script.out.contains(sign) && script.out.contains("dry-run"),
            "{}{}",
            script.out,
            script.err
        );
        assert!(script.out.contains("host.File") && !script.out.contains("simulate"), "{}", script.out);
    }
    assert_eq!(house.run("completion tcsh").code, 64);
}

#[test]
fn types_are_listed_and_shown_with_what_they_take() {
    let house = House::new();
    let listed = house.run("types");
    assert!(listed.code == 0 && listed.out.contains("host.Symlink "), "{}{}", listed.out, listed.err);
    house.check(
        "types host.Symlink",
        0,
        "
        host.Symlink: A symbolic link. Never replaces or deletes what is not one.
        ATTRIBUTE  TYPE  MEANING
        ensure  present or absent  Whether the link is to be there. Default: present.
        path  string, required  Absolute path of the link. Its folder must exist.
        target  string  Where it leads: an absolute path, or one relative to the link's folder. It need not exist.
        The same thing as long as this stays: path
        type: host.Symlink
        attributes:
          path: /etc/localtime
          target: /usr/share/zoneinfo/Europe/Zurich",
    );
    assert_eq!(house.run("types host.File -o json").json()["attributes"]["required"][0], "path");
    house.refuses(
        "types host.Fil",
        64,
        "
        error: there is no type named host.Fil; did you mean host.File?
          `homeostat types` lists them all",
    );
}

#[test]
fn s7_what_is_no_longer_kept_is_refused_with_what_is() {
    let house = House::with(LOCAL, "");
    let kept = environment(LOCAL, 1).replace("spec: {}", "spec: {history: {versions: 2, attempts: 24h}}");
    house.write("manifests/environment.yaml", &kept);
    for content in ["one", "two", "three"] {
        house.write("manifests/resources.yaml", &file("motd", "FOLDER/motd", content, ""));
        assert_eq!(house.run("deploy -f manifests -q").code, 0);
    }
    // Who has accepted a version drops at its end what is then no longer kept.
    assert_eq!(house.run("history -o json").json()["items"].as_array().unwrap().len(), 2);
    let check = house.run("check");
    assert!(
        check.code == 0 && check.out.contains("2 versions without a gap; those before 2 are no longer kept"),
        "{}",
        check.out
    );
    house.refuses(
        "rollback --to-version 1 --yes",
        64,
        "
        error: environment house no longer keeps version 1; the oldest that is kept is 2
          spec.history.versions of the Environment says how many are",
    );
    assert_eq!(house.run("rollback --to-version 2 --yes -q").code, 0);
    assert_eq!(house.read("motd"), "two");
}

#[test]
fn the_bench_keeps_its_figures_under_keys_that_do_not_change() {
    let house = House::new();
    assert_eq!(house.run("bench chain --json figures.json -q").code, 0);
    let document: serde_json::Value = serde_json::from_str(&house.read("figures.json")).unwrap();
    let figure = &document["figures"][0];
    assert_eq!(figure["key"], "chain_step_us");
    assert!(figure["value"].as_f64() > Some(0.0) && figure["beside"]["value"].as_f64() > Some(0.0), "{figure}");
    assert!(document["settings"].as_array().unwrap().contains(&serde_json::json!(["fsync", "on"])), "{document}");
}

#[test]
fn an_audit_says_who_did_what_and_compliance_since_when_it_is_proven() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -m first -q").code, 0);
    assert_eq!(house.run("suspend --target here -m disk").code, 0);
    assert_eq!(house.run("resume --target here -q").code, 0);
    house.check(
        "audit",
        0,
        "
        WHEN  AUTHOR  ACTION  WHAT  MESSAGE
        TIME  AUTHOR  resume  target here  -
        TIME  AUTHOR  suspend  target here  disk
        TIME  AUTHOR  deploy  all  first
        TIME  AUTHOR  version  1 from manifests: 3 changed, 0 removed  first",
    );
    let deeds = house.run("audit -o json --limit 1").json();
    assert_eq!((&deeds["items"][0]["action"], deeds["items"].as_array().unwrap().len()), (&"resume".into(), 1));

    house.check(
        "compliance --target here",
        0,
        "
        NAME  TYPE  TARGET  STATE  VERIFIED  DECLARED BY  BECAUSE
        folder  host.Directory  here  Compliant  TIME  AUTHOR  -
        index  host.File  here  Compliant  TIME  AUTHOR  -
        motd  host.File  here  Compliant  TIME  AUTHOR  -
        environment house, version 1, reported TIME: 3 of 3 compliant",
    );
    house.check(
        "compliance motd --max-age 0s",
        1,
        "
        NAME  TYPE  TARGET  STATE  VERIFIED  DECLARED BY  BECAUSE
        motd  host.File  here  Unproven  TIME  AUTHOR  -
        environment house, version 1, reported TIME: 0 of 1 compliant, 1 unproven",
    );
    house.write("made/motd", "changed by hand");
    assert_eq!(house.run("repair --report -q").code, 2);
    house.check(
        "compliance motd",
        1,
        "
        NAME  TYPE  TARGET  STATE  VERIFIED  DECLARED BY  BECAUSE
        motd  host.File  here  Drifted  TIME  AUTHOR  it differs from its intent, and was left as it is
        environment house, version 1, reported TIME: 0 of 1 compliant, 1 not compliant",
    );
    let report = house.run("compliance -o json").json();
    assert_eq!((&report["compliant"], &report["notCompliant"]), (&2.into(), &1.into()));
    assert!(report["items"][2]["drift"].as_str().unwrap().contains("-changed by hand"), "{report}");
}

#[test]
fn environments_of_one_folder_have_an_audit_each() {
    let house = House::with(LOCAL, &file("motd", "FOLDER/motd", "held", ""));
    let barn = environment(LOCAL, 1) + &file("hay", "FOLDER/hay", "dry", "");
    house.write("barn/all.yaml", &of_barn(&barn));
    assert_eq!(house.run("deploy -f manifests -m \"of the house\" -q").code, 0);
    assert_eq!(house.run("deploy -f barn -m \"of the barn\" -q").code, 0);
    assert_eq!(house.run("suspend --environment barn -m wet -q").code, 0);
    house.check(
        "audit --environment house",
        0,
        "
        WHEN  AUTHOR  ACTION  WHAT  MESSAGE
        TIME  AUTHOR  deploy  all  of the house
        TIME  AUTHOR  version  1 from manifests: 1 changed, 0 removed  of the house",
    );
    house.check(
        "audit --environment barn",
        0,
        "
        WHEN  AUTHOR  ACTION  WHAT  MESSAGE
        TIME  AUTHOR  suspend  all  wet
        TIME  AUTHOR  deploy  all  of the barn
        TIME  AUTHOR  version  1 from manifests: 1 changed, 0 removed  of the barn",
    );
}

#[test]
fn labels_select_resources() {
    let house = House::with(
        LOCAL,
        &[labelled("one", "front", "one"), labelled("two", "back", "two"), file("three", "FOLDER/three", "3", "")]
            .concat(),
    );
    assert_eq!(house.run("deploy -f manifests -l tier=front -q").code, 0);
    assert!(house.path("one").exists() && !house.path("two").exists());
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    let names = |words: &str| {
        let found = house.run(words).json();
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("status -l tier -o json"), ["one", "two"]);
    assert_eq!(names("status -l !tier -o json"), ["three"]);
    assert!(house.run("show one").out.contains("tier=front"));
    house.write("manifests/resources.yaml", &labelled("one", "-no-", "one"));
    house.refuses(
        "deploy -f manifests",
        3,
        "
        error: manifests/resources.yaml:4:38: metadata.labels.tier: is not a label's value: at most 63 letters, digits and -_. with a letter or digit at both ends
        1 problem in the manifests; nothing was done",
    );
}

/// Orders that are given to a selection are carried out for it, and for nothing else.
#[test]
fn what_is_not_selected_is_neither_repaired_nor_cancelled_nor_forgotten() {
    let house = House::patient(LOCAL, "");
    let there = environment(LOCAL, 1).replace("name: here", "name: there");
    house.write("manifests/there.yaml", there.split_once("---").unwrap().1);
    let all = |content: &str| {
        let back = labelled("back", "back", content).replace("name: here", "name: there");
        [labelled("front", "front", content), back, file("bad", "FOLDER/missing/bad", "x", "")].concat()
    };
    house.write("manifests/resources.yaml", &all("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    let by_hand = || ["front", "back"].into_iter().for_each(|name| house.write(name, "by hand"));
    let repaired = |words: &str| {
        by_hand();
        let run = house.run(&format!("repair -q {words}"));
        assert!([0, 1].contains(&run.code), "{words}: {}", run.err);
        (house.read("front") == "held", house.read("back") == "held")
    };
    assert_eq!(repaired("-l tier=front"), (true, false));
    assert_eq!(repaired("--target there"), (false, true));
    assert_eq!(repaired("-l tier=none"), (false, false), "nothing is selected");
    std::fs::create_dir(house.path("missing")).unwrap();
    assert_eq!(repaired("--failed"), (false, false));
    assert!(house.path("missing/bad").exists(), "what had failed was selected");
    assert_eq!(house.run("deploy -q").code, 0);
    assert_eq!(house.run("repair -q").code, 0);

    house.write("manifests/resources.yaml", &all("held again"));
    assert_eq!(house.run("suspend -q").code, 0);
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    assert_eq!(house.run("cancel -l tier=front -o json").json()["cancelled"], serde_json::json!(["front"]));
    assert_eq!(house.run("cancel --target there -o json").json()["cancelled"], serde_json::json!(["back"]));
    assert_eq!(house.run("resume -q").code, 0);

    assert_eq!(house.run("forget -l tier=back --yes -q").code, 0);
    let known = house.run("status -o json").json();
    let names: Vec<_> = known["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bad", "front"]);
    assert_eq!(house.run("forget --target here --yes -q").code, 0);
    assert_eq!(house.run("status -o json").json()["counts"]["total"], 0);
    assert!(["front", "back"].iter().all(|name| house.path(name).exists()), "what is forgotten is left");
}
