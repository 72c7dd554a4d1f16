//! X4: what one event stirs up is spread over steps, and what comes of it is the same.

use super::world::World;
use crate::core::{DryRunId, Event, Reason, RepairAction, RequestKind, Scope, limits};

/// `top` requires `hub`, and so do the leaves; all are good.
fn fan(leaves: usize) -> World {
    let mut world = World::new(["t1", "t2"]);
    let leaf = |n: usize| format!("r{n}@t2 <- hub");
    let lines: Vec<String> = std::iter::once("hub@t1".to_owned()).chain((0..leaves).map(leaf)).collect();
    world.push(&lines.join(";"));
    world.run_all();
    world.forget_grants();
    world
}

fn queued(world: &World) -> u32 {
    world.state.counts().queued
}

#[test]
fn x4_a_step_looks_at_its_share_and_the_next_one_is_due_at_once() {
    let mut world = fan(10);
    world.set_share(4, true);
    world.repair();
    assert_eq!((queued(&world), world.state.next_due()), (4, Some(world.now)));
    world.tick();
    assert_eq!(queued(&world), 8);
    assert!(!world.state.quiet() && world.held.is_empty(), "nothing is granted before all is queued");
    world.settle();
    assert_eq!(queued(&world) as usize + world.held.len(), 11);
    world.expect_granted(["hub"]);
    world.run_all();
    assert!(world.state.quiet() && world.state.next_due().is_none());
}

#[test]
fn x4_what_was_left_of_a_step_and_what_came_of_it_end_as_in_one_step() {
    let play = |share: usize| {
        let mut world = fan(20);
        world.set_share(share, false);
        world.requires("hub", ["missing"]);
        world.requires("hub", []);
        world.change("hub");
        world.run_all();
        world.change("r3");
        world.repair();
        world.run_all();
        let mut granted = world.granted_of("hub");
        granted.extend((0..20).map(|n| world.word(&format!("r{n}")).to_owned()));
        (granted, world.state.counts())
    };
    let whole = play(limits::RESOURCES_PER_STEP);
    for share in [1, 2, 3, 5, 8, 13, 100] {
        assert_eq!(play(share), whole, "with {share} in a step");
    }
}

#[test]
fn x4_what_concerns_everything_is_looked_at_in_shares_and_ends_as_in_one_step() {
    let play = |share: usize| {
        let mut world = fan(20);
        world.set_share(share, false);
        let due = |world: &World| (0..20).map(|n| world.row_of(&format!("r{n}")).due_at).collect::<Vec<_>>();
        world.repair_every(3_600_000, RepairAction::Report);
        world.settle();
        let mut seen = vec![due(&world)];
        // Each begins before the one before it has come to its end.
        world.set_share(share, true);
        world.suspend(true);
        world.repair_every(60_000, RepairAction::Report);
        world.repair();
        world.settle();
        world.forget_grants();
        seen.push(due(&world));
        world.set_share(share, true);
        world.suspend(false);
        world.suspend(true);
        world.suspend(false);
        world.settle();
        world.run_all();
        seen.push(due(&world));
        world.set_clock_back(24 * 3_600_000);
        world.settle();
        seen.push(due(&world));
        seen
    };
    let whole = play(limits::RESOURCES_PER_STEP);
    for share in [1, 2, 3, 5, 8, 13, 100] {
        assert_eq!(play(share), whole, "with {share} in a step");
    }
}

