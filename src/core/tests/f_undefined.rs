//! F: undefined resources. What is required and does not exist, or whose target does not, is not completely known.

use super::world::World;
use crate::core::{Compliance, OnChange, Reason, RepairAction};

#[test]
fn f1_one_that_requires_an_undefined_one_is_blocked_and_the_others_deploy() {
    let world = World::deployed(["t1"], "r1 <- r2 r3 r4; r2; r3; r4@nowhere");
    world.expect([("r1", "undefined"), ("r2", "good"), ("r3", "good"), ("r4", "undefined")]);
    assert_eq!(world.why("r4"), "target nowhere does not exist");
    assert_eq!(world.why("r1"), "it requires r4, which is undefined");
    world.expect_compliance("r1", Compliance::Undefined);
}

#[test]
fn f2_it_deploys_when_its_requirement_becomes_defined() {
    let mut world = World::new(["t1"]);
    world.push("r1 <- r4; r4@t4");
    world.target("t4");
    world.expect_granted(["r4"]);
    world.succeed("r4");
    world.expect_granted(["r1"]);
}

#[test]
fn f2_what_becomes_undefined_stops_and_keeps_no_timer() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a@t2; b <- a; c");
    world.fail("c", "no");
    world.fail("a", "no");
    world.step(crate::core::Event::TargetRemoved("t2".into()));
    world.expect([("a", "undefined"), ("b", "undefined"), ("c", "failed")]);
    assert_eq!(world.row_of("a").due_at, None);
    world.forget_grants();
    world.target("t2");
    world.expect_granted(["a"]);
}

#[test]
fn f3_of_two_undefined_below_it_one_becomes_defined_and_the_other_still_blocks() {
    let mut world = World::new(["t1"]);
    world.push("r1 <- mid r3; mid <- r2; r2@t2; r3@t3");
    world.target("t2");
    world.run_all();
    world.expect([("r2", "good"), ("mid", "good"), ("r3", "undefined"), ("r1", "undefined")]);
    world.target("t3");
    world.run_all();
    world.expect([("r3", "good"), ("r1", "good")]);
}

#[test]
fn f4_both_ends_undefined_and_the_upstream_defined_leaves_the_other_undefined() {
    let mut world = World::new([]);
    world.push("up@t1; down@t2 <- up");
    world.target("t1");
    world.run_all();
    world.expect([("up", "good"), ("down", "undefined")]);
    assert_eq!(world.why("down"), "target t2 does not exist");
}

/// Every node of these, on its own target; the first column are the targets that are not there.
fn as_targets_come_and_go(lines: &str, table: &[(&str, &str)]) {
    let names: Vec<&str> = lines.split(';').map(|line| line.trim().split('@').next().unwrap()).collect();
    let mut world = World::new([]);
    world.push(lines);
    for (missing, states) in table {
        for name in &names {
            let known = world.state.targets().any(|target| *target.name == **name);
            match (missing.contains(name), known) {
                (true, true) => world.step(crate::core::Event::TargetRemoved((*name).into())),
                (false, false) => world.target(name),
                _ => {}
            }
        }
        world.run_all();
        let found: Vec<String> = names.iter().map(|name| format!("{name} {}", world.word(name))).collect();
        assert_eq!(found.join(", "), *states, "without {missing:?}");
    }
}

#[test]
fn f5_a_diamond_whose_top_bottom_or_sides_are_undefined() {
    as_targets_come_and_go(
        "d@d; b@b <- d; c@c <- d; a@a <- b c",
        &[
            ("abcd", "d undefined, b undefined, c undefined, a undefined"),
            ("d", "d undefined, b undefined, c undefined, a undefined"),
            ("a", "d good, b good, c good, a undefined"),
            ("b", "d good, b undefined, c good, a undefined"),
            ("bc", "d good, b undefined, c undefined, a undefined"),
            ("c", "d good, b good, c undefined, a undefined"),
            ("", "d good, b good, c good, a good"),
            ("ad", "d undefined, b undefined, c undefined, a undefined"),
            ("", "d good, b good, c good, a good"),
        ],
    );
}

