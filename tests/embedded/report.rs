//! `repair --report`: what has drifted is recorded, shown and left.

use super::{LOCAL, small};
use crate::house::{House, file};

#[test]
fn k5_a_report_corrects_nothing_and_starts_nothing_else() {
    let house = House::with(LOCAL, &small("held"));
    assert_eq!(house.run("deploy -f manifests -q").code, 0);
    house.check(
        "repair --report",
        0,
        "version 1: 0 changed, 3 unchanged, 0 failed, 0 skipped; 3 attempts in TIME (RATE)",
    );

    house.write("made/motd", "changed by hand\n");
    let found = "
        differs motd (attempt 9)
            content:
            @@ -1 +1 @@
            -changed by hand
            +held
            \\ No newline at end of file
        version 1: 0 changed, 2 unchanged, 0 failed, 0 skipped; 3 attempts in TIME (RATE)
          motd differs and was left as it is: `homeostat repair` corrects it";
    house.check("repair --report", 2, found);
    assert_eq!(house.read("made/motd"), "changed by hand\n");
    house.check("repair --report", 2, &found.replace("attempt 9", "attempt 12"));
    assert_eq!(house.read("made/motd"), "changed by hand\n", "also not by the second");
    house.check(
        "why motd",
        1,
        "
        motd is Drifted
          it differs from its intent, and was left as it is
          the difference that was found:
            content:
            @@ -1 +1 @@
            -changed by hand
            +held
            \\ No newline at end of file
        next: correct it on the target, or let the next deploy do so; `homeostat show motd` shows the difference",
    );

    // What a deploy has left to do is not done by a report.
    house.write("manifests/news.yaml", &file("news", "FOLDER/news", "news", ""));
    assert_eq!(house.run("suspend -q").code, 0);
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    assert_eq!(house.run("resume -q").code, 0);
    let report = house.run("repair --report -o json");
    let held: Vec<_> = report.json()["held"].as_array().unwrap().iter().map(|held| held["name"].clone()).collect();
    assert_eq!((report.code, held), (1, vec!["motd".into(), "news".into()]), "{}", report.err);
    assert!(!house.path("news").exists());
    assert_eq!(house.run("repair -q").code, 0);
    assert_eq!((house.read("made/motd"), house.read("news")), ("held".to_owned(), "news".to_owned()));
}

#[test]
fn what_is_only_observed_is_promised_to_nobody() {
    let observed = file("theirs", "FOLDER/theirs", "ours", "").replace("spec:\n", "spec:\n  policy: {mode: Observe}\n");
    let house = House::with(LOCAL, &(small("held") + &observed));
    assert_eq!(house.run("deploy -f manifests -q").code, 1);
    std::fs::remove_file(house.path("made/motd")).unwrap();
    let report = house.run("repair --report");
    let steps = "\n  motd differs and was left as it is: `homeostat repair` corrects it\n  \
                 theirs differs and is left as it is, as its policy says: `homeostat show theirs`\n";
    assert!(report.out.ends_with(steps), "{}", report.out);
    house.check(
        "dry-run theirs",
        1,
        "
        create theirs  (its policy is to observe: no deploy does that)
            content:
            @@ -0,0 +1 @@
            +ours
            \\ No newline at end of file
        0 of 1 resources would change: 1 create (on version 1)",
    );
    let why = house.run("why theirs").out;
    assert!(why.contains("next: its policy is to observe: correct it on the target, or declare it with "), "{why}");
}
