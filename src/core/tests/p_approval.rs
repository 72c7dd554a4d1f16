//! P10, P11: removals that wait for a human, and what is never deleted.

use super::world::World;
use crate::core::{Name, OnChange, RequestKind, Scope};

/// So many good ones, on one target.
fn estate(count: usize) -> (World, Vec<Name>) {
    let names: Vec<Name> = (0..count).map(|number| format!("r{number:03}").into()).collect();
    let mut world = World::new(["t1"]);
    world.push(&names.join("; "));
    world.run_all();
    world.forget_grants();
    (world, names)
}

fn remove(world: &mut World, names: &[Name], approved: bool) {
    world.push_with("", |push| {
        push.removals = names.to_vec();
        push.approved = approved;
    });
}

fn deletes(world: &World) -> usize {
    world.held.values().filter(|held| held.grant.operation == crate::core::Operation::Delete).count()
}

#[test]
fn p10_more_than_ten_and_more_than_a_tenth_wait_for_an_approval() {
    for (of, removed, begin) in [(100, 10, 10), (100, 11, 0), (12, 10, 10), (12, 12, 0), (220, 22, 22), (220, 23, 0)] {
        let (mut world, names) = estate(of);
        remove(&mut world, &names[..removed], false);
        assert_eq!(deletes(&world), begin, "{removed} of {of}");
    }
}

#[test]
fn p10_they_are_held_together_say_so_and_the_rest_of_the_version_goes_on() {
    let (mut world, names) = estate(50);
    world.push_with("r049=2; new", |push| push.removals = names[..20].to_vec());
    world.expect_granted(["r049", "new"]);
    assert_eq!(world.why("r000"), "its deletion waits for an approval: 20 resources were removed at once");
    world.run_all();
    world.restart();
    world.expect([("r000", "tombstone"), ("r019", "tombstone"), ("new", "good")]);
    world.forget_grants();
    world.request(RequestKind::ApproveRemovals, Scope::default());
    assert_eq!(deletes(&world), 20);
    world.restart();
    world.run_all();
    world.expect([("r000", "deleted"), ("r019", "deleted")]);
}

#[test]
fn p10_the_others_go_on_at_once_where_one_of_many_is_taken_over() {
    let (mut world, names) = estate(20);
    remove(&mut world, &names[..11], false);
    assert_eq!(deletes(&world), 0);
    world.manual();
    world.push("again#r000");
    world.deploy_only(["again"]);
    assert_eq!(deletes(&world), 10);
}

#[test]
fn p10_what_a_human_has_seen_needs_no_other_approval() {
    let (mut world, names) = estate(30);
    remove(&mut world, &names, true);
    assert_eq!(deletes(&world), 30);
}

#[test]
fn p10_an_approval_covers_what_it_names_and_nothing_that_is_removed_later() {
    let (mut world, names) = estate(60);
    remove(&mut world, &names[..30], false);
    let two = Some(names[..2].to_vec());
    world.request(RequestKind::ApproveRemovals, Scope { target: None, names: two });
    world.expect_granted(["delete r000", "delete r001"]);
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.run_all();
    world.forget_grants();
    remove(&mut world, &names[30..45], false);
    world.expect_granted([]);
}

#[test]
fn p10_taking_some_back_lets_the_few_that_remain_go() {
    let (mut world, names) = estate(40);
    remove(&mut world, &names[..12], false);
    world.expect_granted([]);
    world.push("r000; r001");
    assert_eq!(deletes(&world), 10);
}

#[test]
fn p10_grants_that_have_not_begun_are_taken_back_and_begun_ones_no_longer_count() {
    let (mut world, names) = estate(50);
    remove(&mut world, &names[..8], false);
    assert_eq!(deletes(&world), 8);
    world.begin("r000");
    remove(&mut world, &names[8..12], false);
    assert_eq!(deletes(&world), 1);
    world.succeed("r000");
    world.expect([("r000", "deleted"), ("r001", "tombstone")]);
    assert_eq!(deletes(&world), 0);
}

