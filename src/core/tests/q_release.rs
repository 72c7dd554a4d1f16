//! Q7 and S8: under `Manual` a version comes into force when a user deploys it. Until then nothing of it runs, for whatever reason, and nothing
//! else notices. What comes into force together: `q_plans.rs`.

use super::world::World;
use crate::core::{
    Compliance, DeletionPolicy, OnChange, PushMode, Reason, RefusalKind, RepairAction, RequestKind, Scope,
};

fn versions(world: &World) -> (u64, u64, u64) {
    let versions = world.state.versions();
    (versions.accepted.0, versions.released.0, versions.deployed.0)
}

#[test]
fn q7_a_change_waits_until_a_user_deploys_it() {
    let mut world = World::manual_chain();
    world.change("r2");
    world.expect_granted([]);
    world.expect_compliance("r2", Compliance::HasUpdate);
    assert!(world.view("r2").good, "what is released is deployed");
    let why = "its newest intent (version 2) waits for release: it comes into force when a user deploys it";
    assert_eq!(world.why("r2"), why);
    assert_eq!((versions(&world), world.state.counts().unreleased), ((2, 1, 1), 1));
    world.deploy();
    world.expect_granted(["r2"]);
    assert_eq!(versions(&world), (2, 2, 1));
    world.run_all();
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good")]);
    assert_eq!((versions(&world), world.state.counts().unreleased), ((2, 2, 2), 0));
}

#[test]
fn q7_no_repair_retry_notification_or_recovery_runs_what_is_not_released() {
    let mut world = World::deployed(["t1", "t2", "t3"], "r1@t1 send; r2@t2 <- r1; r3@t3");
    world.manual();
    let released = world.intent_of("r2").hash();
    world.change("r2");
    let runs_released = |world: &mut World| {
        let attempt = world.attempt("r2");
        assert_eq!(world.held[&attempt].grant.hash, released);
    };
    // A repair, and its failure.
    world.request(RequestKind::Repair, Scope::default());
    world.succeed("r1");
    runs_released(&mut world);
    world.fail("r2", "no");
    // The retry.
    world.advance(60_000);
    runs_released(&mut world);
    world.succeed("r2");
    world.run_all();
    // A notification, by a change of what it requires.
    world.change("r1");
    world.deploy_only(["r1"]);
    world.succeed_changed("r1");
    runs_released(&mut world);
    world.run_all();
    // A recovery.
    world.change("r1");
    world.deploy_only(["r1"]);
    world.fail("r1", "no");
    world.repair();
    world.advance(60_000);
    world.succeed("r1");
    runs_released(&mut world);
    // And a takeover.
    world.restart();
    runs_released(&mut world);
    world.run_all();
    world.expect_compliance("r2", Compliance::HasUpdate);
    world.deploy();
    world.run_all();
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good")]);
}

#[test]
fn q7_a_scheduled_verification_looks_at_what_is_released() {
    let mut world = World::deployed(["t1"], "a");
    world.manual();
    world.repair_every(60_000, RepairAction::Correct);
    world.forget_grants();
    let released = world.intent_of("a").hash();
    world.change("a");
    world.advance(60_000);
    assert_eq!(world.held[&world.attempt("a")].grant.hash, released);
    world.run_all();
    assert!(world.row_of("a").pending.is_some());
}

#[test]
fn s8_one_unreleased_edit_freezes_nothing_below_it() {
    let mut world = World::manual_chain();
    world.change("r1");
    world.change("r3");
    world.deploy_only(["r3"]);
    world.expect_granted(["r3"]);
    world.run_all();
    world.repair();
    world.run_all();
    world.expect_granted(["r1", "r2", "r3"]);
    world.expect_compliance("r1", Compliance::HasUpdate);
    world.expect_compliance("r3", Compliance::Compliant);
    assert_eq!(versions(&world), (3, 1, 1), "a version is released when all before it is");
}

#[test]
fn q7_something_new_waits_and_what_requires_it_says_so() {
    let mut world = World::manual_chain();
    world.push("r4@t1; r3@t3 <- r2 r4");
    world.expect([("r4", "new"), ("r3", "new")].map(|(name, _)| (name, if name == "r4" { "new" } else { "good" })));
    world.restart();
    assert!(world.why("r4").starts_with("its newest intent (version 2) waits for release"));
    world.deploy_only(["r3"]);
    world.expect([("r3", "undefined")]);
    assert_eq!(world.why("r3"), "it requires r4, which waits for release");
    world.deploy();
    world.run_all();
    world.expect([("r3", "good"), ("r4", "good")]);
}

#[test]
fn q7_a_removal_waits_too() {
    let mut world = World::manual_chain();
    world.remove(["r3"]);
    world.restart();
    world.expect([("r3", "new")].map(|_| ("r3", "new")));
    assert!(world.why("r3").starts_with("its removal (version 2) waits for release"));
    world.deploy_only(["r3"]);
    world.expect_granted(["delete r3"]);
    world.run_all();
    world.expect([("r3", "deleted")]);
    assert_eq!(versions(&world), (2, 2, 2));
}

#[test]
fn q7_a_removal_taken_back_before_its_release_never_happened() {
    let mut world = World::manual_chain();
    world.remove(["r3"]);
    world.push("r3@t3 <- r2");
    world.deploy();
    world.expect_granted([]);
    world.expect([("r3", "good")]);
    assert_eq!(versions(&world), (3, 3, 3));
}

#[test]
fn q7_something_new_that_is_removed_before_its_release_was_never_there() {
    let mut world = World::manual_chain();
    world.push("r4@t1");
    world.remove(["r4"]);
    world.expect([("r4", "orphan")]);
    world.restart();
    world.deploy();
    world.expect_granted([]);
    assert_eq!(versions(&world), (3, 3, 3));
}

