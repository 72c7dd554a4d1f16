//! Whole scenarios, with the owner dying before the commit, before the sends, or after them, in every single step: they end as without it.

use super::world::{Crash, World};
use crate::core::{LastResult, RepairAction};

type Scenario = fn(&mut World);

const SCENARIOS: [(&str, Scenario); 7] = [
    ("a chain", |world| {
        world.push("a; b@t2 <- a; c <- b");
        world.run_all();
    }),
    ("an edit while it runs", |world| {
        world.push("a; b@t2 <- a");
        world.begin("a");
        world.change("a");
        world.change("b");
        world.run_all();
    }),
    ("a failure and a recovery", |world| {
        world.push("a; b@t2 <- a; c <- b");
        world.fail("a", "no");
        world.advance(60_000);
        world.run_all();
    }),
    ("a removal in reverse", |world| {
        world.push("a; b@t2 <- a; c <- b; o orphan");
        world.run_all();
        world.remove(["a", "b", "c", "o"]);
        world.run_all();
    }),
    ("removed and back", |world| {
        world.push("a; b@t2 <- a");
        world.run_all();
        world.remove(["b"]);
        world.push("b@t2 <- a; c");
        world.run_all();
    }),
    ("another identity", |world| {
        world.push("a#x; b@t2 <- a");
        world.run_all();
        world.push("a#y");
        world.run_all();
    }),
    ("a repair that finds drift", |world| {
        world.repair_every(60_000, RepairAction::Correct);
        world.push("a; b@t2 <- a");
        world.run_all();
        world.advance(60_000);
        world.run_all();
        world.suspend(true);
        world.repair();
        world.suspend(false);
        world.run_all();
    }),
];

/// What is left when all is done: names with their last result and intent, and nothing open.
fn end(world: &mut World) -> Vec<(String, String, LastResult, bool)> {
    for _ in 0..20 {
        world.run_all();
        world.advance(600_000);
    }
    world.change_settings(|settings| settings.repair.schedule = crate::core::RepairSchedule::Off);
    world.run_all();
    assert!(world.state.quiet(), "it does not come to rest");
    assert_eq!((world.history.open_grants().count(), world.history.open_requests().count()), (0, 0));
    let facts = world.history.standing().map(|row| {
        let intent = &row.intent;
        (intent.name.to_string(), format!("{} {}", intent.identity, intent.attributes), row.last_result, row.skipped)
    });
    facts.collect()
}

fn play(scenario: Scenario, crash: Option<(u32, Crash)>) -> (World, u32) {
    let mut world = World::new(["t1", "t2"]);
    let before = world.steps;
    world.crash = crash.map(|(step, crash)| (before + step, crash));
    // What was granted and is not any more runs under another number: scenarios name resources, and take what there is.
    world.lenient = true;
    scenario(&mut world);
    let steps = world.steps - before;
    (world, steps)
}

#[test]
fn x_an_owner_that_dies_in_any_step_changes_nothing_of_how_it_ends() {
    for (name, scenario) in SCENARIOS {
        let (mut undisturbed, steps) = play(scenario, None);
        let expected = end(&mut undisturbed);
        for step in 1..=steps {
            for crash in [Crash::BeforeCommit, Crash::BeforeSend, Crash::AfterSend] {
                let (mut world, _) = play(scenario, Some((step, crash)));
                assert_eq!(end(&mut world), expected, "{name}: {crash:?} in step {step}");
            }
        }
    }
}

#[test]
fn x_what_was_lost_before_a_restart_is_retried_and_no_repair() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("a");
    world.connect("e1");
    world.lose("e1");
    world.restart();
    assert_eq!(world.view("a").queued, Some(crate::core::Reason::Retry));
}
