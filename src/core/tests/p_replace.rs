//! P7: a name becomes another thing. In which order the old one goes and the new one comes, or that it never may.

use super::world::World;
use crate::core::{Life, RefusalKind};

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
fn p7_what_is_never_replaced_is_refused_unless_it_is_removed_by_name() {
    let mut world = replaced("never");
    world.expect_granted([]);
    assert_eq!(world.refused.iter().map(|refusal| &refusal.kind).collect::<Vec<_>>(), [&RefusalKind::Replaces]);
    assert_eq!(&*world.intent_of("db").identity, "one");
    world.push_with("db#two never", |push| push.removals = vec!["db".into()]);
    world.expect_granted(["delete db"]);
}
