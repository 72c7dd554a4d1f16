//! D: notifications. A sender's change leaves a debt on what requires it; only the receiver's success pays it.

use super::world::{Crash, World};
use crate::core::{RepairAction, RequestKind, Scope};

/// conf ← service ← app, each on its own target and all good; only conf sends.
fn service() -> World {
    let mut world = World::deployed(["t1", "t2", "t3"], "conf@t1 send; service@t2 <- conf; app@t3 <- service");
    world.forget_grants();
    world
}

#[test]
fn d1_a_change_in_a_non_sender_runs_no_dependent() {
    let mut world = World::good_chain();
    world.change("r1");
    world.succeed_changed("r1");
    world.expect_granted(["r1"]);
}

#[test]
fn d2_a_change_in_a_sender_runs_the_direct_dependents() {
    let mut world = service();
    world.change("conf");
    world.succeed_changed("conf");
    world.expect_granted(["conf", "service (reload for conf)"]);
    world.succeed_changed("service");
    world.expect_granted([]);
    world.expect([("conf", "good"), ("service", "good"), ("app", "good")]);
}

#[test]
fn d2_and_theirs_where_these_send_too() {
    let mut world = service();
    world.redeclare("service", |declared| declared.notify.send = true);
    world.change("conf");
    world.succeed_changed("conf");
    world.succeed_changed("service");
    world.expect_granted(["conf", "service (reload for conf)", "app (reload for service)"]);
    world.succeed("app");
}

#[test]
fn d3_a_sender_that_turns_bad_notifies_once() {
    let mut world = service();
    world.repair_every(60_000, RepairAction::Correct);
    world.advance(60_000);
    world.forget_grants();
    world.fail("conf", "no");
    world.expect([("conf", "failed"), ("service", "skipped")]);
    assert_eq!(world.row_of("service").reload.unwrap().because, "conf".into());
    let skips = world.attempts("service").len();
    world.advance(10_000);
    world.fail("conf", "no");
    assert_eq!(world.attempts("service").len(), skips, "it keeps failing, and nobody hears of it");
    world.advance(20_000);
    world.forget_grants();
    world.succeed("conf");
    world.expect_granted(["service (reload for conf)"]);
}

#[test]
fn d3_a_sender_that_finds_nothing_to_do_notifies_nobody() {
    let mut world = service();
    world.request(crate::core::RequestKind::Repair, Scope { names: Some(vec!["conf".into()]), target: None });
    world.succeed("conf");
    world.expect_granted(["conf"]);
}

#[test]
fn d4_a_dependent_that_runs_is_run_once_more_and_says_for_whom() {
    let mut world = service();
    world.change("service");
    world.begin("service");
    world.change("conf");
    world.succeed_changed("conf");
    world.expect_granted(["service", "conf"]);
    world.succeed("service");
    world.expect_granted(["service (reload for conf)"]);
    world.succeed("service");
    world.expect_granted([]);
    world.expect([("service", "good")]);
}

#[test]
fn d4_also_when_the_run_that_knew_nothing_fails() {
    let mut world = service();
    world.change("service");
    world.begin("service");
    world.change("conf");
    world.succeed_changed("conf");
    world.forget_grants();
    world.fail("service", "no");
    world.expect_granted(["service (reload for conf)"]);
}

#[test]
fn d5_one_that_is_queued_already_runs_once() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a@t1 send; b@t1 send; it@t2 <- a b");
    world.succeed_changed("a");
    world.succeed_changed("b");
    world.expect_granted(["a", "b", "it (reload for b)"]);
    world.succeed("it");
    world.expect_granted([]);
}

#[test]
fn d6_a_stale_finish_notifies_nobody_and_the_fresh_one_after_it_does() {
    let mut world = service();
    world.change("conf");
    world.begin("conf");
    world.change("conf");
    world.succeed_changed("conf");
    assert_eq!(world.row_of("service").reload, None);
    world.expect_granted(["conf", "conf"]);
    world.succeed_changed("conf");
    world.expect_granted(["service (reload for conf)"]);
}

#[test]
fn d7_a_sender_that_is_removed_while_it_runs_notifies_nobody() {
    let mut world = service();
    world.change("conf");
    world.begin("conf");
    world.requires("service", []);
    world.remove(["conf"]);
    world.forget_grants();
    world.succeed_changed("conf");
    world.expect_granted(["delete conf"]);
    assert_eq!(world.row_of("service").reload, None);
}

