//! M: the matrix of a dependency's end and a resource's own.

use super::world::World;
use crate::core::Compliance;

/// Brings `dep` (which requires `root`) to this end, with `it` waiting for it. Whether `it` was sent.
fn sent_after(dependency: &str, it: &str) -> (World, bool) {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push(&format!("root; dep@t2 <- root; {it}"));
    match dependency {
        "skipped" => world.fail("root", "no"),
        "failed" => (world.succeed("root"), world.fail("dep", "no")).1,
        _ => (world.succeed("root"), world.succeed("dep")).1,
    }
    let sent = world.held.values().any(|held| &*held.grant.intent.name == "it");
    (world, sent)
}

#[test]
fn m_an_enforced_one_touches_its_target_only_if_its_dependency_succeeded_and_it_is_defined() {
    for dependency in ["skipped", "failed", "succeeded"] {
        for (it, defined) in [("it@t3 <- dep", true), ("it@nowhere <- dep", false)] {
            let (world, sent) = sent_after(dependency, it);
            assert_eq!(sent, dependency == "succeeded" && defined, "{dependency}, {it}");
            if !sent {
                world.expect([("it", if defined { "skipped" } else { "undefined" })]);
            }
        }
    }
}

#[test]
fn m_its_own_end_is_its_own() {
    let ends: [(fn(&mut World), &str); 2] =
        [(|world| world.succeed("it"), "good"), (|world| world.fail("it", "no"), "failed")];
    for (end, word) in ends {
        let (mut world, _) = sent_after("succeeded", "it@t3 <- dep");
        end(&mut world);
        world.expect([("root", "good"), ("dep", "good"), ("it", word)]);
    }
}

#[test]
fn m_it_reloads_once_if_and_only_if_its_dependency_changed() {
    let ends: [(fn(&mut World), &[&str]); 4] = [
        (|world| world.succeed_changed("dep"), &["it (reload for dep)"]),
        (|world| world.succeed("dep"), &["it"]),
        (|world| world.fail("dep", "no"), &[]),
        (|world| world.change_target("t2", |target| target.suspend = true), &[]),
    ];
    for (end, granted) in ends {
        let mut world = World::new(["t1", "t2", "t3"]);
        world.push("dep@t2 send; it@t3 <- dep");
        world.expect_granted(["dep"]);
        end(&mut world);
        world.expect_granted_all(granted);
        if !granted.is_empty() {
            world.succeed("it");
        }
        world.expect_granted_all(&[]);
    }
}

#[test]
fn m_observing_ignores_the_dependencys_result_but_awaits_it() {
    for dependency in ["skipped", "failed", "succeeded"] {
        let (mut world, sent) = sent_after(dependency, "it@t3 observe <- dep");
        assert!(sent, "{dependency}");
        world.succeed("it");
        world.expect([("it", "good")]);
        world.change("root");
        world.change("dep");
        world.change("it");
        assert!(world.held.values().all(|held| &*held.grant.intent.name != "it"), "it awaits what is under way");
    }
}

#[test]
fn m_switching_between_enforce_and_observe_runs_one_attempt_in_every_state() {
    let states: [fn(&mut World); 5] = [
        |_| {},
        |world| world.begin("a"),
        |world| world.succeed("a"),
        |world| world.fail("a", "no"),
        |world| (world.succeed("a"), world.change("a"), world.fail("a", "no")).2,
    ];
    for bring in states {
        let mut world = World::new(["t1"]);
        world.push("a");
        bring(&mut world);
        world.observe("a", true);
        if world.word("a") == "running" {
            world.succeed("a");
        }
        world.expect_compliance("a", Compliance::HasUpdate);
        world.forget_grants();
        world.succeed_changed("a");
        world.expect([("a", "drifted")]);
        world.observe("a", false);
        world.expect_granted(["a"]);
        world.succeed_changed("a");
        world.expect([("a", "good")]);
    }
}

#[test]
fn m_a_skipped_one_that_becomes_observed_runs_and_back_is_skipped() {
    let (mut world, _) = sent_after("failed", "it@t3 <- dep");
    world.forget_grants();
    world.observe("it", true);
    world.expect_granted(["observe it"]);
    world.succeed("it");
    world.observe("it", false);
    world.expect([("it", "skipped")]);
}
