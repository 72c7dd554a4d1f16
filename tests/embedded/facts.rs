//! Facts: reported by attempts, kept, shown, and looked at again when a user asks.

use crate::LOCAL;
use crate::house::{House, file, resource};
use serde_json::json;

#[test]
fn facts_are_shown_and_refreshed_and_a_refresh_corrects_nothing() {
    let resources = [
        resource("folder", "host.Directory", "{path: FOLDER/made, mode: \"0750\"}", ""),
        file("motd", "FOLDER/made/motd", "held", "folder"),
    ];
    let house = House::with(LOCAL, &resources.concat());
    assert_eq!(house.run("deploy -f manifests").code, 0);
    let known = |words: &str| {
        let ran = house.run(&format!("facts {words} -o json"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.json()["items"].clone()
    };
    let all = known("");
    assert_eq!((&all[0]["name"], &all[0]["facts"]["mode"]), (&json!("folder"), &json!("0750")));
    assert_eq!((&all[1]["name"], &all[1]["facts"]["size"]), (&json!("motd"), &json!(4)));
    assert_eq!(house.run("show motd -o json").json()["facts"], all[1]["facts"]);
    let shown = house.run("facts motd").out;
    assert!(shown.contains("size     4") && shown.starts_with("NAME"), "{shown}");

    house.write("made/motd", "changed by hand");
    assert_eq!(known("motd")[0]["facts"]["size"], json!(4), "nobody has looked yet");
    assert_eq!(known("motd --refresh")[0]["facts"]["size"], json!(15));
    assert_eq!(house.read("made/motd"), "changed by hand");
    assert_eq!(house.run("status motd -o json").json()["items"][0]["state"], "Drifted");
    let attempts = house.run("history motd -o json").json();
    assert_eq!(
        (&attempts["items"][0]["reason"], &attempts["items"][0]["operation"]),
        (&json!("FactRefresh"), &json!("Observe"))
    );

    std::fs::remove_file(house.path("made/motd")).unwrap();
    std::fs::create_dir(house.path("made/motd")).unwrap();
    let failed = house.run("facts motd --refresh");
    assert_eq!(failed.code, 1);
    assert!(failed.err.contains("the facts of motd cannot be read"), "{}", failed.err);
    house.refuses(
        "facts mot",
        64,
        "
        error: there is no resource named mot; did you mean motd?
          `homeostat status` lists them all",
    );
}

/// `a` is a thing with a value; `b` is a file whose content takes it.
fn chain(value: &str, fact: &str) -> String {
    let taker = resource("b", "host.File", "{path: FOLDER/b}", "")
        + &format!(
            "  attributesFrom:
    - path: /content
      format: \"{{x}} of {{{{a}}}}\"
      values: {{x: {{factRef: {{name: a, fact: {fact}}}}}}}
"
        );
    taker.replace("targetRef: {name: here}", "targetRef: {name: files}")
        + "---
apiVersion: homeostat.dev/v1alpha1
kind: Target
metadata: {name: files}
spec: {environmentRef: {name: house}, connection: {type: local}}
" + &resource("a", "test.Thing", &format!("{{key: a, value: \"{value}\"}}"), "")
}

#[test]
fn a_fact_of_one_fills_another_and_a_changed_fact_changes_it() {
    let house = House::with("{type: file, path: FOLDER/world.json}", &chain("first", "value"));
    house.check(
        "dry-run -f manifests",
        2,
        "
        create a
            value: \"first\"
        known after apply b
            it takes fact value of a, which is known when a is deployed
        2 of 2 resources would change: 1 create, 1 known after apply (on version 0)",
    );
    assert_eq!(house.run("deploy -f manifests").code, 0);
    assert_eq!(house.read("b"), "first of {a}");
    house.check("deploy -f manifests", 0, "nothing to do: 2 of 2 resources compliant (version 1)");
    house.check("dry-run -f manifests", 0, "nothing would change: 2 of 2 resources as declared (version 1)");

    house.write("manifests/resources.yaml", &chain("second", "value"));
    let deployed = house.run("deploy -f manifests -o json");
    assert_eq!((deployed.code, house.read("b").as_str()), (0, "second of {a}"), "{}", deployed.err);
    let attempts = house.run("history b -o json").json();
    assert_eq!((&attempts["items"][0]["reason"], attempts["items"].as_array().unwrap().len()), (&json!("Change"), 2));
    let shown = house.run("show b -o json").json();
    assert_eq!(shown["attributesFrom"][0]["values"]["x"]["factRef"]["name"], "a");
    assert!(shown["attributes"].get("content").is_none(), "attributes are shown as they are declared");

    // By hand on the target: a look at the source is enough to know, and the next deploy carries it on.
    house.write("world.json", &house.read("world.json").replace("\"second\"", "\"by hand\""));
    assert_eq!(house.run("facts a --refresh").code, 0);
    assert_eq!(house.read("b"), "second of {a}");
    assert_eq!(house.run("status b -o json").json()["items"][0]["state"], "Skipped", "a has drifted");
    assert_eq!(house.run("deploy").code, 0);
    assert_eq!(
        house.read("b"),
        "second of {a}",
        "what drifted is corrected first, and then there is nothing to change"
    );

    house.write("manifests/resources.yaml", &chain("third", "valeu"));
    house.refuses(
        "deploy -f manifests",
        3,
        "
        error: manifests/resources.yaml:12:5: spec.attributesFrom: \"a\" reports no fact \"valeu\"; did you mean `value`?
        1 problem in the manifests; nothing was done",
    );
}

#[test]
fn what_waits_for_a_fact_says_so() {
    let failing = chain("x", "value").replace("value: \"x\"", "value: \"x\", script: [{result: fail, message: nope}]");
    let house = House::patient("{type: file, path: FOLDER/world.json}", &failing);
    assert_eq!(house.run("deploy -f manifests").code, 1);
    let why = house.run("why b").out;
    assert!(
        why.contains("it waits for fact value of a, which is known when a is deployed") && why.contains("nope"),
        "{why}"
    );
}
