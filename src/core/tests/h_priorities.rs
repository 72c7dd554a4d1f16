//! H: who starts first, and that nobody waits for ever.

use super::world::World;
use crate::core::{Event, Reason, RequestKind, Scope, SessionNumber, limits};

/// Many on one target. One at a time is granted, so that the order of the queue is the order of grants.
fn crowd(count: usize) -> (World, Vec<String>) {
    let names: Vec<String> = (0..count).map(|number| format!("r{number:04}")).collect();
    let mut world = World::new(["t1"]);
    world.push(&names.join("; "));
    world.run_all();
    world.forget_grants();
    one_at_a_time(&mut world);
    (world, names)
}

/// Later than any retry.
const RETRIED_BY_THEN: u64 = 24 * 3_600_000;

fn one_at_a_time(world: &mut World) {
    world.change_settings(|settings| settings.max_in_flight = Some(1));
}

/// Lets everything run, and says in which order it was granted.
fn order(world: &mut World) -> String {
    let mut order = Vec::new();
    while let Some(held) = world.held.values().next() {
        let name = held.grant.intent.name.to_string();
        world.succeed(&name);
        order.push(name);
    }
    order.join(" ")
}

fn of(name: &str) -> Scope {
    Scope { names: Some(vec![name.into()]), ..Scope::default() }
}

#[test]
fn h1_priorities_are_kept_whatever_the_order_of_insertion() {
    for changed_first in [true, false] {
        let (mut world, _) = crowd(4);
        world.suspend(true);
        if changed_first {
            world.change("r0003");
        }
        world.request(RequestKind::Repair, of("r0001"));
        if !changed_first {
            world.change("r0003");
        }
        world.suspend(false);
        assert_eq!(order(&mut world), "r0003 r0001");
    }
}

#[test]
fn h2_a_higher_request_replaces_a_lower_one_and_a_lower_one_is_ignored() {
    let (mut world, _) = crowd(3);
    world.suspend(true);
    world.repair();
    world.change("r0002");
    world.repair();
    world.suspend(false);
    assert_eq!(order(&mut world), "r0002 r0000 r0001");
}

#[test]
fn h3_a_bulk_request_neither_demotes_nor_reorders_earlier_ones_and_keeps_their_reason() {
    let (mut world, _) = crowd(4);
    world.suspend(true);
    world.change("r0003");
    world.request(RequestKind::Repair, of("r0002"));
    world.repair();
    world.suspend(false);
    assert_eq!(order(&mut world), "r0003 r0002 r0000 r0001");
    let reasons = world.history.grants.values().rev().take(4).map(|(_, grant)| grant.reason);
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [Reason::UserRepair, Reason::UserRepair, Reason::UserRepair, Reason::Change]
    );
}

#[test]
fn h2_h8_what_was_hurried_for_another_keeps_its_turn_when_it_is_wanted_sooner_itself() {
    let (mut world, _) = crowd(1);
    world.push("base; it <- base; other");
    order(&mut world);
    world.change("base");
    world.fail("base", "no");
    world.suspend(true);
    world.request(RequestKind::Repair, of("base"));
    for name in ["it", "other"] {
        world.change(name);
        world.deploy_only([name]);
    }
    world.change("base");
    world.suspend(false);
    assert_eq!(order(&mut world), "base it other");
}

#[test]
fn h5_a_priority_never_leaks_to_what_requires_it() {
    let (mut world, _) = crowd(1);
    world.push("base; it <- base; other");
    order(&mut world);
    world.suspend(true);
    world.repair();
    world.change("base");
    world.suspend(false);
    // `it` waits for base, and then comes in the order of the repair that queued it: after r0000, before other.
    assert_eq!(order(&mut world), "base r0000 it other");
}

#[test]
fn h5_nor_to_what_is_required_no_more_by_the_same_version() {
    let (mut world, _) = crowd(1);
    world.push("base; middle <- base");
    order(&mut world);
    world.suspend(true);
    for name in ["r0000", "base", "middle"] {
        world.change(name);
    }
    world.push("it");
    world.deploy_only(["it"]);
    world.push("it <- middle; middle=2");
    world.suspend(false);
    assert_eq!(order(&mut world), "middle it r0000 base");
}

#[test]
fn h6_what_is_asked_of_a_running_attempt_is_the_priority_of_what_it_triggers() {
    for asked in [false, true] {
        let (mut world, _) = crowd(3);
        world.push("conf send; service <- conf");
        order(&mut world);
        world.change("conf");
        world.begin("conf");
        world.request(RequestKind::Repair, of("r0001"));
        world.change("r0002");
        if asked {
            world.deploy_only(["conf"]);
        }
        world.succeed_changed("conf");
        assert_eq!(order(&mut world), if asked { "service r0002 r0001" } else { "r0002 service r0001" });
    }
}