#[test]
fn f5_a_chain_as_what_blocks_it_moves_up_and_down() {
    as_targets_come_and_go(
        "a@a; b@b <- a; c@c <- b; d@d <- c",
        &[
            ("d", "a good, b good, c good, d undefined"),
            ("c", "a good, b good, c undefined, d undefined"),
            ("b", "a good, b undefined, c undefined, d undefined"),
            ("a", "a undefined, b undefined, c undefined, d undefined"),
            ("ac", "a undefined, b undefined, c undefined, d undefined"),
            ("c", "a good, b good, c undefined, d undefined"),
            ("d", "a good, b good, c good, d undefined"),
            ("", "a good, b good, c good, d good"),
        ],
    );
}

#[test]
fn f6_an_edge_to_an_undefined_one_blocks_all_that_requires_its_new_dependent() {
    let mut world = World::good_chain();
    world.push("u@nowhere; beside@t1");
    world.run_all();
    world.forget_grants();
    world.requires("r1", ["u"]);
    world.expect([("r1", "undefined"), ("r2", "undefined"), ("r3", "undefined"), ("beside", "good")]);
    assert_eq!(world.why("r3"), "it requires r2, which is undefined");
    world.repair();
    world.run_all();
    world.expect_granted(["beside"]);
    world.target("nowhere");
    world.run_all();
    world.expect([("u", "good"), ("r1", "good"), ("r2", "good"), ("r3", "good")]);
}

#[test]
fn f7_becoming_undefined_ends_the_requests_that_wait_for_it() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a");
    world.begin("a");
    world.deploy();
    world.requires("b", ["a", "nobody"]);
    assert_eq!(world.view("b").queued, None);
    world.succeed("a");
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn f_what_becomes_undefined_is_not_skipped_on_the_way_and_what_was_skipped_is_not_skipped_again() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a; c@t2 <- b");
    world.fail("a", "no");
    world.expect([("b", "skipped"), ("c", "skipped")]);
    world.step(crate::core::Event::TargetRemoved("t2".into()));
    world.expect([("b", "undefined"), ("c", "undefined")]);
    world.target("t2");
    world.expect([("b", "skipped"), ("c", "skipped")]);
    assert_eq!(world.attempts("c"), ["skipped"]);
}

#[test]
fn b6_what_becomes_defined_while_an_older_intent_runs_is_queued_behind_it() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a");
    world.begin("a");
    world.push("a=2 <- b; b@t2 <- c");
    world.expect([("a", "running"), ("b", "undefined")]);
    world.push("c@t2");
    assert_eq!(world.view("a").queued, Some(Reason::Change));
}

#[test]
fn f_what_is_undefined_only_while_a_version_is_half_applied_loses_no_request() {
    let mut world = World::deployed(["t1"], "a");
    world.push("c; d <- e; e <- nothing");
    world.suspend(true);
    world.repair();
    world.push("a <- d; e <- c");
    assert_eq!(world.view("a").queued, Some(Reason::UserRepair));
}

#[test]
fn f_what_becomes_defined_together_with_settings_that_correct_is_a_change() {
    let mut world = World::deployed(["t1"], "a");
    world.find_different("a");
    world.push("a <- b");
    world.manual();
    world.push("b");
    world.expect([("a", "undefined")]);
    world.change_settings(|settings| {
        (settings.on_change, settings.repair.action) = (OnChange::Automatic, RepairAction::Correct);
    });
    assert_eq!(world.view("a").queued, Some(Reason::Change));
}

#[test]
fn b6_also_where_it_would_be_undefined_but_for_the_rest_of_the_same_version() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- c");
    world.begin("a");
    world.push("a=2 <- b; c@t2");
    assert_eq!(world.view("a").queued, Some(Reason::Change));
}
