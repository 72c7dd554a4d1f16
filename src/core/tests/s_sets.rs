//! S: sets and pushes. S5, the settling of edits, is the operator's.

use super::world::World;
use crate::core::{Life, PushMode, Refusal, RefusalKind, VersionNumber};

fn cycle(refusal: &Refusal) -> Option<String> {
    match &refusal.kind {
        RefusalKind::Cycle(path) => Some(path.join(" ")),
        _ => None,
    }
}

#[test]
fn s1_a_push_is_refused_whole_with_all_its_errors() {
    let mut world = World::new(["t1"]);
    world.push_with("other", |push| push.set = "others".into());
    world.push("a; a; b#x; c#x; other; d <- d; fine");
    let names: Vec<_> = world.refused.iter().map(|refusal| &*refusal.name).collect();
    assert_eq!(names, ["a", "other", "c", "d"]);
    assert_eq!((world.state.version().0, world.state.counts().total), (1, 1));
}

#[test]
fn s1_a_prune_leaves_other_sets_alone() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.push_with("other <- a", |push| push.set = "others".into());
    world.run_all();
    world.push_with("a", |push| push.prune = true);
    world.run_all();
    world.expect([("a", "good"), ("b", "deleted"), ("other", "good")]);
}

#[test]
fn s2_the_same_content_again_is_no_version() {
    let mut world = World::good_chain();
    world.push("r3@t3 <- r2; r2@t2 <- r1; r1@t1");
    assert_eq!(world.state.version().0, 1);
    world.expect_granted([]);
}

#[test]
fn s3_a_push_on_an_older_version_is_refused_and_says_which_is_the_newest() {
    let mut world = World::good_chain();
    world.change("r1");
    let newest = world.state.version();
    for mode in [PushMode::Whole, PushMode::Each] {
        world.push_with("r2@t2=3 <- r1; new", |push| (push.base = Some(VersionNumber(1)), push.mode = mode).0);
        let told: Vec<_> = world.refused.iter().map(|refusal| refusal.kind.clone()).collect();
        assert_eq!((told, world.state.version()), (vec![RefusalKind::StaleBase(newest)], newest));
    }
    world.push_with("new", |push| push.base = Some(newest));
    assert!(world.refused.is_empty());
    world.run_all();
    world.expect([("new", "good")]);
}

#[test]
fn s4_a_resource_that_moves_between_sets_is_not_destroyed() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; on@t2 <- a");
    world.succeed_changed("a");
    world.run_all();
    world.forget_grants();
    // What requires it, in any set, keeps its delete from beginning.
    world.remove(["a"]);
    world.expect_granted([]);
    world.push_with("a", |push| push.set = "others".into());
    world.run_all();
    world.expect_granted(["a"]);
    let row = world.row_of("a");
    assert_eq!((&*row.set, row.remote_identity.as_deref()), ("others", Some("id of a")));
    assert!(world.history.rows.values().all(|row| row.life == Life::Live));
    // Also where its delete was granted already, and has not begun.
    world.push_with("", |push| (push.set = "others".into(), push.removals = vec!["a".into()]).0);
    world.requires("on", []);
    world.expect_granted(["delete a"]);
    world.push("a");
    world.run_all();
    world.expect_granted(["a"]);
    assert_eq!(world.row_of("a").remote_identity.as_deref(), Some("id of a"));
}

#[test]
fn s4_requirements_across_sets_hold() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a");
    world.push_with("b@t2 <- a", |push| push.set = "others".into());
    world.expect_granted(["a"]);
    world.fail("a", "no");
    world.expect([("b", "skipped")]);
    world.advance(60_000);
    world.run_all();
    world.expect([("a", "good"), ("b", "good")]);
    world.remove(["a"]);
    assert_eq!(world.why("a"), "it is to be deleted, and is still required by b");
}

