//! P5, P6: what was removed is wanted again, before its delete begins, while it runs, or when it may have begun.

use super::world::World;
use crate::core::{Change, Facts, Finding, Hash, Life, OutcomeKind, RequestKind, ResourceRow, Scope};

#[test]
fn p5_added_again_before_its_delete_begins_it_is_new_and_keeps_its_identity() {
    for granted in [false, true] {
        let mut world = World::new(["t1", "t2"]);
        world.push("a; b@t2 <- a");
        world.succeed_changed("a");
        world.succeed("b");
        if granted {
            world.remove(["b"]);
            world.succeed("b");
        }
        world.forget_grants();
        world.remove(["a"]);
        world.push("a");
        if granted {
            world.expect_granted(["delete a", "a"]);
        } else {
            world.expect_granted(["a"]);
        }
        assert_eq!(world.row_of("a").remote_identity.as_deref(), Some("id of a"));
        world.expect_compliance("a", crate::core::Compliance::HasUpdate);
        world.run_all();
        world.expect([("a", "good")]);
        assert!(world.history.rows.values().all(|row| row.life != Life::Deleted || &*row.intent.name == "b"));
    }
}

#[test]
fn p6_added_again_while_its_delete_runs_it_waits_for_it() {
    let mut world = World::deployed(["t1"], "a");
    world.remove(["a"]);
    world.begin("a");
    world.forget_grants();
    world.push("a; d <- a");
    world.expect_granted([]);
    world.expect([("a", "queued"), ("d", "queued")]);
    assert_eq!(world.why("a"), "the earlier a must be deleted on its target first");
    world.restart();
    world.expect_granted([]);
    world.succeed("a");
    world.expect_granted(["a"]);
    world.succeed("a");
    world.expect_granted(["d"]);
}

#[test]
fn p6_a_failed_delete_still_comes_before_the_successor() {
    let mut world = World::deployed(["t1"], "a");
    world.remove(["a"]);
    world.begin("a");
    world.push("a");
    world.forget_grants();
    world.fail("a", "busy");
    world.expect_granted([]);
    world.advance(10_000);
    world.expect_granted(["delete a"]);
    world.succeed("a");
    world.expect_granted(["a"]);
}

#[test]
fn p4_what_takes_over_from_a_lost_create_is_deleted_too_when_it_is_removed_before_it_ran() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.remove(["a"]);
    world.lose_attempt("a");
    world.keep_answers();
    world.push("a=2");
    world.answer_revokes();
    world.remove(["a"]);
    world.forget_grants();
    world.answer_revokes();
    world.expect_granted(["delete a"]);
}

#[test]
fn p5_added_again_nothing_is_known_of_it_but_what_its_target_calls_it() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a secret:X; on@t2 <- a");
    let facts = Facts::new([("size", "5")]);
    let (remote_identity, secret_digest) = (Some("id of a".into()), Some(Hash([1; 16])));
    let finding = Finding { change: Change::Create, facts, remote_identity, secret_digest, diff: "- a".into() };
    world.finish("a", OutcomeKind::Succeeded(finding.clone()));
    world.run_all();
    world.request(RequestKind::Report, Scope::default());
    world.finish("a", OutcomeKind::Succeeded(finding));
    world.run_all();
    let before = world.row_of("a");
    assert!(before.drift.is_some() && before.succeeded.is_some() && before.secret_digest.is_some());
    assert!(!before.facts.is_empty());
    world.suspend(true);
    world.push_with("", |push| (push.removals, push.approved) = (vec!["a".into()], true));
    world.push("a secret:X");
    let row = world.row_of("a");
    let new = ResourceRow::new(row.resource, row.set.clone(), row.intent.clone(), row.version);
    let kept = ResourceRow {
        last_attempt: before.last_attempt,
        deployed_at: before.deployed_at,
        changed_by: before.changed_by,
        remote_identity: before.remote_identity,
        ..new
    };
    assert_eq!(row, kept);
}

#[test]
fn p5_wanted_again_after_its_delete_failed_its_retries_start_over() {
    let mut world = World::deployed(["t1"], "a");
    world.remove(["a"]);
    world.fail("a", "busy");
    world.push("a");
    let row = world.row_of("a");
    assert_eq!((row.failures, row.error), (0, None));
    world.fail("a", "no");
    assert_eq!(world.row_of("a").failures, 1);
}

#[test]
fn p5_what_is_released_again_while_its_delete_waits_for_its_turn_is_never_deleted() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.succeed_changed("a");
    world.run_all();
    world.manual();
    world.change_settings(|settings| settings.max_in_flight = Some(1));
    world.repair();
    world.begin("a");
    world.succeed("a");
    world.begin("b");
    world.remove(["a"]);
    world.deploy();
    world.push("a=2");
    world.deploy();
    world.forget_grants();
    world.succeed("b");
    world.expect_granted(["a"]);
    assert_eq!(world.row_of("a").remote_identity.as_deref(), Some("id of a"));
}