#[test]
fn q7_a_removal_obeys_the_last_word_on_it_released_or_not() {
    for (edit, end) in [("protected", "tombstone"), ("orphan", "orphan"), ("", "deleted")] {
        let mut world = World::deployed(["t1"], "a");
        world.manual();
        world.push(&format!("a {edit}"));
        world.remove(["a"]);
        world.deploy();
        world.run_all();
        world.expect([("a", end)]);
    }
    let mut world = World::deployed(["t1"], "a protected");
    world.manual();
    world.remove(["a"]);
    world.deploy();
    world.expect([("a", "tombstone")]);
    assert!(world.why("a").contains("protected"));
}

#[test]
fn q7_another_thing_under_the_name_waits_as_one() {
    let mut world = World::deployed(["t1"], "db#one; app <- db");
    world.manual();
    world.forget_grants();
    world.push("db#two");
    world.restart();
    world.expect_granted([]);
    assert!(world.why("db").starts_with("its newest intent (version 2) waits for release"));
    world.deploy_only(["db"]);
    world.expect_granted(["delete db"]);
    world.run_all();
    world.expect([("db", "good"), ("app", "good")]);
    assert_eq!(&*world.intent_of("db").identity, "two");
}

#[test]
fn q7_going_back_before_the_release_leaves_nothing_to_release() {
    let mut world = World::deployed(["t1"], "db#one; app <- db");
    world.manual();
    world.forget_grants();
    for other in ["db#two", "db=2#one", "db#one <- app2; app2"] {
        world.push(other);
        world.push_with("db#one; app <- db", |push| push.prune = true);
        assert_eq!(world.state.counts().unreleased, 0, "after {other}");
        assert!(world.row_of("db").pending.is_none() && world.row_of("app").pending.is_none());
        world.deploy();
        world.expect_granted([]);
    }
    assert_eq!(versions(&world), (7, 7, 7));
}

#[test]
fn q7_pushes_are_checked_against_what_is_accepted() {
    let mut world = World::deployed(["t1"], "a; b <- a");
    world.manual();
    world.push("b; new#thing");
    world.push_with("a <- b; other#thing; twice#b", |push| push.mode = PushMode::Each);
    let holds = |name: &str| RefusalKind::DuplicateIdentity(name.into());
    assert_eq!(world.refusals(), [("other", holds("new")), ("twice", holds("b"))]);
    world.push_with("b <- a", |push| push.mode = PushMode::Each);
    assert!(matches!(world.refused[0].kind, RefusalKind::Cycle(_)), "a requires b already, released or not");
    let before = world.state.version();
    world.push("new#thing; a <- b");
    assert_eq!(world.state.version(), before, "S2: the same content again is no version");
}

#[test]
fn q7_switching_to_automatic_releases_everything() {
    let mut world = World::manual_chain();
    world.change("r1");
    world.remove(["r3"]);
    world.push("r4@t3");
    world.expect_granted([]);
    world.change_settings(|settings| settings.on_change = OnChange::Automatic);
    world.expect_granted(["r1", "delete r3", "r4"]);
    world.run_all();
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "deleted"), ("r4", "good")]);
    assert_eq!(world.state.counts().unreleased, 0);
}

#[test]
fn q7_a_takeover_releases_nothing_for_a_deploy_that_was_asked_before() {
    let mut world = World::manual_chain();
    world.change("r1");
    world.deploy();
    world.begin("r1");
    world.change("r2");
    world.restart();
    world.succeed("r1");
    world.run_all();
    assert!(world.row_of("r2").pending.is_some());
    assert!(world.row_of("r1").pending.is_none());
}

#[test]
fn q7_forgetting_ends_what_waits_too() {
    let mut world = World::manual_chain();
    world.change("r3");
    world.push("r4@t1");
    for name in ["r3", "r4"] {
        world.forget(name);
        world.expect([(name, "orphan")]);
    }
    world.restart();
    assert_eq!((world.state.counts().unreleased, world.state.counts().total), (0, 2));
}

#[test]
fn q7_an_edit_of_edges_alone_waits_and_leaves_it_compliant() {
    let mut world = World::manual_chain();
    world.push("r3@t3 <- r1");
    world.expect_compliance("r3", Compliance::Compliant);
    assert_eq!(world.intent_of("r3").requires[..], ["r2".into()]);
    world.deploy_only(["r3"]);
    assert_eq!(world.intent_of("r3").requires[..], ["r1".into()]);
    world.expect_granted([]);
}

#[test]
fn q7_a_policy_that_waits_is_not_in_force() {
    let mut world = World::deployed(["t1"], "a orphan");
    world.manual();
    world.push("a");
    assert_eq!(world.row_of("a").intent.policy.deletion_policy, DeletionPolicy::Orphan);
    world.deploy_only(["a"]);
    assert_eq!(world.row_of("a").intent.policy.deletion_policy, DeletionPolicy::Delete);
}

#[test]
fn q7_something_that_waits_can_be_dry_run_against() {
    let mut world = World::manual_chain();
    world.push("r4@t1");
    world.dry_run("r5@t1 <- r4");
    world.expect_granted(["dry-run r5"]);
    world.run_all();
}

#[test]
fn q7_what_comes_into_force_with_other_settings_is_a_change_whatever_these_say_of_repairs() {
    let mut world = World::deployed(["t1"], "a");
    world.manual();
    world.push("a=2 <- b");
    world.deploy();
    world.push("b");
    world.change_settings(|settings| {
        settings.on_change = OnChange::Automatic;
        settings.repair.jitter_ms = Some(1);
    });
    world.run_all();
    assert_eq!(world.last_reason("a"), Reason::Change);
}
