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
