//! A: the life of a scheduler loop. A6, losing the database, is tested where there is one.

use super::world::World;
use crate::core::{Effects, EnvironmentState, Epoch, Event, Message, Pool, step};

#[test]
fn a1_a_requirement_and_its_dependent_on_one_target_run_in_order_once_each() {
    let mut world = World::new(["t1"]);
    world.push("b <- a; a");
    world.expect_granted(["a"]);
    world.succeed("a");
    world.expect_granted(["b"]);
    world.succeed("b");
    world.expect_granted([]);
    assert_eq!((world.attempts("a"), world.attempts("b")), (vec!["succeeded"], vec!["succeeded"]));
}

#[test]
fn a2_after_a_stop_nothing_starts_what_runs_ends_and_the_next_owner_goes_on() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2; c <- a");
    world.begin("a");
    world.expect_granted(["a", "b"]);
    world.step(Event::Stop);
    world.expect([("a", "running"), ("b", "queued"), ("c", "queued")]);
    assert_eq!(world.why("b"), "the scheduler is stopping");
    world.succeed("a");
    world.expect_granted([]);
    world.restart();
    world.expect_granted(["c", "b"]);
}

#[test]
fn a3_a_late_wake_up_after_a_stop_revives_nothing() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.fail("a", "no");
    world.step(Event::Stop);
    world.forget_grants();
    world.advance(3_600_000);
    world.change("a");
    world.repair();
    world.expect_granted([]);
}

#[test]
fn a4_a_start_that_failed_on_the_way_leaves_nothing_and_the_next_one_succeeds() {
    let mut world = World::chain();
    world.begin("r1");
    let start = |world: &World| EnvironmentState::restore("test".into(), Epoch(9), world.history.snapshot(), world.now);
    let (first, failed_effects) = start(&world);
    drop(first);
    let (_, effects) = start(&world);
    assert_eq!(format!("{failed_effects:?}"), format!("{effects:?}"));
    world.restart();
    world.run_all();
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good")]);
}

#[test]
fn a5_a_pool_that_cannot_start_holds_its_own_resources_only() {
    let mut world = World::new(["t1"]);
    world.change_target("t2", |target| target.pool = "broken".into());
    world.push("a; b@t2; c <- b; d <- a");
    world.step(Event::PoolUnavailable("broken".into(), Some("image cannot be pulled".into())));
    world.run_all();
    world.expect([("a", "good"), ("b", "queued"), ("c", "queued"), ("d", "good")]);
    assert_eq!(world.why("b"), "pool broken has no executor: image cannot be pulled");
    assert_eq!(world.why("c"), "it waits for b, which is queued or running");
}

#[test]
fn a5_a_verification_that_no_executor_can_make_holds_no_dependent() {
    let mut world = World::deployed(["t1", "t2"], "a@t2; b <- a");
    world.change_target("t2", |target| target.pool = "broken".into());
    world.repair();
    world.change("b");
    world.run_all();
    world.expect([("a", "queued"), ("b", "good")]);
}

#[test]
fn a5_what_a_pool_cannot_start_is_shown_at_once_with_its_message() {
    let mut world = World::new(["t1"]);
    world.change_target("t2", |target| target.pool = "broken".into());
    world.push("a; b@t2");
    let mut effects = Effects::default();
    let event = Event::PoolUnavailable("broken".into(), Some("image cannot be pulled".into()));
    step(&mut world.state, event, world.now, &mut effects);
    assert_eq!(effects.changed, [world.id("b")]);
}

#[test]
fn a5_what_kept_a_pool_from_starting_is_told_no_more_when_one_of_its_executors_has_come() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("a");
    world.step(Event::PoolUnavailable("pool".into(), Some("image cannot be pulled".into())));
    world.connect("e1");
    world.lose("e1");
    assert_eq!(world.why("a"), "no executor of pool pool is connected");
}

#[test]
fn a5_a_pool_has_as_many_executors_as_targets_with_work_within_its_bounds() {
    let mut world = World::without_executor();
    let scaled = |world: &mut World, event: Event| {
        let mut effects = Effects::default();
        step(&mut world.state, event, world.now, &mut effects);
        let to = |message| if let Message::Scale(_, to) = message { Some(to) } else { None };
        effects.messages.into_iter().filter_map(to).next_back()
    };
    let pool = |min: u32, max: u32| Event::PoolChanged(Pool { name: "pool".into(), min, max, idle_timeout_ms: 0 });
    assert_eq!(scaled(&mut world, pool(1, 2)), Some(1));
    for target in ["t1", "t2", "t3"] {
        world.target(target);
    }
    world.push("a@t1");
    world.push("b@t2; c@t3");
    assert_eq!(scaled(&mut world, pool(1, 3)), Some(3));
    assert_eq!(scaled(&mut world, pool(1, 2)), Some(2));
    assert_eq!(scaled(&mut world, Event::PoolRemoved("pool".into())), Some(1));
    assert_eq!(scaled(&mut world, pool(0, 9)), Some(3));
}
