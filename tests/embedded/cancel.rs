//! What an interrupted run left in the queue is left alone, until a deploy asks for it.

use super::{interrupted, slow};

#[test]
fn what_an_interrupted_run_left_is_cancelled_and_a_deploy_goes_on_with_it() {
    let (house, names) = slow();
    interrupted(&house, "deploy -f manifests -q");

    let cancelled = house.run("cancel -o json").json();
    let last = cancelled["cancelled"].as_array().unwrap().last().cloned();
    assert_eq!((last, &cancelled["granted"]), (Some("file-19".into()), &serde_json::json!([])), "{cancelled}");
    house.check("cancel", 0, "nothing of environment house waits to begin");
    house.check(
        "why file-19",
        1,
        "
        file-19 is Updating
          its work was cancelled; it comes again in TIME
        next: `homeostat deploy file-19` goes on with it now",
    );
    assert_eq!(house.run("deploy -f manifests file-00").code, 1);
    assert!(!house.path("file-19").exists(), "a run leaves alone what is cancelled, unless it asks for it");
    assert_eq!(house.run("deploy -q").code, 0);
    assert!(names.iter().all(|name| house.read(name) == *name));
}

#[test]
fn what_is_cancelled_alone_stays_so_though_the_deploy_that_asked_for_it_is_not_done() {
    let (house, _) = slow();
    interrupted(&house, "deploy -f manifests -q");
    assert_eq!(house.run("cancel file-19 -q").code, 0);
    let why = house.run("why file-19").out;
    assert!(why.contains("its work was cancelled"), "{why}");
    // The next process goes on with that deploy, and not with what was taken out of it.
    assert_eq!(house.run("repair file-00 -q").code, 1);
    assert!(house.path("file-18").exists() && !house.path("file-19").exists());
}
