//! J: facts, and their refresh.

use super::world::World;
use crate::core::{
    AttemptId, Compliance, DryRunId, Event, OutcomeKind, Reason, RefusalKind, RepairAction, RequestKind, Scope,
    Settings,
};

fn refresh(world: &mut World, name: &str) {
    world.forget_grants();
    world.request(RequestKind::FactRefresh, Scope { target: None, names: Some(vec![name.into()]) });
}

fn repair(world: &mut World, name: &str) {
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec![name.into()]) });
}

fn facts(world: &World, name: &str) -> Vec<String> {
    world.row_of(name).facts.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The facts that the outcome of an attempt was recorded with.
fn recorded(world: &World, attempt: u64) -> Option<String> {
    match &world.history.outcomes[&AttemptId(attempt)].1.kind {
        OutcomeKind::Succeeded(finding) => finding.facts.text().map(str::to_owned),
        _ => None,
    }
}

#[test]
fn facts_are_those_of_the_newest_success_and_history_keeps_their_news() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.learn("a", "size=5 owner=1");
    assert_eq!(facts(&world, "a"), ["owner=1", "size=5"]);
    world.repair();
    world.learn("a", "size=5 owner=1");
    world.repair();
    world.learn("a", "size=6");
    assert_eq!(facts(&world, "a"), ["size=6"]);
    assert_eq!([1, 2, 3].map(|attempt| recorded(&world, attempt).is_some()), [true, false, true]);
    world.repair();
    world.fail("a", "no route");
    world.restart();
    assert_eq!(facts(&world, "a"), ["size=6"], "a failure has learned nothing");
}

#[test]
fn j2_a_fact_refresh_looks_once_at_the_one_asked_and_corrects_nothing() {
    let mut world = World::good_chain();
    refresh(&mut world, "r2");
    world.expect_granted(["observe r2"]);
    assert_eq!(world.last_reason("r2"), Reason::FactRefresh);
    world.learn("r2", "size=7");
    assert_eq!(facts(&world, "r2"), ["size=7"]);
    assert_eq!(world.history.open_requests().count(), 0);
    world.expect_granted([]);
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good")]);
    refresh(&mut world, "r2");
    world.succeed_changed("r2");
    world.expect([("r2", "drifted")]);
    world.expect_granted(["observe r2"]);
}

#[test]
fn j2_a_fact_refresh_survives_a_restart_and_comes_after_retries_and_before_repairs() {
    let mut world = World::deployed(["t1"], "a; b; c");
    world.advance(1);
    world.forget_grants();
    world.suspend(true);
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["c".into()]) });
    refresh(&mut world, "b");
    world.request(RequestKind::Report, Scope { target: None, names: Some(vec!["a".into()]) });
    world.restart();
    world.suspend(false);
    world.expect_granted(["c", "observe b", "observe a"]);
    assert!(Reason::Retry < Reason::FactRefresh && Reason::FactRefresh < Reason::Repair);
}