#[test]
fn d9_a_receiver_waits_for_its_other_dependencies() {
    let mut world = World::deployed(["t1", "t2", "t3"], "conf@t1 send; data@t2; it@t3 <- conf data");
    world.forget_grants();
    world.change("data");
    world.begin("data");
    world.change("conf");
    world.succeed_changed("conf");
    world.expect_granted(["data", "conf"]);
    world.succeed("data");
    world.expect_granted(["it (reload for conf)"]);
}

#[test]
fn d10_both_ends_must_agree_and_receiving_is_the_default() {
    for (send, receive, reloads) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let mut world = service();
        world.redeclare("conf", |declared| declared.notify.send = send);
        world.redeclare("service", |declared| declared.notify.receive = receive);
        world.change("conf");
        world.succeed_changed("conf");
        let expected: &[&str] = if reloads { &["conf", "service (reload for conf)"] } else { &["conf"] };
        world.expect_granted_all(expected);
    }
}

#[test]
fn d11_a_notification_has_the_priority_of_the_attempt_that_sent_it() {
    let mut world = World::deployed(["t1", "t2"], "conf@t1 send; first@t2; service@t2 <- conf");
    world.change_target("t2", |target| target.suspend = true);
    world.request(crate::core::RequestKind::Repair, Scope { names: Some(vec!["first".into()]), target: None });
    world.change("conf");
    world.forget_grants();
    world.succeed_changed("conf");
    assert_eq!(world.view("service").queued, Some(crate::core::Reason::Change));
    world.change_target("t2", |_| {});
    world.expect_granted(["service (reload for conf)", "first"]);
}

#[test]
fn d12_the_debt_outlives_a_crash_anywhere_between_the_two_results() {
    let lives = |world: &mut World| {
        world.change("conf");
        world.succeed_changed("conf");
        world.finish("service", crate::core::OutcomeKind::Failed { message: "no".into(), finding: None });
        world.advance(60_000);
        world.succeed("service");
    };
    let mut calm = service();
    let before = calm.steps;
    lives(&mut calm);
    for at in before + 1..=calm.steps {
        for crash in [Crash::BeforeCommit, Crash::BeforeSend, Crash::AfterSend] {
            let mut world = service();
            world.lenient = true;
            world.crash = Some((at, crash));
            lives(&mut world);
            world.advance(60_000);
            world.run_all();
            world.expect([("conf", "good"), ("service", "good")]);
            let told = world.history.grants.values().filter(|(_, grant)| grant.reload.is_some()).count();
            assert!(told >= 1, "{crash:?} in step {at}: the reload was lost");
            assert_eq!(world.row_of("service").reload, None, "{crash:?} in step {at}");
        }
    }
}

#[test]
fn d12_only_success_pays() {
    let mut world = service();
    world.change("conf");
    world.succeed_changed("conf");
    world.fail("service", "no");
    world.forget_grants();
    world.advance(60_000);
    world.expect_granted(["service (reload for conf)"]);
    world.lose_attempt("service");
    world.restart();
    world.advance(60_000);
    world.expect_granted(["service (reload for conf)"]);
    world.succeed("service");
    world.restart();
    world.expect_granted([]);
}

#[test]
fn d13_a_change_whose_result_is_lost_stale_or_half_done_leaves_the_debt_at_the_next_success() {
    let unseen: [fn(&mut World); 4] = [
        |world| world.lose_attempt("conf"),
        |world| {
            world.begin("conf");
            world.lose_attempt("conf");
        },
        |world| {
            world.begin("conf");
            world.change("conf");
            world.succeed_changed("conf");
        },
        |world| world.fail_changed("conf"),
    ];
    for end in unseen {
        let mut world = service();
        world.change("conf");
        end(&mut world);
        world.restart();
        world.advance(60_000);
        world.forget_grants();
        world.succeed("conf");
        world.expect_granted(["service (reload for conf)"]);
    }
}

/// Found by the simulator (seed 3086): the success of the attempt that had begun armed the next verification, as if nothing were owed.
#[test]
fn d12_a_debt_that_arises_while_what_was_skipped_runs_again_is_paid_after_that() {
    let mut world = service();
    world.repair_every(3_600_000, RepairAction::Correct);
    let verify_conf = |world: &mut World| {
        world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["conf".into()]) });
    };
    verify_conf(&mut world);
    world.fail("conf", "no");
    world.expect([("conf", "failed"), ("service", "skipped")]);
    world.advance(10_000);
    world.succeed("conf");
    world.begin("service");
    verify_conf(&mut world);
    world.fail("conf", "no again");
    world.succeed("service");
    world.expect([("conf", "failed"), ("service", "skipped")]);
    world.forget_grants();
    world.advance(20_000);
    world.succeed("conf");
    world.expect_granted(["conf", "service (reload for conf)"]);
}

