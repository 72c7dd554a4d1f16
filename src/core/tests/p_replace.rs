//! P7: a name becomes another thing. In which order the old one goes and the new one comes, or that it never may.

use super::world::World;
use crate::core::{Life, RefusalKind, RequestKind, Scope};

/// `db` is one thing, deployed, and is declared to be another; `app` requires it.
fn replaced(how: &str) -> World {
    let mut world = World::new(["t1"]);
    world.push(&format!("db#one {how}; app <- db"));
    world.run_all();
    world.forget_grants();
    world.push(&format!("db#two {how}"));
    world
}

fn tombstones(world: &World) -> usize {
    world.state.views().filter(|view| view.row.life == Life::Tombstone).count()
}

#[test]
fn p7_the_old_one_goes_first_where_nothing_else_is_said() {
    let mut world = replaced("");
    world.expect_granted(["delete db"]);
    world.run_all();
    world.expect([("db", "good"), ("app", "good")]);
    assert_eq!(tombstones(&world), 0);
}

#[test]
fn p7_the_new_one_comes_first_and_the_old_one_goes_when_it_is_good() {
    let mut world = replaced("create-first");
    world.expect_granted(["db"]);
    world.restart();
    world.fail("db", "no space");
    world.forget_grants();
    assert_eq!(tombstones(&world), 1);
    let old = world.state.views().find(|view| view.row.life == Life::Tombstone).unwrap().row.resource;
    let why = world.state.why(old)[0].to_string();
    assert_eq!(why, "it was replaced, and stays until the new db is as declared");
    world.restart();
    world.advance(60_000);
    world.expect_granted(["db"]);
    world.succeed("db");
    world.expect_granted(["delete db"]);
    world.run_all();
    world.expect([("db", "good"), ("app", "good")]);
    assert_eq!(tombstones(&world), 0);
}

#[test]
fn p7_p2_what_has_begun_to_be_deleted_stays_for_nothing_that_is_made_first() {
    let mut world = World::deployed(["t1"], "db#one");
    world.remove(["db"]);
    world.fail("db", "busy");
    world.push("db#two create-first");
    assert_eq!(world.why("db"), "the earlier db must be deleted on its target first");
    world.forget_grants();
    world.advance(60_000);
    world.run_all();
    world.expect_granted(["delete db", "db"]);
}

#[test]
fn p7_both_go_when_the_new_one_is_removed_before_it_is_good() {
    let mut world = replaced("create-first");
    world.fail("db", "no space");
    world.remove(["app", "db"]);
    for _ in 0..3 {
        world.run_all();
        world.advance(60_000);
    }
    assert_eq!(world.state.views().count(), 0);
}

#[test]
fn p7_going_back_to_the_old_one_keeps_it_and_deletes_the_new_one() {
    let mut world = replaced("create-first");
    world.fail("db", "no space");
    world.forget_grants();
    world.push("db#one create-first");
    world.run_all();
    world.advance(60_000);
    world.run_all();
    world.expect([("db", "good"), ("app", "good")]);
    assert_eq!(tombstones(&world), 0);
    assert_eq!(&*world.intent_of("db").identity, "one");
}

#[test]
fn p7_another_change_while_the_first_is_not_good_leaves_nothing_behind() {
    let mut world = replaced("create-first");
    world.begin("db");
    world.push("db#three create-first");
    for _ in 0..3 {
        world.run_all();
        world.advance(60_000);
    }
    world.expect([("db", "good"), ("app", "good")]);
    assert_eq!((tombstones(&world), &*world.intent_of("db").identity), (0, "three"));
}

#[test]
fn p7_what_the_name_was_last_stays_until_the_new_one_is_good_also_where_it_had_come_back() {
    let mut world = World::deployed(["t1"], "a#one create-first");
    world.push("a#two create-first");
    world.begin("a");
    world.push("a#one create-first");
    world.push("a#three create-first");
    let one = world.state.ids().next().unwrap();
    assert!(!world.state.row(one).unwrap().leaves() && world.state.row(one).unwrap().after == Some(world.id("a")));
    world.run_all();
    world.expect([("a", "good")]);
    assert_eq!(tombstones(&world), 0);
}

/// `a` is the thing `one`; the delete of `b`, which was `two`, has begun.
fn one_stands_and_two_is_being_deleted() -> World {
    let mut world = World::deployed(["t1"], "a#one; b#two");
    world.remove(["b"]);
    world.begin("b");
    world
}

#[test]
fn p7_a_name_that_becomes_another_thing_twice_waits_for_all_that_it_was() {
    let mut world = one_stands_and_two_is_being_deleted();
    // The first waits for the thing that b was. It was never made, and with it goes what it waited for, but not what the name was at first.
    world.push("a#two");
    world.push("a#three");
    assert_eq!(world.why("a"), "the earlier a must be deleted on its target first");
    world.run_all();
    world.expect([("a", "good")]);
    assert_eq!((tombstones(&world), &*world.intent_of("a").identity), (0, "three"));
}