#[test]
fn s6_members_of_a_cycle_keep_their_last_accepted_intent_in_whatever_order_they_come() {
    for lines in ["a <- b; b <- c; c <- a; x", "c <- a; x; a <- b; b <- c", "x; b <- c; c <- a; a <- b"] {
        let mut world = World::deployed(["t1"], "a; b; c");
        world.push_with(lines, |push| push.mode = PushMode::Each);
        let paths: Vec<_> = world.refused.iter().filter_map(cycle).collect();
        assert_eq!(paths, ["a b c a"; 3]);
        for name in ["a", "b", "c"] {
            assert!(world.intent_of(name).requires.is_empty());
        }
        world.run_all();
        world.expect([("a", "good"), ("b", "good"), ("c", "good"), ("x", "good")]);
    }
}

#[test]
fn s6_a_cycle_that_an_edit_closes_names_every_member_and_an_edit_that_opens_it_is_accepted() {
    let mut world = World::deployed(["t1"], "a <- b; b <- c; c");
    world.push_with("c=2 <- a", |push| push.mode = PushMode::Each);
    let members: Vec<_> = world.refused.iter().map(|refusal| &*refusal.name).collect();
    assert_eq!(members, ["a", "b", "c"]);
    world.push_with("c=2 <- a; a", |push| push.mode = PushMode::Each);
    assert!(world.refused.is_empty());
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "good")]);
}

#[test]
fn s6_a_mover_that_is_refused_keeps_its_identity_from_who_would_take_it() {
    let mut world = World::new(["t1"]);
    world.push("a#x; z");
    world.push_with("a#y <- a; b#x", |push| push.mode = PushMode::Each);
    let cycle = RefusalKind::Cycle(["a", "a"].map(Into::into).into());
    assert_eq!(world.refusals(), [("a", cycle), ("b", RefusalKind::DuplicateIdentity("a".into()))]);
}

#[test]
fn s6_what_is_refused_as_the_thing_of_another_closes_no_cycle() {
    let mut world = World::new(["t1"]);
    world.push("a#x; b#y");
    // `b` has what `a` would be; so `a` stays what it is, and `c` cannot be that.
    world.push_with("a#y; c#x <- d; d <- c", |push| push.mode = PushMode::Each);
    let holds = |name: &str| RefusalKind::DuplicateIdentity(name.into());
    assert_eq!(world.refusals(), [("a", holds("b")), ("c", holds("a"))]);
    assert_eq!(world.why("d"), "it requires c, which does not exist");
}

#[test]
fn s4_a_move_between_sets_that_is_released_by_hand_is_one_too() {
    let mut world = World::deployed(["t1"], "a");
    world.manual();
    world.remove(["a"]);
    world.push_with("a", |push| push.set = "others".into());
    assert_eq!(&*world.row_of("a").set, "default");
    world.deploy();
    assert_eq!(&*world.row_of("a").set, "others");
    assert!(world.held.is_empty(), "it is what it was");
}

#[test]
fn s1_a_prune_keeps_what_was_refused() {
    let mut world = World::deployed(["t1"], "a; b#x never; c");
    world.push_with("a <- a; b#y never", |push| (push.prune, push.mode) = (true, PushMode::Each));
    assert_eq!(world.refused.len(), 2);
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "deleted")]);
}

#[test]
fn s6_an_edge_that_takes_the_place_of_another_may_close_a_cycle() {
    let mut world = World::new(["t1"]);
    world.push("a <- c; b <- a; c");
    world.push("a <- b");
    assert_eq!(world.refused.iter().filter_map(cycle).collect::<Vec<_>>(), ["a b a"; 2]);
}

#[test]
fn s6_a_name_that_is_said_twice_is_a_duplicate_also_of_what_is_refused() {
    let mut world = World::new(["t1"]);
    world.push("a#x");
    world.push_with("a#y never; a#z; b#x", |push| push.mode = PushMode::Each);
    let holds = RefusalKind::DuplicateIdentity("a".into());
    assert_eq!(world.refusals(), [("a", RefusalKind::Replaces), ("a", RefusalKind::DuplicateName), ("b", holds)]);
}