#[test]
fn d13_what_was_changed_while_it_was_removed_leaves_the_debt_when_it_is_wanted_again() {
    let mut world = service();
    world.change("conf");
    world.begin("conf");
    let wanted = world.intent_of("conf");
    world.remove(["conf"]);
    world.succeed_changed("conf");
    world.forget_grants();
    world.push_with("", |push| push.upserts.push(wanted));
    world.succeed("conf");
    world.expect_granted(["conf", "service (reload for conf)"]);
}

/// Found by the simulator (seed 589 of 21 November 2026): the report's success armed the next verification, as if nothing were owed.
#[test]
fn d12_a_report_of_what_was_skipped_pays_no_debt_and_forgets_none() {
    let mut world = service();
    world.repair_every(3_600_000, RepairAction::Correct);
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["conf".into()]) });
    world.fail("conf", "no");
    world.expect([("conf", "failed"), ("service", "skipped")]);
    world.request(RequestKind::Report, Scope { target: None, names: Some(vec!["service".into()]) });
    world.succeed("service");
    world.expect([("service", "skipped")]);
    world.forget_grants();
    world.advance(10_000);
    world.succeed("conf");
    world.expect_granted(["conf", "service (reload for conf)"]);
}

#[test]
fn d3_an_observed_sender_that_turns_out_to_differ_notifies() {
    let mut world = World::deployed(["t1", "t2"], "conf observe send; service@t2 observe <- conf");
    world.forget_grants();
    world.request(RequestKind::Repair, Scope { target: Some("t1".into()), names: None });
    world.succeed_changed("conf");
    world.expect_granted(["observe conf", "observe service (reload for conf)"]);
}

#[test]
fn d3_a_sender_that_keeps_failing_is_told_of_once() {
    let mut world = World::deployed(["t1", "t2"], "conf send; service@t2 observe <- conf");
    world.request(RequestKind::Repair, Scope { target: Some("t1".into()), names: None });
    world.forget_grants();
    world.fail("conf", "no");
    world.expect_granted(["observe service (reload for conf)"]);
    world.succeed("service");
    world.advance(10_000);
    world.fail("conf", "no");
    world.expect_granted(["conf"]);
}

#[test]
fn d4_also_where_it_ran_because_what_it_was_skipped_for_has_recovered() {
    let mut world = service();
    let verify_conf = |world: &mut World| {
        world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["conf".into()]) });
    };
    world.change("service");
    verify_conf(&mut world);
    world.fail("conf", "no");
    world.expect([("service", "skipped")]);
    world.advance(10_000);
    world.succeed("conf");
    world.begin("service");
    verify_conf(&mut world);
    world.succeed_changed("conf");
    world.forget_grants();
    world.fail("service", "no");
    world.expect_granted(["service (reload for conf)"]);
}

#[test]
fn d13_a_report_leaves_what_may_have_changed_to_the_next_attempt() {
    let mut world = service();
    world.repair();
    world.begin("conf");
    world.lose_attempt("conf");
    world.request(RequestKind::Report, Scope { target: None, names: Some(vec!["conf".into()]) });
    world.succeed("conf");
    world.run_all();
    world.forget_grants();
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["conf".into()]) });
    world.succeed("conf");
    world.expect_granted(["conf", "service (reload for conf)"]);
}

#[test]
fn d13_what_may_have_changed_moves_with_the_thing_to_its_new_name() {
    let mut world = World::deployed(["t1", "t2"], "conf#file send; service@t2");
    world.push("conf=2#file send");
    world.begin("conf");
    world.lose_attempt("conf");
    // Its delete is granted, and taken back for who takes it over.
    world.remove(["conf"]);
    world.push("settings=2#file send");
    world.requires("service", ["settings"]);
    world.forget_grants();
    world.succeed("settings");
    world.expect_granted(["service (reload for settings)"]);
}

#[test]
fn d12_a_debt_moves_with_the_thing_to_its_new_name() {
    let mut world = World::deployed(["t1", "t2"], "conf send; service@t2#daemon <- conf");
    world.change("conf");
    world.succeed_changed("conf");
    world.remove(["service"]);
    world.forget_grants();
    world.push("server@t2#daemon <- conf");
    world.expect_granted(["server (reload for conf)"]);
}