#[test]
fn p7_what_is_the_thing_of_one_tombstone_and_has_the_name_of_another_waits_for_both() {
    let mut world = one_stands_and_two_is_being_deleted();
    world.push("a#two");
    assert_eq!(world.why("a"), "the earlier b must be deleted on its target first");
    world.succeed("b");
    assert_eq!(world.why("a"), "the earlier a must be deleted on its target first");
    world.run_all();
    world.expect([("a", "good")]);
}

#[test]
fn p7_what_is_never_replaced_is_refused_unless_it_is_removed_by_name() {
    let mut world = replaced("never");
    world.expect_granted([]);
    assert_eq!(world.refused.iter().map(|refusal| &refusal.kind).collect::<Vec<_>>(), [&RefusalKind::Replaces]);
    assert_eq!(&*world.intent_of("db").identity, "one");
    world.push_with("db#two never", |push| push.removals = vec!["db".into()]);
    world.expect_granted(["delete db"]);
}

#[test]
fn p7_what_is_replaced_by_approval_stays_in_force_until_it_is_approved() {
    let mut world = replaced("approve");
    world.expect_granted([]);
    world.expect([("db", "new"), ("app", "good")]);
    let why = "its newest intent (version 2) waits for an approval: db would be deleted, and made as another thing";
    assert_eq!(world.why("db"), why);
    world.restart();
    world.deploy();
    world.repair();
    world.run_all();
    world.expect_granted(["db", "app"]);
    assert_eq!(&*world.intent_of("db").identity, "one");
    world.push("db=2#two approve");
    world.expect_granted([]);
    world.request(RequestKind::ApproveRemovals, Scope { target: None, names: Some(vec!["app".into()]) });
    world.expect_granted([]);
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.expect_granted(["delete db"]);
    world.run_all();
    world.expect([("db", "good"), ("app", "good")]);
    assert_eq!((&*world.intent_of("db").identity, tombstones(&world)), ("two", 0));
    let versions = world.state.versions();
    assert_eq!((versions.accepted.0, versions.released.0, versions.deployed.0), (3, 3, 3));
}

#[test]
fn p7_what_waits_for_its_approval_holds_nothing_else_of_the_version() {
    let mut world = World::deployed(["t1"], "db#one approve; app <- db; other");
    world.forget_grants();
    world.push("db#two approve; app=2 <- db; other=2; new");
    world.run_all();
    world.expect_granted(["app", "other", "new"]);
    assert_eq!(world.state.replacements().count(), 1);
}

#[test]
fn p7_going_back_or_removing_it_or_no_longer_asking_ends_the_wait_for_an_approval() {
    let cases: [(fn(&mut World), &[&str]); 4] = [
        (|world| world.push("db#one approve"), &[]),
        (|world| world.push("db#two"), &["delete db", "db"]),
        (|world| world.remove(["db", "app"]), &["delete app", "delete db"]),
        (|world| world.push_with("db#three approve", |push| push.removals = vec!["db".into()]), &["delete db", "db"]),
    ];
    for (end, granted) in cases {
        let mut world = replaced("approve");
        end(&mut world);
        world.run_all();
        world.expect_granted_all(granted);
        assert_eq!((world.state.replacements().count(), world.state.counts().unreleased), (0, 0));
    }
}

#[test]
fn p7_an_approval_is_for_what_was_seen_and_a_release_by_hand_still_takes_a_deploy() {
    let mut world = World::deployed(["t1"], "db#one approve");
    world.forget_grants();
    world.manual();
    world.push("db#two approve");
    world.deploy();
    world.expect_granted([]);
    world.request(RequestKind::ApproveRemovals, Scope::default());
    assert!(world.why("db").contains("waits for release"));
    world.push("db#three approve");
    world.deploy();
    world.expect_granted([]);
    assert!(world.why("db").contains("waits for an approval"));
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.deploy();
    world.run_all();
    world.expect_granted(["delete db", "db"]);
    assert_eq!(&*world.intent_of("db").identity, "three");
}

#[test]
fn p7_what_would_take_over_a_thing_that_waits_for_an_approval_waits_with_it() {
    let mut world = World::deployed(["t1"], "db#one approve; other");
    world.forget_grants();
    world.push("db#two approve; heir#one");
    world.expect_granted([]);
    assert!(world.why("heir").contains("waits for an approval: db would be deleted"));
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.run_all();
    world.expect([("db", "good"), ("heir", "good"), ("other", "good")]);
    assert!(world.attempts("heir").len() == 1, "it took over what db was");
}

#[test]
fn p7_what_was_never_attempted_needs_no_approval() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("db#one approve");
    world.push("db#two approve");
    world.connect("e1");
    world.run_all();
    world.expect([("db", "good")]);
    assert_eq!(&*world.intent_of("db").identity, "two");
}

#[test]
fn p7_what_an_executor_has_may_be_made_already_and_is_replaced_by_nothing_that_never_replaces() {
    for begun in [false, true] {
        for how in ["never", "approve"] {
            let mut world = World::new(["t1"]);
            world.push(&format!("db#one {how}"));
            if begun {
                world.begin("db");
            }
            world.push(&format!("db#two {how}"));
            world.run_all();
            assert_eq!((&*world.intent_of("db").identity, tombstones(&world)), ("one", 0));
            world.expect_granted(["db"]);
        }
    }
}

