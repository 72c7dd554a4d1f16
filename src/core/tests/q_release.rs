//! Q7 and S8: under `Manual` a version comes into force when a user deploys it. Until then nothing of it runs, for whatever reason, and nothing
//! else notices.

use super::world::World;
use crate::core::{
    Compliance, DeletionPolicy, OnChange, PushMode, Reason, RefusalKind, RepairAction, RequestKind, Scope,
};

/// r1 ← r2 ← r3, all good; changes wait for a release.
fn manual_chain() -> World {
    let mut world = World::good_chain();
    world.manual();
    world
}

fn versions(world: &World) -> (u64, u64, u64) {
    let versions = world.state.versions();
    (versions.accepted.0, versions.released.0, versions.deployed.0)
}

#[test]
fn q7_a_change_waits_until_a_user_deploys_it() {
    let mut world = manual_chain();
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
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push("r1@t1 send; r2@t2 <- r1; r3@t3");
    world.run_all();
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
    let mut world = World::new(["t1"]);
    world.push("a");
    world.run_all();
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
    let mut world = manual_chain();
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
    let mut world = manual_chain();
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
    let mut world = manual_chain();
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
    let mut world = manual_chain();
    world.remove(["r3"]);
    world.push("r3@t3 <- r2");
    world.deploy();
    world.expect_granted([]);
    world.expect([("r3", "good")]);
    assert_eq!(versions(&world), (3, 3, 3));
}

#[test]
fn q7_something_new_that_is_removed_before_its_release_was_never_there() {
    let mut world = manual_chain();
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
        let mut world = World::new(["t1"]);
        world.push("a");
        world.run_all();
        world.manual();
        world.push(&format!("a {edit}"));
        world.remove(["a"]);
        world.deploy();
        world.run_all();
        world.expect([("a", end)]);
    }
    let mut world = World::new(["t1"]);
    world.push("a protected");
    world.run_all();
    world.manual();
    world.remove(["a"]);
    world.deploy();
    world.expect([("a", "tombstone")]);
    assert!(world.why("a").contains("protected"));
}

#[test]
fn q7_many_removals_are_held_when_they_are_released() {
    for (approved, left) in [(false, 12), (true, 0)] {
        let mut world = World::new(["t1"]);
        let names: Vec<String> = (0..12).map(|number| format!("r{number}")).collect();
        world.push(&names.join("; "));
        world.run_all();
        world.manual();
        world.push_with("", |push| {
            push.removals = names.iter().map(|name| name.as_str().into()).collect();
            push.approved = approved;
        });
        assert_eq!(world.state.removals_held(), 0);
        world.restart();
        world.deploy();
        assert_eq!(world.state.removals_held(), left);
        world.run_all();
        assert_eq!(world.state.counts().tombstones as usize, left);
    }
}