#[test]
fn h7_the_lowest_priority_starts_under_an_endless_stream_of_higher_ones() {
    let (mut world, names) = crowd(5);
    world.suspend(true);
    world.request(RequestKind::Repair, of("r0000"));
    for name in &names[1..] {
        world.change(name);
    }
    world.suspend(false);
    assert_eq!(first_of(&["r0000"], &mut world), "r0000");
}

/// Which of these starts first, while what has been deployed is changed again at once, so that there is always something more important.
fn first_of(waiting: &[&str], world: &mut World) -> String {
    for _ in 0..limits::STARTS_PER_AGED {
        let name = world.held.values().next().unwrap().grant.intent.name.to_string();
        if waiting.contains(&&*name) {
            return name;
        }
        world.begin(&name);
        world.change(&name);
        world.succeed(&name);
    }
    panic!("{waiting:?} starve");
}

/// What is important comes on one target without end, and one attempt runs at a time.
fn expect_the_other_target_does_not_starve(world: &mut World) {
    world.suspend(true);
    world.request(RequestKind::Repair, of("it"));
    world.change("a");
    world.change("b");
    world.suspend(false);
    assert_eq!(first_of(&["it"], world), "it");
}

#[test]
fn h7_also_where_what_is_in_flight_is_bounded_and_the_stream_is_on_another_target() {
    let mut world = World::deployed(["t1", "t2"], "a@t1; b@t1; it@t2");
    one_at_a_time(&mut world);
    expect_the_other_target_does_not_starve(&mut world);
}

#[test]
fn h7_also_where_an_executor_is_full_and_the_stream_is_on_another_target() {
    let mut world = world_of_one_credit(["t1", "t2"]);
    world.push("a@t1; b@t1; it@t2");
    order(&mut world);
    expect_the_other_target_does_not_starve(&mut world);
}

#[test]
fn h8_what_blocks_a_user_deploy_does_not_wait_for_all_repairs() {
    let (mut world, _) = crowd(100);
    world.push("base; middle <- base; it <- middle");
    order(&mut world);
    world.suspend(true);
    world.repair();
    world.change("it");
    world.deploy_only(["it"]);
    world.suspend(false);
    assert!(order(&mut world).starts_with("base middle it r0000 "));
    // It is hurried for another's sake; why it runs is still its own reason.
    assert_eq!(world.last_reason("base"), Reason::UserRepair);
}

#[test]
fn h8_also_where_what_blocks_it_is_queued_or_required_later() {
    let (mut world, _) = crowd(100);
    world.push("base; it <- base; foundation");
    order(&mut world);
    world.suspend(true);
    world.change("it");
    world.deploy_only(["it"]);
    world.repair();
    world.requires("base", ["foundation"]);
    world.suspend(false);
    assert!(order(&mut world).starts_with("foundation base it r0000 "));
}

#[test]
fn h7_what_is_wanted_sooner_keeps_its_age() {
    let (mut world, names) = crowd(5);
    world.suspend(true);
    world.request(RequestKind::Report, of("r0001"));
    world.request(RequestKind::Repair, of("r0000"));
    world.request(RequestKind::Repair, of("r0001"));
    for name in &names[2..] {
        world.change(name);
    }
    world.suspend(false);
    assert_eq!(first_of(&["r0000", "r0001"], &mut world), "r0001");
}

#[test]
fn h8_also_where_it_is_queued_behind_its_own_run_or_required_while_it_waits() {
    let (mut world, _) = crowd(2);
    world.push("base; it <- base; foundation");
    order(&mut world);
    world.change("base");
    world.begin("base");
    world.change("it");
    world.deploy_only(["it"]);
    world.change("r0000");
    world.change("foundation");
    world.change("base");
    world.requires("base", ["foundation"]);
    world.succeed("base");
    assert_eq!(order(&mut world), "foundation base it r0000");
}

#[test]
fn h8_also_where_it_comes_to_wait_for_what_is_queued_already() {
    let (mut world, _) = crowd(2);
    world.push("base; it <- base");
    order(&mut world);
    world.change("r0000");
    world.repair();
    world.change("r0001");
    world.change("it");
    world.deploy_only(["it"]);
    assert_eq!(order(&mut world), "r0000 base it r0001");
}

#[test]
fn h8_also_where_what_blocks_it_is_the_delete_of_what_bore_its_name() {
    let (mut world, _) = crowd(3);
    world.push("it#one");
    order(&mut world);
    world.suspend(true);
    world.change("r0000");
    world.push("it#two");
    world.deploy_only(["it"]);
    world.suspend(false);
    // The delete is recorded under the name too.
    assert_eq!(order(&mut world), "it it r0000");
}