#[test]
fn j2_what_is_queued_already_brings_the_facts_sooner_and_still_corrects() {
    let mut world = World::new(["t1"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("a; b");
    world.run_all();
    world.suspend(true);
    world.advance(60_000);
    refresh(&mut world, "b");
    world.suspend(false);
    world.expect_granted(["b", "a"]);
    assert_eq!(world.last_reason("b"), Reason::Repair);
    world.learn("b", "size=1");
    assert_eq!(facts(&world, "b"), ["size=1"]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn j2_a_refresh_that_is_given_back_leaves_the_repair_that_came_after_it() {
    let mut world = World::deployed(["t1"], "a");
    world.keep_answers();
    refresh(&mut world, "a");
    world.request(RequestKind::Cancel, Scope::default());
    world.advance(Settings::default().retry.max_delay_ms);
    world.answer_at_once();
    assert_eq!(world.last_reason("a"), Reason::Repair);
    world.run_all();
}

#[test]
fn j2_what_is_skipped_instead_of_bringing_its_facts_is_looked_at_all_the_same() {
    for look in [RequestKind::FactRefresh, RequestKind::Report] {
        let mut world = World::new(["t1", "t2"]);
        world.push("a; b@t2 <- a");
        world.learn("a", "");
        world.learn("b", "size=5");
        world.change_settings(|settings| settings.retry.jitter = 0.0);
        repair(&mut world, "a");
        repair(&mut world, "b");
        world.request(look, Scope { target: None, names: Some(vec!["b".into()]) });
        world.forget_grants();
        world.fail("a", "no");
        world.expect_granted(["observe b"]);
        assert_eq!(world.history.open_requests().count(), 1, "only the look is still open");
        world.learn("b", "size=6");
        assert_eq!(facts(&world, "b"), ["size=6"]);
        assert_eq!(world.history.open_requests().count(), 0);
    }
}

#[test]
fn j2_what_is_not_deployed_has_nothing_to_refresh() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.fail("a", "no route");
    refresh(&mut world, "a");
    world.expect_granted([]);
    assert!(!world.state.can_be_refreshed("a"));
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn j3_a_fact_refresh_does_not_survive_the_removal_of_its_resource() {
    let mut world = World::deployed(["t1"], "a; b");
    world.suspend(true);
    refresh(&mut world, "a");
    world.remove(["a"]);
    assert_eq!(world.history.open_requests().count(), 0);
    world.suspend(false);
    world.expect_granted(["delete a"]);
    world.succeed("a");
    refresh(&mut world, "b");
    world.begin("b");
    world.remove(["b"]);
    world.learn("b", "size=9");
    assert_eq!(facts(&world, "b"), Vec::<String>::new(), "of what is removed nothing is learned");
    world.run_all();
    world.push("b");
    assert_eq!(facts(&world, "b"), Vec::<String>::new());
}

fn given(world: &World, name: &str) -> Vec<String> {
    let grant = &world.held[&world.attempt(name)].grant;
    grant.facts.iter().map(|known| format!("{}.{}={}", known.of.name, known.of.fact, known.value)).collect()
}

#[test]
fn j_a_fact_fills_what_takes_it_when_it_arrives_and_again_when_it_changes() {
    let mut world = World::new(["t1", "t2"]);
    world.push("b@t2 takes:a.size; a");
    world.expect_granted(["a"]);
    world.expect([("b", "undefined")]);
    world.expect_compliance("b", Compliance::Undefined);
    assert_eq!(world.why("b"), "it waits for fact size of a, which is known when a is deployed");
    world.learn("a", "size=5");
    world.expect_granted(["b"]);
    assert_eq!((given(&world, "b"), world.last_reason("b")), (vec!["a.size=5".into()], Reason::Change));
    world.succeed("b");
    world.expect([("a", "good"), ("b", "good")]);
    // The same again is no news.
    repair(&mut world, "a");
    world.learn("a", "size=5 owner=1");
    world.expect([("a", "good"), ("b", "good")]);
    world.forget_grants();
    world.restart();
    world.expect_granted([]);
    repair(&mut world, "a");
    world.learn("a", "size=6");
    world.expect_granted(["a", "b"]);
    assert_eq!((given(&world, "b"), world.last_reason("b")), (vec!["a.size=6".into()], Reason::Change));
    world.expect_compliance("b", Compliance::HasUpdate);
    world.succeed("b");
    world.expect([("b", "good")]);
}

#[test]
fn j_a_value_that_comes_back_to_what_is_deployed_needs_no_attempt() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.run_all();
    world.change_target("t2", |target| target.suspend = true);
    repair(&mut world, "a");
    world.learn("a", "size=6");
    world.expect([("b", "queued")]);
    repair(&mut world, "a");
    world.learn("a", "size=5");
    world.expect([("b", "good")]);
}

#[test]
fn j_a_change_of_a_fact_while_its_taker_runs_is_followed_up() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.begin("b");
    refresh(&mut world, "a");
    world.learn("a", "size=6");
    world.succeed("b");
    world.expect_granted(["observe a", "b"]);
    assert_eq!(given(&world, "b"), ["a.size=6"]);
    // Not begun, it is asked back.
    refresh(&mut world, "a");
    world.learn("a", "size=7");
    world.expect_granted(["observe a", "b"]);
    assert_eq!(given(&world, "b"), ["a.size=7"]);
    world.succeed("b");
    assert_eq!(world.attempts("b"), ["succeeded", "revoked", "succeeded"]);
}

#[test]
fn j_a_fact_that_is_never_reported_says_so_and_undefines_all_that_stands_on_it() {
    let mut world = World::new(["t1"]);
    world.push("a; b takes:a.siez; c <- b");
    world.learn("a", "size=5 owner=1");
    world.expect([("a", "good"), ("b", "undefined"), ("c", "undefined")]);
    assert_eq!(world.why("b"), "it waits for fact siez of a, which reports only owner, size");
    world.push("b takes:a.size");
    world.run_all();
    world.expect([("b", "good"), ("c", "good")]);
}

#[test]
fn j_a_fact_of_what_is_removed_stands_until_its_delete_begins() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.run_all();
    world.remove(["a"]);
    world.expect([("a", "tombstone"), ("b", "good")]);
    world.forget("a");
    world.expect([("b", "undefined")]);
    assert_eq!(world.why("b"), "it requires a, which does not exist");
    world.push("a");
    world.expect([("b", "undefined")]);
    world.forget_grants();
    world.learn("a", "size=5");
    world.expect([("b", "good")]);
    world.expect_granted([]);
}

#[test]
fn j_a_fact_of_what_was_removed_and_added_again_is_not_known_at_once() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.run_all();
    world.change("a");
    world.begin("a");
    world.push_with("a", |push| push.removals = vec!["a".into()]);
    world.expect([("a", "running"), ("b", "undefined")]);
    world.learn("a", "size=5");
    world.learn("a", "size=5");
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn j_what_takes_a_fact_of_itself_in_the_end_is_refused_with_the_path() {
    let mut world = World::new(["t1"]);
    world.push("a takes:b.size; b <- c; c takes:a.size");
    let paths: Vec<_> = world.refused.iter().map(|refusal| refusal.kind.clone()).collect();
    let path = RefusalKind::Cycle(["a", "b", "c", "a"].map(Into::into).into());
    assert_eq!(paths, [path.clone(), path.clone(), path]);
}

#[test]
fn j_a_dry_run_of_what_takes_a_fact_that_is_not_known_says_known_after_apply() {
    let mut world = World::new(["t1"]);
    world.dry_run("a; b takes:a.size; c takes:nobody.size");
    world.expect_granted(["dry-run a"]);
    world.run_all();
    let results = &world.history.dry_runs[&DryRunId(1)].1;
    let said = |name: &str| results[name].clone();
    assert_eq!(said("b").0, "known after apply");
    assert_eq!(&*said("b").1, "it takes fact size of a, which is known when a is deployed");
    assert_eq!(said("c").0, "undefined");
    world.push("a");
    world.learn("a", "size=5");
    world.dry_run("b takes:a.size");
    assert_eq!(given(&world, "b"), ["a.size=5"]);
}

#[test]
fn j_what_failed_or_was_skipped_is_attempted_at_once_with_a_new_value() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.fail("b", "too small");
    world.expect([("b", "failed")]);
    world.forget_grants();
    refresh(&mut world, "a");
    world.learn("a", "size=6");
    world.expect_granted(["observe a", "b"]);
    assert_eq!(world.row_of("b").failures, 0);
}