#[test]
fn q7_another_thing_under_the_name_waits_as_one() {
    let mut world = World::new(["t1"]);
    world.push("db#one; app <- db");
    world.run_all();
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
    let mut world = World::new(["t1"]);
    world.push("db#one; app <- db");
    world.run_all();
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
fn q7_a_thing_that_changes_its_name_moves_and_is_never_deleted_by_releasing_half_of_it() {
    for (half, idle) in [("a", true), ("b", true), ("a", false)] {
        let mut world = World::new(["t1"]);
        world.push("a#thing");
        world.succeed_changed("a");
        world.manual();
        if !idle {
            world.repair();
            world.begin("a");
        }
        world.push_with("b#thing", |push| push.removals = vec!["a".into()]);
        world.restart();
        world.forget_grants();
        world.deploy_only([half]);
        if !idle {
            world.expect_granted([]);
            world.succeed("a");
        }
        world.expect_granted(["b"]);
        assert_eq!(world.row_of("b").remote_identity.as_deref(), Some("id of a"));
        world.run_all();
        world.expect([("a", "orphan"), ("b", "good")]);
    }
}

#[test]
fn q7_what_would_close_a_cycle_is_released_together() {
    let mut world = World::new(["t1"]);
    world.push("a <- b; b; c");
    world.run_all();
    world.manual();
    world.forget_grants();
    world.push("a; b <- a; c=2");
    world.deploy_only(["b"]);
    assert_eq!(world.intent_of("b").requires[..], ["a".into()]);
    assert!(world.intent_of("a").requires.is_empty(), "released with b");
    assert!(world.row_of("c").pending.is_some());
    world.run_all();
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn q7_pushes_are_checked_against_what_is_accepted() {
    let mut world = World::new(["t1"]);
    world.push("a; b <- a");
    world.run_all();
    world.manual();
    world.push("b; new#thing");
    world.push_with("a <- b; other#thing; twice#b", |push| push.mode = PushMode::Each);
    let refused: Vec<_> = world.refused.iter().map(|refusal| (&*refusal.name, &refusal.kind)).collect();
    let holds = |name: &str| RefusalKind::DuplicateIdentity(name.into());
    assert_eq!(refused, [("other", &holds("new")), ("twice", &holds("b"))]);
    world.push_with("b <- a", |push| push.mode = PushMode::Each);
    assert!(matches!(world.refused[0].kind, RefusalKind::Cycle(_)), "a requires b already, released or not");
    let before = world.state.version();
    world.push("new#thing; a <- b");
    assert_eq!(world.state.version(), before, "S2: the same content again is no version");
}

#[test]
fn q7_switching_to_automatic_releases_everything() {
    let mut world = manual_chain();
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
    let mut world = manual_chain();
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
    let mut world = manual_chain();
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
fn q7_what_waits_only_for_something_that_is_forgotten_is_released() {
    let mut world = World::new(["t1"]);
    world.push("db#one");
    world.run_all();
    world.forget_grants();
    world.push("db#two approve");
    // It takes over what the other one leaves.
    world.push("heir#one");
    world.expect_granted([]);
    world.forget("db");
    world.expect_granted(["heir"]);
    world.run_all();
}

#[test]
fn q7_a_deploy_waits_for_what_takes_a_fact_of_what_its_name_was_before() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a@t1#one; b@t2 <- a");
    world.learn("a", "size=5");
    world.run_all();
    world.manual();
    world.push("a@t1#two create-first");
    world.suspend(true);
    world.deploy();
    // The new `a` was never made: what stands under its name is the one before it, as long as `b` requires it.
    world.remove(["a"]);
    world.push("c@t2 takes:a.size <- a");
    world.deploy();
    world.expect([("c", "queued")]);
    assert_eq!(world.history.open_requests().count(), 1);
}

#[test]
fn q7_an_edit_of_edges_alone_waits_and_leaves_it_compliant() {
    let mut world = manual_chain();
    world.push("r3@t3 <- r1");
    world.expect_compliance("r3", Compliance::Compliant);
    assert_eq!(world.intent_of("r3").requires[..], ["r2".into()]);
    world.deploy_only(["r3"]);
    assert_eq!(world.intent_of("r3").requires[..], ["r1".into()]);
    world.expect_granted([]);
}

#[test]
fn q7_a_policy_that_waits_is_not_in_force() {
    let mut world = World::new(["t1"]);
    world.push("a orphan");
    world.run_all();
    world.manual();
    world.push("a");
    assert_eq!(world.row_of("a").intent.policy.deletion_policy, DeletionPolicy::Orphan);
    world.deploy_only(["a"]);
    assert_eq!(world.row_of("a").intent.policy.deletion_policy, DeletionPolicy::Delete);
}

#[test]
fn q7_a_deploy_of_a_target_releases_what_is_on_it() {
    let mut world = manual_chain();
    world.change("r1");
    world.change("r2");
    world.push("r4@t2");
    world.request(RequestKind::Deploy, Scope { target: Some("t2".into()), names: None });
    world.run_all();
    world.expect_granted(["r2", "r4"]);
    assert!(world.row_of("r1").pending.is_some());
}

#[test]
fn q7_something_that_waits_can_be_dry_run_against() {
    let mut world = manual_chain();
    world.push("r4@t1");
    world.dry_run("r5@t1 <- r4");
    world.expect_granted(["dry-run r5"]);
    world.run_all();
}

#[test]
fn q7_a_chain_of_names_that_hand_their_things_on_is_released_as_one() {
    let mut world = World::new(["t1"]);
    world.push("a#x; b#y; c#z");
    world.run_all();
    world.manual();
    world.push("a#y; b#z; c#w");
    world.forget_grants();
    world.deploy_only(["b"]);
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "good")]);
    assert_eq!(world.state.counts().unreleased, 0);
    world.expect_granted(["b", "delete a", "c", "a"]);
}

