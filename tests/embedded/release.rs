//! Manual release on one machine: `homeostat deploy` is a user's deploy, and releases what it covers.

use super::{LOCAL, small};
use crate::house::{House, environment};

#[test]
fn q7_a_users_deploy_and_delete_release_what_they_cover() {
    let house = House::with(LOCAL, &small("held"));
    let manual = environment(LOCAL, 1).replace("spec: {}", "spec: {deploy: {onChange: Manual}}");
    house.write("manifests/environment.yaml", &manual);
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
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
        1 of 3 resources would change: 2 none, 1 update (on version 1)
          `homeostat deploy --digest DIGEST`, with what this was given, releases exactly that",
    );
    house.check(
        "deploy -f manifests motd",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  motd  4  TIME  -
        version 2: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempt in TIME (RATE)",
    );
    assert_eq!(house.read("made/motd"), "held again");
    assert_eq!(house.run("rollback --to-version 1 -q").code, 0);
    assert_eq!(house.read("made/motd"), "held");
    assert_eq!(house.run("delete index --yes -q").code, 0);
    assert!(!house.path("made/index").exists());
    assert_eq!(house.run("check").code, 0);
    assert_eq!(house.run("status").code, 0);
}

#[test]
fn q7_a_dry_run_has_a_digest_and_only_what_it_showed_is_released() {
    let house = House::with(LOCAL, &small("held"));
    let manual = environment(LOCAL, 1).replace("spec: {}", "spec: {deploy: {onChange: Manual}}");
    house.write("manifests/environment.yaml", &manual);
    let digest = |words: &str| house.run(&format!("{words} -o json")).json()["digest"].as_str().map(ToOwned::to_owned);
    let first = digest("dry-run -f manifests").unwrap();
    assert_eq!(house.run(&format!("deploy -f manifests -q --digest {first}")).code, 0);
    assert_eq!(digest("dry-run -f manifests"), None, "nothing waits for its release");

    house.write("manifests/resources.yaml", &small("held again"));
    let shown = digest("dry-run -f manifests").unwrap();
    house.write("manifests/resources.yaml", &small("held otherwise"));
    house.refuses(
        &format!("deploy -f manifests --digest {shown}"),
        3,
        "
        error: the intent was refused; nothing was accepted
          what would be released is not what that dry run showed; look at a new one, and give its digest",
    );
    assert_eq!(house.read("made/motd"), "held");
    let accepted = digest("dry-run -f manifests").unwrap();
    assert_ne!(accepted, shown);
    assert_eq!(house.run(&format!("deploy -f manifests -q --digest {accepted}")).code, 0);
    assert_eq!(house.read("made/motd"), "held otherwise");
    let audit = house.run("audit -o json").json();
    let approved: Vec<_> =
        audit["items"].as_array().unwrap().iter().filter_map(|deed| deed["digest"].as_str()).collect();
    assert_eq!(approved, [&accepted, &first], "the history says what was approved");
    assert!(house.run("audit").out.contains(&format!("all, digest {accepted}")));
    assert_eq!(house.run("deploy --digest 12").code, 64);
    assert_eq!(house.run("check").code, 0);

    house.write("manifests/environment.yaml", &environment(LOCAL, 1));
    let automatic = house.run(&format!("deploy -f manifests --digest {accepted}"));
    assert!(automatic.code == 64 && automatic.err.contains("onChange: Manual"), "{}", automatic.err);
}