#[test]
fn j_a_lost_target_of_a_source_keeps_what_is_known_of_it() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.run_all();
    world.step(Event::TargetRemoved("t1".into()));
    world.expect([("a", "undefined"), ("b", "undefined")]);
    world.target("t1");
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn j_what_is_accepted_and_not_released_takes_its_facts_when_it_is_released() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.run_all();
    world.change_settings(|settings| settings.on_change = crate::core::OnChange::Manual);
    world.push("b@t2=2 takes:a.size");
    world.expect_compliance("b", Compliance::HasUpdate);
    world.forget_grants();
    world.restart();
    world.deploy();
    world.expect_granted(["b"]);
    assert_eq!(given(&world, "b"), ["a.size=5"]);
}

#[test]
fn j_what_was_skipped_runs_when_a_fact_is_known_again_as_it_was() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 takes:a.size");
    world.learn("a", "size=5");
    world.run_all();
    repair(&mut world, "a");
    world.fail("a", "no route");
    repair(&mut world, "b");
    world.expect([("a", "failed"), ("b", "skipped")]);
    world.suspend(true);
    world.remove(["a"]);
    world.push("a");
    world.expect([("b", "undefined")]);
    world.forget_grants();
    world.suspend(false);
    world.learn("a", "size=5");
    world.expect_granted(["a", "b"]);
    world.succeed("b");
    world.expect([("a", "good"), ("b", "good")]);
}

/// `c` requires `b`, which took a fact of `a` and is removed.
fn removed_taker(prepare: fn(&mut World)) -> World {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push("a; b@t2 takes:a.size; c@t3 <- b");
    world.learn("a", "size=5");
    world.run_all();
    prepare(&mut world);
    world.forget_grants();
    world
}

#[test]
fn j_what_is_removed_stands_as_it_was_whatever_becomes_of_the_facts_that_it_took() {
    for restarts in [false, true] {
        let mut world = removed_taker(|world| {
            world.remove(["b"]);
            repair(world, "a");
            world.learn("a", "size=6");
        });
        if restarts {
            world.restart();
        }
        world.change("c");
        world.expect_granted(["c"]);
    }
}

#[test]
fn j_what_was_removed_before_it_took_a_new_fact_does_not_count_as_deployed() {
    for restarts in [false, true] {
        let mut world = removed_taker(|world| {
            repair(world, "a");
            world.learn("a", "size=6");
            world.remove(["b"]);
        });
        if restarts {
            world.restart();
        }
        world.change("c");
        world.expect_granted([]);
        world.expect([("c", "skipped")]);
    }
}