#[test]
fn p10_orphans_and_what_was_never_attempted_need_none() {
    let (mut world, _) = estate(5);
    let lines: Vec<String> = (0..20).map(|number| format!("o{number:02} orphan")).collect();
    world.push(&lines.join("; "));
    world.run_all();
    let names: Vec<Name> = (0..20).map(|number| format!("o{number:02}").into()).collect();
    remove(&mut world, &names, false);
    world.expect([("o00", "orphan"), ("o19", "orphan")]);
}

#[test]
fn p11_what_is_protected_is_never_deleted_and_holds_only_what_it_required() {
    let mut world = World::deployed(["t1"], "base; db protected <- base; app <- db; other");
    world.forget_grants();
    world.remove(["base", "db", "app", "other"]);
    world.expect_granted(["delete app", "delete other"]);
    world.run_all();
    world.restart();
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.run_all();
    world.expect([("app", "deleted"), ("other", "deleted"), ("db", "tombstone"), ("base", "tombstone")]);
    assert_eq!(world.why("db"), "it was removed and is protected: it is never deleted on its target");
    assert_eq!(world.why("base"), "it is to be deleted, and is still required by db");
    assert!(world.state.quiet() || world.state.view(world.id("db")).unwrap().queued.is_some());
}

#[test]
fn p11_it_leaves_by_being_forgotten_or_wanted_again_without_protection() {
    let mut world = World::deployed(["t1"], "base; db protected <- base");
    world.remove(["base", "db"]);
    world.forget_grants();
    world.forget("db");
    world.expect_granted(["delete base"]);
    world.run_all();
    world.expect([("db", "orphan"), ("base", "deleted")]);

    world.push("db protected");
    world.run_all();
    world.remove(["db"]);
    world.push("db");
    world.run_all();
    world.expect([("db", "good")]);
    world.forget_grants();
    world.remove(["db"]);
    world.expect_granted(["delete db"]);
}

#[test]
fn p11_a_protected_thing_outlives_a_change_of_what_its_name_means() {
    let mut world = World::deployed(["t1"], "db#one protected");
    world.forget_grants();
    world.push("db#two protected");
    world.expect_granted([]);
    assert_eq!(world.state.views().filter(|view| view.row.life == crate::core::Life::Tombstone).count(), 1);
}

#[test]
fn p11_what_its_name_meant_next_is_deleted_all_the_same() {
    let mut world = World::deployed(["t1"], "db#one; old#two");
    world.suspend(true);
    world.remove(["old"]);
    world.push("db#two protected");
    world.manual();
    world.push("db#one");
    // It has a number of its own, and takes over what the first one left.
    world.change_settings(|settings| settings.on_change = OnChange::Automatic);
    world.remove(["db"]);
    world.forget_grants();
    world.suspend(false);
    world.expect_granted(["delete db"]);
}

#[test]
fn p7_p10_what_has_turned_round_behind_a_waiting_approval_waits_with_it_and_nothing_else_does() {
    let mut world = World::deployed(["t1"], "a; b <- a; c <- b; d#one approve <- c; beside; more <- beside");
    world.forget_grants();
    // Each of them would close a cycle with the one after it, as that is.
    world.push("a <- b; b <- c; c <- d; d#two approve; beside=2; more=2 <- beside");
    world.run_all();
    world.expect_granted(["beside", "more"]);
    for name in ["a", "b", "c", "d"] {
        assert!(world.why(name).contains("waits for an approval: d would be deleted"), "{}", world.why(name));
    }
    world.manual();
    world.deploy_only(["c"]);
    world.expect_granted([]);
    world.change_settings(|settings| settings.on_change = OnChange::Automatic);
    world.request(RequestKind::ApproveRemovals, Scope::default());
    world.run_all();
    world.expect_granted(["delete d", "d"]);
    world.expect([("a", "good"), ("b", "good"), ("c", "good"), ("d", "good")]);
    assert_eq!(world.intent_of("a").requires, ["b".into()]);
}
