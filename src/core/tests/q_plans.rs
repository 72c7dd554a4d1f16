//! Q7: what a user's deploy brings into force: with a name all that cannot be apart from it, and the facts that are taken; of what was shown that or
//! nothing; and not before its approval what needs one. Until then: `q_release.rs`.

use super::world::World;
use crate::core::{Compliance, RefusalKind, RequestKind, Scope};

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
    let mut world = World::deployed(["t1"], "a <- b; b; c");
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
fn q7_what_waits_only_for_something_that_is_forgotten_is_released() {
    let mut world = World::deployed(["t1"], "db#one");
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
fn q7_a_deploy_of_a_target_releases_what_is_on_it() {
    let mut world = World::manual_chain();
    world.change("r1");
    world.change("r2");
    world.push("r4@t2");
    world.request(RequestKind::Deploy, Scope { target: Some("t2".into()), names: None });
    world.run_all();
    world.expect_granted(["r2", "r4"]);
    assert!(world.row_of("r1").pending.is_some());
}

#[test]
fn q7_a_chain_of_names_that_hand_their_things_on_is_released_as_one() {
    let mut world = World::deployed(["t1"], "a#x; b#y; c#z");
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
fn q7_a_digest_releases_what_was_shown_or_nothing() {
    let mut world = World::manual_chain();
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
    let mut world = World::manual_chain();
    world.push("r3@t3=3 <- r2");
    let shown = world.state.release_digest(&Scope::default());
    // The same comes to replace something else.
    world.push("r3@t3=2 <- r2");
    world.deploy();
    world.run_all();
    world.push("r3@t3=3 <- r2");
    world.forget_grants();
    world.release(Scope::default(), shown);
    assert_eq!(world.refusals(), [("", RefusalKind::StalePlan)]);
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
    let mut world = World::deployed(["t1"], "a <- b; b");
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