#[test]
fn h8_also_where_what_blocks_it_is_another_delete_once_the_first_is_done() {
    let (mut world, _) = crowd(1);
    world.push("it#one; other#two");
    order(&mut world);
    world.remove(["other"]);
    world.begin("other");
    world.change("r0000");
    // It is the thing of the one that is being deleted, and bears the name of another.
    world.push("it#two");
    world.deploy_only(["it"]);
    assert_eq!(order(&mut world), "other it it r0000");
}

#[test]
fn h8_also_where_what_blocks_it_is_a_delete_that_is_tried_again() {
    let (mut world, _) = crowd(1);
    world.push("base#base1; it#it1 <- base");
    order(&mut world);
    // Both are other things under their names: what was there goes first, the one that required the other before it.
    world.push("base#base2; it#it2 <- base");
    world.fail("it", "no");
    world.suspend(true);
    world.deploy_only(["base"]);
    world.change("r0000");
    world.advance(RETRIED_BY_THEN);
    world.suspend(false);
    assert_eq!(order(&mut world), "it base base it r0000");
}

#[test]
fn h8_also_where_what_blocks_it_waits_behind_its_own_run_and_did_not_hold_it_before() {
    let (mut world, _) = crowd(1);
    world.push("base; it <- base");
    order(&mut world);
    world.request(RequestKind::Report, of("base"));
    world.begin("base");
    world.change_target("t1", |target| target.suspend = true);
    world.repair();
    world.change("it");
    world.change_target("t1", |target| target.suspend = false);
    assert_eq!(order(&mut world), "base base it r0000");
}

/// Of work on three targets, one attempt at a time.
fn expect_the_most_important_first(world: &mut World) {
    world.change("a");
    world.request(RequestKind::Repair, of("b"));
    world.change("c");
    world.deploy_only(["d"]);
    world.change("d");
    world.deploy_only(["d"]);
    assert_eq!(order(world), "a d c b");
}

#[test]
fn h1_where_what_is_in_flight_is_bounded_the_most_important_of_all_targets_comes_first() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a@t1; b@t1; c@t2; d@t3");
    one_at_a_time(&mut world);
    expect_the_most_important_first(&mut world);
    world.suspend(true);
    world.repair();
    world.change("c");
    world.change_settings(|settings| settings.max_in_flight = Some(2));
    world.forget_grants();
    world.suspend(false);
    world.expect_granted(["c", "a"]);
}

fn world_of_one_credit<const N: usize>(targets: [&str; N]) -> World {
    world_of_credits(1, targets)
}

fn world_of_credits<const N: usize>(credits: u32, targets: [&str; N]) -> World {
    let mut world = World::without_executor();
    for target in targets {
        world.target(target);
    }
    let (pool, session) = ("pool".into(), SessionNumber(1));
    world.step(Event::ExecutorConnected { executor: "e1".into(), pool, session, credits, holds: Vec::new() });
    world
}

#[test]
fn h1_room_for_which_nothing_waits_any_more_on_one_target_is_taken_by_another_one() {
    for bound in [None, Some(5)] {
        let mut world = world_of_one_credit(["t1", "t2"]);
        world.change_settings(|settings| settings.max_in_flight = bound);
        world.change_target("t1", |target| target.concurrency = 2);
        world.push("a; b; c@t2");
        // While `a` runs, `b` waits for what has its target, and `c` for any executor.
        world.push("b <- nowhere");
        assert_eq!(order(&mut world), "a c", "{bound:?}");
    }
}

#[test]
fn h1_what_waits_for_any_executor_comes_before_what_waits_for_this_one_where_it_is_more_important() {
    let mut world = world_of_credits(2, ["t1", "t2"]);
    world.change_target("t1", |target| target.concurrency = 3);
    world.push("a; b; c; z@t2");
    order(&mut world);
    world.forget_grants();
    world.repair();
    // `c` waits for the executor that works on its target, and `z`, which has changed since, for any.
    world.expect_granted(["a", "b"]);
    world.change("z");
    world.succeed("a");
    world.expect_granted(["z"]);
    world.succeed("b");
    world.expect_granted(["c"]);
}

#[test]
fn h1_where_an_executor_is_full_the_most_important_of_all_targets_comes_first() {
    let mut world = world_of_one_credit(["t1", "t2", "t3"]);
    world.push("a@t1; b@t1; c@t2; d@t3");
    // The target that gives room back stands in line like all others.
    assert_eq!(order(&mut world), "a b c d");
    expect_the_most_important_first(&mut world);
}
