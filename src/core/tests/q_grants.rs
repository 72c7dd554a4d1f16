//! Q: grants. That one is recorded before it is sent, and has one outcome, is checked after every step of every test.

use super::world::{Crash, START, World};
use crate::core::{
    AttemptId, Effects, EnvironmentState, Epoch, Event, Finding, Message, Outcome, OutcomeKind, Record, SessionNumber,
    Snapshot, Timestamp, limits, step,
};

#[test]
fn q1_a_grant_stands_among_the_records_of_the_step_that_sends_it() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("a");
    let mut effects = crate::core::Effects::default();
    let hello = Event::ExecutorConnected {
        executor: "e1".into(),
        pool: "pool".into(),
        session: SessionNumber(1),
        credits: 1,
        holds: Vec::new(),
    };
    crate::core::step(&mut world.state, hello, world.now, &mut effects);
    let recorded =
        effects.records.iter().any(|record| matches!(record, Record::Grant(_, grant) if grant.attempt.0 == 1));
    let sent =
        effects.messages.iter().any(|message| matches!(message, Message::Grant(_, _, grant) if grant.attempt.0 == 1));
    assert!(recorded && sent);
}

#[test]
fn q1_a_grant_that_was_committed_and_never_sent_is_asked_for_and_runs_under_a_new_number() {
    let mut world = World::new(["t1"]);
    world.crash = Some((world.steps + 1, Crash::BeforeSend));
    world.push("a");
    assert_eq!(world.attempts("a"), ["revoked", "open"]);
    world.run_all();
    world.expect([("a", "good")]);
}

#[test]
fn q1_a_grant_whose_executor_still_has_it_after_a_restart_goes_on_there() {
    let mut world = World::new(["t1"]);
    world.push("a; b <- a");
    world.begin("a");
    world.restart();
    world.expect([("a", "running"), ("b", "queued")]);
    world.run_all();
    assert_eq!((world.attempts("a"), world.attempts("b")), (vec!["succeeded"], vec!["succeeded"]));
}

#[test]
fn q1_a_begun_attempt_whose_executor_ended_is_lost_and_backs_off() {
    let mut world = World::new(["t1"]);
    world.push("a; b <- a");
    world.begin("a");
    world.lose("e1");
    world.connect("e2");
    world.expect([("a", "failed"), ("b", "skipped")]);
    world.forget_grants();
    world.advance(10_000);
    world.expect_granted(["a"]);
    assert_eq!(world.attempts("a"), ["lost", "open"]);
}

#[test]
fn q1_a_lost_grant_that_never_began_runs_again_at_once_for_the_best_reason_it_has() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.deploy();
    world.lose("e1");
    assert_eq!(world.view("a").queued, Some(crate::core::Reason::UserDeploy));
    world.connect("e2");
    world.succeed("a");
    assert_eq!(world.attempts("a"), ["lost", "succeeded"]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn q2_suspending_takes_back_what_has_not_begun_and_resuming_goes_on_with_what_is_not_good() {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push("a; b@t2; c@t3; d <- c");
    world.succeed("c");
    world.begin("a");
    world.suspend(true);
    world.expect([("a", "running"), ("b", "queued"), ("c", "good"), ("d", "queued")]);
    assert_eq!(world.why("b"), "the environment is suspended");
    world.succeed("a");
    world.push("e");
    world.restart();
    world.forget_grants();
    world.suspend(false);
    world.expect_granted(["d", "e", "b"]);
}

#[test]
fn q2_a_suspended_target_holds_its_own_and_those_that_require_them() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a; c@t2");
    world.change_target("t1", |target| target.suspend = true);
    world.expect([("a", "queued"), ("b", "queued"), ("c", "granted")]);
    assert_eq!(world.why("a"), "target t1 is suspended");
    assert_eq!(world.why("b"), "it waits for a, which is queued or running");
    world.forget_grants();
    world.change_target("t1", |_| {});
    world.expect_granted(["a"]);
}

#[test]
fn q2_a_held_verification_of_a_good_one_holds_no_dependent_until_it_is_lifted() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2 <- a");
    world.change_target("t1", |target| target.suspend = true);
    world.repair();
    world.expect([("a", "queued"), ("b", "granted")]);
    world.forget_grants();
    world.change_target("t1", |_| {});
    world.expect([("a", "granted"), ("b", "queued")]);
}

#[test]
fn q2_removing_takes_back_what_has_not_begun() {
    let mut world = World::good_chain();
    world.change("r3");
    world.remove(["r3"]);
    world.expect_granted(["r3", "delete r3"]);
    assert_eq!(world.attempts("r3"), ["succeeded", "revoked", "open"]);
}

#[test]
fn q2_a_requirement_that_is_queued_takes_its_dependents_grants_back_and_awaits_each_answer() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a; b@t2 <- a; c@t3 <- a");
    world.change("b");
    world.change("c");
    world.keep_answers();
    world.forget_grants();
    world.change("a");
    world.expect_granted([]);
    assert_eq!(world.why("a"), "grants of resources that require it are being taken back");
    world.begin("b");
    world.expect_granted([]);
    world.answer_revokes();
    world.expect_granted(["a"]);
    world.expect([("a", "granted"), ("b", "running"), ("c", "queued")]);
}