#[test]
fn x4_what_concerned_nothing_is_over_when_something_is_there() {
    let mut world = World::new(["t1"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.change_settings(|settings| settings.repair.jitter_ms = None);
    world.push("a");
    world.run_all();
    world.push("b");
    world.run_all();
    let due = world.row_of("a").due_at;
    world.suspend(true);
    assert_eq!(world.row_of("a").due_at, due);
}

#[test]
fn x4_what_has_not_begun_is_asked_back_at_once_however_much_else_there_is() {
    for by_settings in [true, false] {
        let mut world = fan(20);
        world.change("r19");
        world.set_share(2, true);
        if by_settings {
            world.suspend(true);
        } else {
            world.request(RequestKind::Suspend, Scope::default());
        }
        assert!(world.state.is_unfinished());
        assert_eq!(world.attempts("r19"), ["succeeded", "revoked"]);
        world.settle();
    }
}

#[test]
fn x4_nothing_starts_before_everything_has_been_looked_at() {
    let mut world = fan(10);
    world.suspend(true);
    world.repair();
    world.forget_grants();
    world.set_share(4, true);
    world.suspend(false);
    world.expect_granted([]);
    assert!(!world.state.quiet());
    world.settle();
    world.expect_granted(["hub"]);
}

#[test]
fn x4_a_request_is_open_until_all_of_it_is_taken_in() {
    let mut world = fan(5);
    world.set_share(2, true);
    world.repair();
    let request = *world.state.requests.keys().next().unwrap();
    // What was taken in so far is dealt with: nothing of it is left.
    world.remove(["hub", "r0"]);
    assert!(world.state.asked_by(request).is_some(), "it was closed before all of it was looked at");
    world.settle();
    world.run_all();
    assert!(world.state.asked_by(request).is_none());
}

#[test]
fn x4_what_is_cancelled_in_shares_is_in_history_when_it_is_done() {
    let mut world = World::new(["t1"]);
    world.suspend(true);
    world.push("a; b; c; d");
    world.set_share(2, true);
    let cancelled = |world: &World| world.history.requests_done.len();
    world.request(RequestKind::Cancel, Scope::default());
    assert_eq!((queued(&world), cancelled(&world)), (2, 0));
    world.settle();
    assert_eq!((queued(&world), cancelled(&world)), (0, 1));
}

#[test]
fn x4_l8_a_cancellation_that_is_cut_short_is_in_history_and_ends() {
    let mut world = World::new(["t1"]);
    world.suspend(true);
    world.push("a; b; c; d");
    world.set_share(2, true);
    world.request(RequestKind::Cancel, Scope::default());
    assert_eq!(world.history.open_requests().count(), 1);
    world.restart();
    world.settle();
    assert_eq!((queued(&world), world.history.open_requests().count()), (2, 0));
    assert_eq!((world.word("a"), world.word("d")), ("new", "queued"));
}

#[test]
fn x4_many_dependents_are_told_in_shares_and_new_edges_between_count_the_same() {
    let mut world = fan(12);
    world.set_share(3, true);
    world.change("hub");
    // Edges come and go while the others are being told (`naive.rs` counts them all again).
    world.requires("r0", []);
    world.requires("r11", []);
    world.push("r12@t2 <- hub; r13@t2 <- hub");
    world.requires("r11", ["hub"]);
    world.settle();
    world.run_all();
    assert_eq!(world.state.counts().compliant, 15);
}

#[test]
fn x4_timers_that_are_due_together_fire_in_shares() {
    let mut world = fan(10);
    world.repair_every(60_000, crate::core::RepairAction::Correct);
    world.set_share(4, true);
    world.advance(60_000);
    assert!(queued(&world) < 11 && world.held.is_empty());
    world.settle();
    world.expect_granted(["hub"]);
}

#[test]
fn x4_what_a_step_has_to_think_over_again_is_its_share() {
    let mut world = fan(20);
    world.set_share(4, true);
    let before = world.state.thoughts;
    world.suspend(true);
    assert!(world.state.is_unfinished() && world.state.thoughts - before <= 4);
    world.settle();
}

#[test]
fn x4_nothing_is_granted_before_all_is_thought_over() {
    for share in 1..12 {
        let mut world = World::deployed(["t1"], "a; b; c; d; e");
        world.forget_grants();
        world.change_settings(|settings| settings.max_in_flight = Some(1));
        world.suspend(true);
        world.repair();
        world.change("e");
        world.set_share(share, true);
        world.suspend(false);
        world.settle();
        world.expect_granted(["e"]);
    }
}

#[test]
fn x4_an_edge_that_goes_while_others_are_told_is_counted_as_what_it_was_told() {
    for (share, dependent) in (1..9).flat_map(|share| (0..12).map(move |n| (share, format!("r{n}")))) {
        let mut world = fan(12);
        world.set_share(share, true);
        world.change("hub");
        world.requires(&dependent, []);
        world.settle();
        world.requires(&dependent, ["hub"]);
        world.run_all();
        assert_eq!(world.state.counts().compliant, 13);
    }
}

#[test]
fn x4_h8_what_many_wait_for_is_as_urgent_as_the_most_urgent_of_them() {
    let mut world = fan(12);
    world.push("other@t1");
    world.run_all();
    world.forget_grants();
    world.change_settings(|settings| settings.max_in_flight = Some(1));
    world.suspend(true);
    world.set_share(3, false);
    let only = |name: &str| Scope { target: None, names: Some(vec![name.into()]) };
    world.change("other");
    world.change("r5");
    world.request(RequestKind::Deploy, only("r5"));
    world.request(RequestKind::Repair, only("hub"));
    world.suspend(false);
    world.expect_granted(["hub"]);
}

#[test]
fn x4_a_dry_run_is_looked_at_in_shares_and_ends_as_in_one_step() {
    let lines: Vec<String> = (0..10).map(|n| format!("r{n}@t1 <- r{}", (n + 1) % 12)).collect();
    let play = |share: usize| {
        let mut world = World::new(["t1"]);
        world.set_share(share, true);
        world.dry_run(&lines.join(";"));
        world.dry_run("other; lost@nowhere");
        world.settle();
        world.run_all();
        assert!(world.state.quiet() && world.state.open_dry_runs() == 0);
        world.history.dry_runs.clone()
    };
    let whole = play(limits::RESOURCES_PER_STEP);
    assert_eq!(whole[&DryRunId(1)].1["r9"].0, "undefined");
    for share in [1, 2, 3, 5] {
        assert_eq!(play(share), whole, "with {share} in a step");
    }
}

#[test]
fn x4_a_dry_run_of_very_many_holds_nothing_up_and_loses_none_when_their_target_goes() {
    let mut world = World::new(["t1", "t2"]);
    world.set_share(8, true);
    let lines: Vec<String> = (0..400).map(|n| format!("r{n}@t2")).collect();
    world.dry_run(&lines.join(";"));
    world.push("a");
    world.tick();
    let granted = world.held.values().any(|held| &*held.grant.intent.name == "a");
    assert!(granted && world.state.takes_in_dry_runs());
    while world.state.takes_in_dry_runs() {
        world.tick();
    }
    world.step(Event::TargetRemoved("t2".into()));
    assert!(world.state.takes_in_dry_runs(), "not all of them in one step");
    world.settle();
    world.run_all();
    let results = &world.history.dry_runs[&DryRunId(1)].1;
    assert!(results.len() == 400 && results.values().any(|(result, _)| *result == "undefined"), "{results:?}");
}

#[test]
fn x4_a_priority_goes_down_a_long_chain_in_shares() {
    let mut world = World::new(["t1"]);
    let link = |n: usize| if n == 0 { "r0".to_owned() } else { format!("r{n} <- r{}", n - 1) };
    world.push(&(0..30).map(link).collect::<Vec<_>>().join(";"));
    world.run_all();
    world.push("other");
    world.begin("other");
    world.repair();
    let lent = |world: &World| {
        let turns = world.state.ids().filter_map(|id| world.state.get(id)?.queued).map(|queued| queued.turn.0);
        turns.filter(|priority| *priority == Reason::Change).count()
    };
    world.set_share(4, true);
    world.change("r29");
    assert!((1..=6).contains(&lent(&world)), "{}", lent(&world));
    world.settle();
    assert_eq!(lent(&world), 29, "all but the first, which is granted");
}

#[test]
fn x4_an_executor_more_or_less_is_no_reason_to_think_everything_over() {
    let mut world = World::new(["t1"]);
    let lines: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
    world.change_settings(|settings| settings.max_in_flight = Some(1));
    world.push(&lines.join(";"));
    let before = world.state.thoughts;
    for n in 0..100 {
        world.connect(&format!("more{n}"));
    }
    world.lose("more1");
    let thoughts = world.state.thoughts - before;
    assert!(thoughts < 1_000, "{thoughts}");
}

#[test]
fn x4_a_pool_whose_one_executor_comes_and_goes_leaves_no_more_to_do_each_time() {
    let mut world = World::new(["t1"]);
    let lines: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
    world.push(&lines.join(";"));
    world.begin("r0");
    world.set_share(2, true);
    for _ in 0..100 {
        world.reconnect();
    }
    assert!(world.state.unsettled.len() < 500, "{}", world.state.unsettled.len());
    world.settle();
    world.run_all();
    assert_eq!(world.state.counts().compliant, 100);
}