#[test]
fn p7_the_old_one_goes_first_where_the_new_one_would_wait_for_what_only_the_old_one_keeps() {
    let mut world = World::deployed(["t1"], "disk#d1; db#one create-first <- disk");
    world.forget_grants();
    // The new db waits for the new disk, that for the end of the old disk, and that for the end of the old db.
    world.push("disk#d2; db#two create-first <- disk");
    world.restart();
    world.run_all();
    world.expect_granted(["delete db", "delete disk", "disk", "db"]);
    world.expect([("disk", "good"), ("db", "good")]);
}

#[test]
fn p7_an_old_one_that_is_wanted_again_under_another_name_waits_for_nothing() {
    let mut world = World::deployed(["t1"], "db#one create-first");
    world.push("db#two create-first");
    world.push("archive#one");
    world.fail("db", "no");
    world.run_all();
    world.expect([("db", "failed"), ("archive", "good")]);
}

#[test]
fn p7_an_approved_thing_that_changes_again_before_its_release_needs_no_other_approval() {
    let mut world = World::deployed(["t1"], "db#one");
    world.manual();
    world.push("db#two approve");
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.push("db=2#two approve");
    world.deploy();
    world.run_all();
    assert_eq!(&*world.intent_of("db").identity, "two");
    world.push("db#three approve");
    world.deploy();
    assert_eq!(&*world.intent_of("db").identity, "two", "this one nobody has approved");
}

#[test]
fn p7_another_identity_is_a_tombstone_and_a_new_one_that_waits_for_it() {
    let mut world = World::deployed(["t1"], "a#x; d <- a");
    world.forget_grants();
    world.push("a#y");
    world.expect_granted(["delete a"]);
    world.begin("a");
    world.push("a#z");
    world.expect_granted([]);
    world.succeed("a");
    world.expect_granted(["a"]);
    assert_eq!(&*world.intent_of("a").identity, "z");
    world.run_all();
    world.expect([("a", "good"), ("d", "good")]);
}

#[test]
fn p7_the_same_identity_under_another_name_moves_and_destroys_nothing() {
    let mut world = World::new(["t1"]);
    world.push("old#x; d <- old");
    world.succeed_changed("old");
    world.run_all();
    world.forget_grants();
    world.push_with("new#x; d <- new", |push| push.removals = vec!["old".into()]);
    world.expect_granted(["new"]);
    assert_eq!(world.row_of("new").remote_identity.as_deref(), Some("id of old"));
    world.run_all();
    world.expect([("new", "good"), ("d", "good"), ("old", "unknown")]);
}

#[test]
fn p7_two_names_that_change_places_destroy_nothing() {
    let mut world = World::deployed(["t1"], "a#x; b#y; c <- a b");
    world.forget_grants();
    world.push("a#y; b#x");
    world.run_all();
    world.expect_granted(["a", "b"]);
    world.expect([("a", "good"), ("b", "good"), ("c", "good")]);
}

#[test]
fn p7_a_name_that_takes_over_what_another_one_leaves_destroys_nothing() {
    let mut world = World::deployed(["t1"], "b#x");
    world.forget_grants();
    world.push("a#x; b#y");
    world.run_all();
    world.expect_granted(["b", "a"]);
}

#[test]
fn p7_what_comes_after_one_that_never_ran_does_not_wait_for_another_thing_of_another_name() {
    let mut world = World::deployed(["t1", "t2"], "a");
    world.keep_answers();
    world.remove(["a"]);
    world.push("b=2#a");
    assert_eq!(world.why("b"), "the earlier a must be deleted on its target first");
    world.forget_grants();
    world.push("b@t2");
    world.expect_granted(["b"]);
}

#[test]
fn p7_a_thing_that_moves_to_another_name_waits_for_nothing_that_had_its_old_name_and_what_takes_that_name_does() {
    let mut world = World::deployed(["t1", "t2"], "a");
    world.suspend(true);
    world.push("a@t2");
    world.push("a=2#x; b@t2#a");
    world.suspend(false);
    assert_eq!(world.why("a"), "the earlier a must be deleted on its target first");
    world.expect([("b", "granted")]);
}

#[test]
fn p7_what_an_executor_gave_back_was_never_made_and_needs_no_approval_any_more() {
    let mut world = World::new(["t1"]);
    world.push("db#one approve");
    world.push("db#two approve");
    assert!(world.why("db").contains("waits for an approval"));
    world.suspend(true);
    assert_eq!(&*world.intent_of("db").identity, "two");
    world.suspend(false);
    world.run_all();
    world.expect([("db", "good")]);
}

#[test]
fn p7_what_together_cannot_be_apart_from_a_replacement_waits_for_its_approval() {
    let mut world = World::deployed(["t1"], "a; b; c#one <- b");
    world.forget_grants();
    // Either new edge may come into force without the new c; both would close a cycle with the old one.
    world.push("a=2 <- c; b=2 <- a; c#two approve");
    assert_eq!((&*world.intent_of("c").identity, tombstones(&world)), ("one", 0));
    world.run_all();
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "good")]);
}