#[test]
fn q3_grants_run_ahead_of_a_target_in_order_and_within_a_bound() {
    let mut world = World::new(["t1"]);
    let lines: Vec<String> = (100..500).map(|n| format!("r{n}")).collect();
    world.push(&lines.join(";"));
    let ahead = limits::GRANTS_AHEAD as usize + 1;
    assert_eq!(world.held.len(), ahead);
    let order: Vec<_> = world.held.values().map(|held| held.grant.intent.name.to_string()).collect();
    assert_eq!(order, lines[..ahead]);
    assert!(world.held.values().all(|held| held.grant.concurrency == 1), "the executor begins one at a time");
    world.succeed("r100");
    assert_eq!(world.held.len(), ahead);
    assert_eq!(world.why("r499"), "target t1 is busy; 398 before it");
}

#[test]
fn q3_an_executor_gets_no_more_than_its_credits() {
    let mut world = World::without_executor();
    world.target("t1");
    world.target("t2");
    world.target("t3");
    world.push("a; b; c@t2; d@t3");
    world.step(hello("e1", 2));
    world.expect_granted(["a", "c"]);
    world.succeed("a");
    world.expect_granted(["b"]);
    world.succeed("c");
    world.expect_granted(["d"]);
}

/// None of them ever answers: what they were granted ahead stays granted.
#[test]
fn q3_targets_that_hang_leave_credits_for_all_others() {
    const CREDITS: u32 = 512;
    let mut world = World::without_executor();
    let hung: Vec<String> = (0..40).map(|number| format!("hung{number}")).collect();
    let well: Vec<String> = (0..200).map(|number| format!("well{number}")).collect();
    hung.iter().chain(&well).for_each(|target| world.target(target));
    let much = |target: &String| (0..40).map(move |number| format!("{target}-{number}@{target}")).collect::<Vec<_>>();
    world.push(&hung.iter().flat_map(much).collect::<Vec<_>>().join(";"));
    world.step(hello("e1", CREDITS));
    let granted =
        |world: &World, target: &str| world.held.values().filter(|held| &*held.grant.intent.target == target).count();
    let all: usize = hung.iter().map(|target| granted(&world, target)).sum();
    assert!(hung.iter().all(|target| granted(&world, target) > 0));
    assert_eq!(granted(&world, "hung0"), 1 + (CREDITS / 2 / (limits::LEAD_SHARE + 1)) as usize);
    assert!(all <= CREDITS as usize / 2 + hung.len(), "{all}");
    world.push(&well.iter().map(|target| format!("{target}-0@{target}")).collect::<Vec<_>>().join(";"));
    assert!(well.iter().all(|target| granted(&world, target) == 1));
}

fn hello(executor: &str, credits: u32) -> Event {
    let (pool, session, holds) = ("pool".into(), SessionNumber(1), Vec::new());
    Event::ExecutorConnected { executor: executor.into(), pool, session, credits, holds }
}

/// What a hello does not name may have been on its way to the stream before: it is asked for, and only then granted again, for the new stream.
#[test]
fn q4_a_grant_is_for_the_stream_that_its_executor_had_then() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("a");
    let hello = |session| Event::ExecutorConnected {
        executor: "e1".into(),
        pool: "pool".into(),
        session: SessionNumber(session),
        credits: 1,
        holds: Vec::new(),
    };
    let now = world.now;
    let mut step = |event| {
        let mut effects = crate::core::Effects::default();
        crate::core::step(&mut world.state, event, now, &mut effects);
        let told = effects.messages.into_iter().filter_map(|message| match message {
            Message::Grant(_, session, grant) => Some(format!("grant {} on {session}", grant.attempt)),
            Message::Revoke(_, attempt) => Some(format!("revoke {attempt}")),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(step(hello(1)), ["grant 1 on 1"]);
    assert_eq!(step(Event::ExecutorDisconnected("e1".into())), [""; 0]);
    assert_eq!(step(hello(2)), ["revoke 1"]);
    let revoked =
        Outcome { attempt: AttemptId(1), began_at: None, finished_at: now, kind: OutcomeKind::Revoked, log: None };
    let after = step(Event::Finished("e1".into(), revoked));
    assert!(after.contains(&"grant 2 on 2".to_owned()), "{after:?}");
    assert_eq!(step(Event::ExecutorLost("e1".into())), [""; 0]);
    assert_eq!(step(hello(3)).last().map(String::as_str), Some("grant 3 on 3"));
}

#[test]
fn q4_a_target_stays_with_its_executor_while_anything_is_granted_there() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.connect("e2");
    world.step(Event::ExecutorDisconnected("e1".into()));
    world.push("b");
    world.expect_granted(["a"]);
    assert_eq!(world.why("b"), "no executor of pool pool is connected");
    world.lose("e1");
    world.expect_granted(["b"]);
}

/// An executor that was given up reports that it has succeeded after all.
fn report(world: &mut World, executor: &str, attempt: AttemptId) {
    let outcome = success(attempt, world.now);
    world.step(Event::Finished(executor.into(), outcome));
}

fn success(attempt: AttemptId, finished_at: Timestamp) -> Outcome {
    Outcome { attempt, began_at: None, finished_at, kind: OutcomeKind::Succeeded(Finding::same()), log: None }
}

#[test]
fn q5_a_lost_executors_late_result_is_recorded_once_and_refused() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.lose("e1");
    report(&mut world, "e2", attempt);
    assert!(world.history.late.is_empty(), "another executor's word is nothing");
    report(&mut world, "e1", attempt);
    world.expect([("a", "queued")]);
    assert_eq!(world.history.late[&attempt].kind, OutcomeKind::Succeeded(Finding::same()));
    report(&mut world, "e1", attempt);
    assert_eq!(world.attempts("a"), ["lost"]);
}

