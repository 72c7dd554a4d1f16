//! G: several versions taken at once, because the loop was suspended.

use super::world::World;
use crate::core::Life;

fn suspended_chain() -> World {
    let mut world = World::good_chain();
    world.suspend(true);
    world
}

/// The suspension ends; with and without another owner in between it ends the same.
fn resumed(mut world: World, restarts: bool) -> World {
    if restarts {
        world.restart();
    }
    world.suspend(false);
    world.run_all();
    world
}

#[test]
fn g_one_update_and_one_add_per_version_and_an_update_of_what_is_still_new() {
    for restarts in [false, true] {
        let mut world = suspended_chain();
        world.push("r1=2; a@t1");
        world.push("r2@t2=2 <- r1; b@t2 <- a");
        world.push("a@t1=2; r1=3");
        let mut world = resumed(world, restarts);
        world.expect_granted(["r1", "a", "r2", "b"]);
        for (name, attributes) in [("r1", "3"), ("r2", "2"), ("a", "2"), ("b", "1")] {
            assert_eq!(&*world.intent_of(name).attributes, attributes);
        }
        world.expect([("r1", "good"), ("r2", "good"), ("r3", "good"), ("a", "good"), ("b", "good")]);
    }
}

#[test]
fn g_deletes_across_versions_and_add_then_delete() {
    for restarts in [false, true] {
        let mut world = suspended_chain();
        world.remove(["r3"]);
        world.push("new@t1");
        world.remove(["r2", "new"]);
        let mut world = resumed(world, restarts);
        world.expect_granted(["delete r3", "delete r2"]);
        world.expect([("r1", "good"), ("r2", "deleted"), ("r3", "deleted"), ("new", "orphan")]);
        assert_eq!(world.history.left("new").map(|row| row.life), Some(Life::Orphan));
    }
}

#[test]
fn g_becoming_undefined_and_becoming_defined_one_per_version() {
    for restarts in [false, true] {
        let mut world = suspended_chain();
        world.push("r2@t2=2 <- r1 ghost");
        world.push("late@t1 <- missing");
        world.push("missing@t1");
        let mut world = resumed(world, restarts);
        world.expect_granted(["missing", "late"]);
        world.expect([("r1", "good"), ("r2", "undefined"), ("r3", "undefined"), ("late", "good")]);
        world.push("ghost@t3");
        world.run_all();
        world.expect([("ghost", "good"), ("r2", "good"), ("r3", "good")]);
    }
}

#[test]
fn g_deletes_of_two_versions_keep_their_order_also_where_another_owner_accepts_the_second() {
    let mut world = suspended_chain();
    world.remove(["r3"]);
    world.restart();
    world.remove(["r2"]);
    let mut world = resumed(world, false);
    world.expect_granted(["delete r3", "delete r2"]);
}
