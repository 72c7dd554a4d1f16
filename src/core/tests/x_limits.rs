//! X4: cycles of any length are refused with their path; depth and breadth neither recurse nor stall.

use super::notation::Declared;
use super::world::World;
use crate::core::{Event, Input, InputSource, Intent, IntentParts, OnChange, RefusalKind, SessionNumber, limits};
use std::sync::Arc;

/// How often each resource may be thought over while all are deployed, one fails, and all are deleted. What is quadratic takes a hundred thousand
/// times that.
const THOUGHTS: u64 = 20;

fn cycle_of(length: usize) -> Vec<String> {
    let mut world = World::new(["t1"]);
    let lines: Vec<String> = (0..length).map(|n| format!("r{n} <- r{}", (n + 1) % length)).collect();
    world.push(&lines.join(";"));
    assert_eq!((world.refused.len(), world.state.version().0), (length, 0));
    match &world.refused[0].kind {
        RefusalKind::Cycle(path) => path.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn x4_cycles_of_1_2_and_1000_are_refused_with_their_path() {
    assert_eq!(cycle_of(1), ["r0", "r0"]);
    assert_eq!(cycle_of(2), ["r0", "r1", "r0"]);
    let path = cycle_of(1_000);
    assert_eq!(path.len(), 1_001);
    assert!(path.windows(2).all(|pair| {
        let number = |name: &str| name[1..].parse::<usize>().unwrap();
        number(&pair[1]) == (number(&pair[0]) + 1) % 1_000
    }));
}

/// Each of them is told the whole way, which is there once.
#[test]
fn x4_a_cycle_of_100000_is_refused_with_one_path_for_all() {
    assert_eq!(cycle_of(100_000).len(), 100_001);
}

#[test]
fn x4_a_chain_of_100000_neither_recurses_nor_stalls() {
    let mut world = World::new(["t1"]).unchecked();
    let link = |n: usize| if n == 0 { "r0".to_owned() } else { format!("r{n} <- r{}", n - 1) };
    let lines: Vec<String> = (0..100_000).map(link).collect();
    world.push(&lines.join(";"));
    world.run_all();
    assert_eq!(world.state.counts().compliant, 100_000);
    world.push("r0=2");
    world.fail("r0", "no");
    world.repair();
    world.fail("r0", "no");
    assert_eq!(world.state.counts().skipped, 99_999);
    world.push_with("", |push| (push.prune, push.approved) = (true, true));
    world.run_all();
    assert_eq!(world.state.ids().count(), 0);
    assert!(world.state.thoughts < 100_000 * THOUGHTS, "{}", world.state.thoughts);
}

#[test]
fn x4_a_fan_out_of_100000_neither_recurses_nor_stalls() {
    let mut world = World::new(["t1"]).unchecked();
    let mut lines = vec!["hub".to_owned()];
    lines.extend((0..100_000).map(|n| format!("r{n} <- hub")));
    world.push(&lines.join(";"));
    world.fail("hub", "no");
    assert_eq!(world.state.counts().skipped, 100_000);
    world.deploy();
    world.run_all();
    assert_eq!(world.state.counts().compliant, 100_001);
    world.push_with("", |push| (push.prune, push.approved) = (true, true));
    world.run_all();
    assert_eq!(world.state.ids().count(), 0);
    assert!(world.state.thoughts < 100_000 * THOUGHTS, "{}", world.state.thoughts);
}

/// With an executor that takes fewer grants than it has targets.
#[test]
fn x4_an_executor_of_10000_targets_neither_recurses_nor_stalls() {
    for in_flight in [None, Some(200)] {
        let mut world = World::without_executor().unchecked();
        world.change_settings(|settings| settings.max_in_flight = in_flight);
        (0..10_000).for_each(|n| world.target(&format!("t{n}")));
        let (pool, session) = ("pool".into(), SessionNumber(1));
        world.step(Event::ExecutorConnected { executor: "e1".into(), pool, session, credits: 100, holds: Vec::new() });
        world.push(&(0..20_000).map(|n| format!("r{n}@t{}", n % 10_000)).collect::<Vec<_>>().join(";"));
        world.run_all();
        assert_eq!(world.state.counts().compliant, 20_000);
        assert!(world.state.thoughts < 20_000 * THOUGHTS, "{}", world.state.thoughts);
    }
}

#[test]
fn x4_a_change_at_the_end_of_a_long_chain_costs_what_it_changes() {
    let mut world = World::new(["t1"]).unchecked();
    let link = |n: usize| if n == 0 { "r0".to_owned() } else { format!("r{n} <- r{}", n - 1) };
    world.push(&(0..100_000).map(link).collect::<Vec<_>>().join(";"));
    world.run_all();
    let before = world.state.thoughts;
    for _ in 0..1_000 {
        world.change("r99999");
        world.run_all();
    }
    let thoughts = world.state.thoughts - before;
    assert!(thoughts < 1_000 * THOUGHTS, "{thoughts}");
}

#[test]
fn x4_a_chain_of_100000_changes_is_released_at_once() {
    let mut world = World::new(["t1"]).unchecked();
    let chain = |value: u32| {
        let link = |n: usize| if n == 0 { format!("r0={value}") } else { format!("r{n}={value} <- r{}", n - 1) };
        (0..100_000).map(link).collect::<Vec<_>>().join(";")
    };
    world.push(&chain(1));
    world.run_all();
    world.change_settings(|settings| settings.on_change = OnChange::Manual);
    world.push(&chain(2));
    assert_eq!(world.state.counts().unreleased, 100_000);
    world.deploy();
    world.run_all();
    assert_eq!((world.state.counts().compliant, world.state.counts().unreleased), (100_000, 0));
}

#[test]
fn x4_what_is_larger_than_its_bound_is_refused() {
    let refusal = |line: &str| {
        let mut world = World::new(["t1"]);
        world.push(line);
        world.refused.first().map(|refusal| refusal.kind.clone())
    };
    let many = |count: usize, word: &str| (0..count).map(|n| format!(" {word}{n}")).collect::<Vec<_>>().concat();
    let (names, facts) = (|count| many(count, "r"), |count| many(count, "takes:b.f"));
    let most = limits::REQUIRES;
    assert_eq!(refusal(&format!("a <-{}", names(most))), None);
    assert_eq!(refusal(&format!("a <-{}", names(most + 1))), Some(RefusalKind::TooLarge("names in requires", most)));
    let most = limits::ATTRIBUTES_BYTES;
    assert_eq!(refusal(&format!("a={}", "x".repeat(most))), None);
    let large = refusal(&format!("a={}", "x".repeat(most + 1)));
    assert_eq!(large, Some(RefusalKind::TooLarge("bytes of attributes", most)));
    assert_eq!(refusal(&format!("b; a{}", facts(limits::INPUTS))), None);
    let inputs = refusal(&format!("b; a{}", facts(limits::INPUTS + 1)));
    assert_eq!(inputs, Some(RefusalKind::TooLarge("attributes or values in attributesFrom", limits::INPUTS)));
    let values = (0..=limits::INPUTS).map(|n| (format!("v{n}").into(), InputSource::File { path: "/f".into() }));
    let input = Input { path: "/x".into(), format: Some("".into()), values: values.collect() };
    let mut world = World::new(["t1"]);
    let mut parts = IntentParts::from(Declared::parse("a").intent());
    parts.inputs.push(input);
    world.push_with("", |push| push.upserts.push(Arc::new(Intent::new(parts))));
    assert_eq!(world.refused.first().map(|refusal| refusal.kind.clone()), inputs);
}