#[test]
fn q5_a_late_result_is_recorded_by_the_next_owner_too() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.lose("e1");
    world.restart();
    report(&mut world, "e1", attempt);
    assert_eq!(world.history.late.keys().collect::<Vec<_>>(), [&attempt]);
    world.restart();
    report(&mut world, "e1", attempt);
    world.expect([("a", "queued")]);
}

#[test]
fn q5_what_ended_in_time_or_was_never_granted_has_no_late_result() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.succeed("a");
    world.dry_run("a");
    let dry_run = *world.held.keys().next_back().unwrap();
    world.lose("e1");
    for said in [attempt, AttemptId(attempt.0 + 1), dry_run] {
        report(&mut world, "e1", said);
    }
    assert!(world.history.late.is_empty());
}

#[test]
fn q5_of_very_many_lost_attempts_the_newest_are_remembered() {
    let lost = (1..=limits::LOST_ATTEMPTS as u64 + 1).rev().map(|attempt| (AttemptId(attempt), "e1".into()));
    let snapshot = Snapshot { last_attempt: AttemptId(u64::MAX / 2), lost: lost.collect(), ..Snapshot::default() };
    let (mut state, _) = EnvironmentState::restore("test".into(), Epoch(1), snapshot, START);
    let mut recorded = |attempt| {
        let mut effects = Effects::default();
        step(&mut state, Event::Finished("e1".into(), success(AttemptId(attempt), START)), START, &mut effects);
        effects.records.len()
    };
    assert_eq!([recorded(1), recorded(2)], [0, 1]);
}

#[test]
fn q1_an_executor_that_has_forgotten_what_it_began_has_lost_it() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.held.clear();
    world.reconnect();
    assert_eq!(world.attempts("a"), ["lost"]);
    world.expect([("a", "failed")]);
}

#[test]
fn q1_a_row_says_which_attempt_changed_it_when_and_why_the_last_one_failed() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.fail("a", "disk full");
    assert_eq!((world.row_of("a").error.as_deref(), world.row_of("a").deployed_at), (Some("disk full"), None));
    world.advance(10_000);
    let (attempt, then) = (world.attempt("a"), world.now);
    world.succeed_changed("a");
    world.advance(10_000);
    world.repair();
    world.succeed("a");
    let row = world.row_of("a");
    assert_eq!((row.changed_by, row.deployed_at, row.error), (Some(attempt), Some(then), None));
    assert_eq!(row.verified_at, Some(world.now));
}

#[test]
fn q4_what_an_executor_gives_up_in_its_hello_says_so_to_all_that_waits_on_its_target() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.connect("e2");
    world.step(Event::ExecutorDisconnected("e1".into()));
    world.change_target("t1", |target| target.suspend = true);
    world.push("b");
    let hello = Event::ExecutorConnected {
        executor: "e1".into(),
        pool: "pool".into(),
        session: SessionNumber(9),
        credits: 9,
        holds: Vec::new(),
    };
    let mut effects = Effects::default();
    step(&mut world.state, hello, world.now, &mut effects);
    let b = world.view("b").row.resource;
    assert!(effects.changed.contains(&b), "{effects:?}");
}

#[test]
fn q2_what_was_asked_back_on_a_stream_that_broke_is_asked_back_again() {
    let mut world = World::new(["t1"]);
    world.keep_answers();
    world.push("a");
    world.change("a");
    world.held.values_mut().for_each(|held| held.asked_back = false);
    world.reconnect();
    world.answer_at_once();
    assert_eq!(world.attempts("a"), ["revoked", "open"]);
}

#[test]
fn q3_a_target_goes_to_the_executor_that_has_least() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a");
    world.connect("e0");
    world.push("b@t2");
    assert_eq!(&*world.held[&world.attempt("b")].executor, "e0");
    world.connect("e2");
    world.target("t3");
    world.push("c@t3");
    assert_eq!(&*world.held[&world.attempt("c")].executor, "e2");
}
