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
        1 of 3 resources would change: 2 none, 1 update (on version 1)",
    );
    house.check(
        "deploy -f manifests motd",
        0,
        "
        RESULT  NAME  ATTEMPT  TOOK  ERROR
        updated  motd  4  TIME  -
        version 2: 1 changed, 2 unchanged, 0 failed, 0 skipped; 1 attempts in TIME (RATE)",
    );
    assert_eq!(house.read("made/motd"), "held again");
    assert_eq!(house.run("rollback --to-version 1 -q").code, 0);
    assert_eq!(house.read("made/motd"), "held");
    assert_eq!(house.run("delete index --yes -q").code, 0);
    assert!(!house.path("made/index").exists());
    assert_eq!(house.run("check").code, 0);
    assert_eq!(house.run("status").code, 0);
}