/// b takes a fact of a; both are good, and changes wait for a release.
fn manual_fact() -> World {
    let mut world = World::new(["t1", "t2"]);
    world.push("a@t1; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.succeed("b");
    world.manual();
    world
}

fn fact_of(world: &World, name: &str) -> String {
    world.held[&world.attempt(name)].grant.facts.iter().map(|known| known.value.to_string()).collect()
}

#[test]
fn q7_a_fact_that_changes_by_itself_waits_until_a_user_deploys_what_takes_it() {
    let mut world = manual_fact();
    world.repair();
    world.learn("a", "size=6");
    assert_eq!(fact_of(&world, "b"), "5", "a repair verifies what is in force");
    world.succeed("b");
    world.expect_granted(["a", "b", "a", "b"]);
    world.expect_compliance("b", Compliance::HasUpdate);
    assert!(world.view("b").good);
    let why = "fact size of a, which it takes, has changed, and waits for release: it comes into force when a user deploys it";
    assert_eq!((world.why("b").as_str(), world.state.counts().unreleased), (why, 1));
    // It stays so over a restart, and where the fact is as it was before there is nothing to release.
    world.restart();
    assert_eq!(world.why("b"), why);
    world.repair();
    world.learn("a", "size=5");
    world.succeed("b");
    assert_eq!(world.state.counts().unreleased, 0);
    world.repair();
    world.learn("a", "size=7");
    world.succeed("b");
    world.expect_granted(["a", "b", "a", "b"]);
    world.deploy();
    world.expect_granted(["b"]);
    assert_eq!(fact_of(&world, "b"), "7");
    world.succeed("b");
    world.expect([("a", "good"), ("b", "good")]);
    assert_eq!(world.state.counts().unreleased, 0);
}

#[test]
fn q7_what_follows_from_a_released_change_is_released_with_it() {
    let mut world = manual_fact();
    world.push("a@t1=2; b@t2 takes:a.size");
    world.deploy();
    world.expect_granted(["a", "b", "a"]);
    world.learn("a", "size=6");
    world.expect_granted(["b"]);
    assert_eq!(fact_of(&world, "b"), "6");
}

#[test]
fn q7_what_follows_from_a_released_change_is_in_force_also_where_another_fact_waited() {
    let mut world = manual_fact();
    world.repair();
    world.learn("a", "size=6");
    world.succeed("b");
    assert_eq!(world.state.counts().unreleased, 1);
    world.push("a@t1=2");
    world.deploy_only(["a"]);
    world.learn("a", "size=7");
    assert_eq!((fact_of(&world, "b").as_str(), world.state.counts().unreleased), ("7", 0));
}

#[test]
fn q7_what_comes_into_force_with_other_settings_is_a_change_whatever_these_say_of_repairs() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.run_all();
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

#[test]
fn q7_a_digest_releases_what_was_shown_or_nothing() {
    let mut world = manual_chain();
    assert_eq!(world.state.release_digest(&Scope::default()), None);
    world.change("r2");
    let all = world.state.release_digest(&Scope::default());
    let only = Scope { target: None, names: Some(vec!["r2".into()]) };
    assert_eq!(world.state.release_digest(&only), all, "it is all there is");
    world.change("r3");
    assert_ne!(world.state.release_digest(&Scope::default()), all);
    world.release(Scope::default(), all);
    world.expect_granted([]);
    assert_eq!(world.state.counts().unreleased, 2);
    world.release(only, all);
    world.expect_granted(["r2"]);
    assert_eq!(world.state.counts().unreleased, 1);
}

#[test]
fn q7_a_digest_is_of_what_is_replaced_too() {
    let mut world = manual_chain();
    world.push("r3@t3=3 <- r2");
    let shown = world.state.release_digest(&Scope::default());
    // The same comes to replace something else.
    world.push("r3@t3=2 <- r2");
    world.deploy();
    world.run_all();
    world.push("r3@t3=3 <- r2");
    world.forget_grants();
    world.release(Scope::default(), shown);
    assert_eq!(world.refused.iter().map(|refusal| &refusal.kind).collect::<Vec<_>>(), [&RefusalKind::StalePlan]);
    world.expect_granted([]);
}

#[test]
fn q7_a_digest_covers_the_facts_that_are_taken() {
    let mut world = manual_fact();
    let mut digests = Vec::new();
    for size in ["size=6", "size=7", "size=6"] {
        let names = Some(vec!["a".into()]);
        world.request(RequestKind::Repair, Scope { target: None, names });
        world.learn("a", size);
        digests.push(world.state.release_digest(&Scope::default()).unwrap());
    }
    assert!(digests[0] != digests[1] && digests[0] == digests[2], "{digests:?}");
}

#[test]
fn q7_what_only_an_older_edge_kept_beside_an_approval_is_released_with_the_new_one() {
    let mut world = World::new(["t1"]);
    world.push("a <- b; b");
    world.run_all();
    world.push("b <- c");
    world.push("a#two approve");
    // As long as `b` required it, `c` would have closed a circle through what waits for the approval.
    world.push("b; c <- a");
    world.run_all();
    world.expect([("b", "good"), ("c", "good")]);
    assert_eq!(world.state.replacements().count(), 1);
}

#[test]
fn q7_a_deploy_waits_for_what_comes_to_take_a_fact_of_what_its_name_was_before() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a@t1#one; b@t2 <- a");
    world.learn("a", "size=5");
    world.run_all();
    world.suspend(true);
    world.push("a@t1#two create-first; d@t2 takes:a.size <- a");
    world.expect([("d", "undefined")]);
    world.manual();
    world.remove(["a"]);
    world.deploy();
    world.expect([("d", "queued")]);
    assert_eq!(world.history.open_requests().count(), 1);
}
