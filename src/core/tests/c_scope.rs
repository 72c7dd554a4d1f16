//! C: what a user's deploy or repair covers. Two resources on each of three targets; those of the third are only observed.

use super::world::World;
use crate::core::{Hash, Name, Refusal, RefusalKind, RequestKind, Scope, limits};

/// good a1, failed a2; good b1, failed b2; observed and different o1, observed and failed o2.
fn six() -> World {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push("a1@t1; a2@t1; b1@t2; b2@t2; o1@t3 observe; o2@t3 observe");
    for name in ["a1", "b1"] {
        world.succeed(name);
    }
    for name in ["a2", "b2", "o2"] {
        world.fail(name, "no");
    }
    world.succeed_changed("o1");
    world.expect([
        ("a1", "good"),
        ("a2", "failed"),
        ("b1", "good"),
        ("b2", "failed"),
        ("o1", "drifted"),
        ("o2", "failed"),
    ]);
    world.forget_grants();
    world
}

fn on(target: &str) -> Scope {
    Scope { target: Some(target.into()), names: None }
}

fn of<const N: usize>(names: [&str; N]) -> Scope {
    Scope { target: None, names: Some(names.map(Name::from).into()) }
}

#[test]
fn c1_a_deploy_runs_what_is_bad_but_not_an_observed_difference() {
    let mut world = six();
    world.deploy();
    world.expect_granted(["a2", "b2", "observe o2"]);
}

#[test]
fn c2_a_repair_runs_everything() {
    let mut world = six();
    world.repair();
    world.expect_granted(["a1", "a2", "b1", "b2", "observe o1", "observe o2"]);
}

#[test]
fn c3_of_one_target_only_what_is_on_it() {
    let mut world = six();
    world.request(RequestKind::Deploy, on("t1"));
    world.expect_granted(["a2"]);
    world.request(RequestKind::Repair, on("t2"));
    world.expect_granted(["b1", "b2"]);
}

#[test]
fn c4_a_deploy_of_a_list_runs_the_bad_ones_of_it() {
    let mut world = six();
    world.request(RequestKind::Deploy, of(["a1", "b2", "o1", "nobody"]));
    world.expect_granted(["b2"]);
}

#[test]
fn c5_a_repair_of_a_list_runs_all_of_it() {
    let mut world = six();
    world.request(RequestKind::Repair, of(["a1", "b2", "nobody"]));
    world.expect_granted(["a1", "b2"]);
}

#[test]
fn c6_a_target_and_a_list_mean_what_is_in_both() {
    let mut world = six();
    world.request(RequestKind::Repair, Scope { target: Some("t2".into()), ..of(["a1", "b1", "o1"]) });
    world.expect_granted(["b1"]);
}

#[test]
fn c7_a_repair_leaves_out_the_undefined_and_what_it_blocks() {
    let mut world = six();
    world.push("u <- nobody; v <- u");
    world.repair();
    world.expect([("u", "undefined"), ("v", "undefined")]);
    world.run_all();
    assert_eq!(world.history.open_requests().count(), 0);
    assert!(world.attempts("u").is_empty() && world.attempts("v").is_empty());
}

#[test]
fn c8_a_repair_includes_what_was_skipped_for_a_dependency_and_a_deploy_does_not() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a");
    world.fail("a", "no");
    world.expect([("a", "failed"), ("b", "skipped")]);
    world.deploy();
    world.fail("a", "no");
    assert_eq!(world.attempts("b"), ["skipped"]);
    world.repair();
    world.expect([("a", "granted"), ("b", "queued")]);
    world.fail("a", "no");
    assert_eq!(world.attempts("b"), ["skipped", "skipped"]);
    assert_eq!(world.history.open_requests().count(), 0);
}

/// Each remembers what it covers, and is looked at whenever something has been dealt with.
#[test]
fn c_requests_that_are_not_dealt_with_do_not_gather_without_end() {
    let mut world = World::new(["t1"]);
    let names: Vec<String> = (0..=limits::OPEN_REQUESTS).map(|number| format!("r{number}")).collect();
    world.push(&names.join("; "));
    let repair = |world: &mut World, name: &str| {
        world.request(RequestKind::Repair, Scope { target: None, names: Some(vec![name.into()]) });
    };
    for name in &names[1..] {
        repair(&mut world, name);
        assert_eq!(world.refused, []);
    }
    repair(&mut world, "r0");
    let too_many = RefusalKind::TooManyRequests(limits::OPEN_REQUESTS);
    assert_eq!(world.refused, [Refusal { name: "".into(), kind: too_many }]);
    world.run_all();
    world.refused.clear();
    repair(&mut world, "r0");
    assert_eq!(world.refused, []);
}

#[test]
fn c_cancels_that_are_not_taken_in_do_not_gather_without_end_and_are_not_refused_for_other_requests() {
    let mut world = World::new(["t1"]).unchecked();
    let names: Vec<String> = (0..limits::OPEN_REQUESTS).map(|number| format!("r{number}")).collect();
    world.push(&names.join("; "));
    for name in &names {
        world.request(RequestKind::Repair, Scope { target: None, names: Some(vec![name.as_str().into()]) });
    }
    world.set_share(1, true);
    for _ in 0..limits::OPEN_REQUESTS {
        world.request(RequestKind::Cancel, Scope::default());
        assert_eq!(world.refused, []);
    }
    for _ in 0..limits::OPEN_REQUESTS {
        world.request(RequestKind::Cancel, Scope::default());
    }
    let too_many = RefusalKind::TooManyRequests(limits::OPEN_REQUESTS);
    assert_eq!(world.refused, [Refusal { name: "".into(), kind: too_many }]);
    world.settle();
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn c_who_asks_for_the_same_again_and_again_is_not_refused_one_day() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.begin("a");
    for _ in 0..2 * limits::OPEN_REQUESTS {
        world.deploy();
        assert_eq!(world.refused, []);
    }
    assert_eq!(world.history.open_requests().count(), limits::OPEN_REQUESTS);
    assert!(world.history.open_requests().any(|request| request == world.state.last_request()), "the newest goes on");
    world.run_all();
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn c_a_release_by_its_digest_is_bounded_like_all_and_a_stale_one_makes_no_room() {
    let mut world = World::deployed(["t1"], "a");
    world.manual();
    world.push("a=2; b");
    let shown = world.state.release_digest(&Scope::default());
    world.change_target("t1", |target| target.suspend = true);
    for _ in 0..limits::OPEN_REQUESTS {
        world.request(RequestKind::Repair, Scope::default());
    }
    let open = world.history.open_requests().count();
    world.release(Scope::default(), Some(Hash::default()));
    assert_eq!(world.refused.pop().map(|refusal| refusal.kind), Some(RefusalKind::StalePlan));
    assert_eq!(world.history.open_requests().count(), open);
    world.release(Scope::default(), shown);
    assert_eq!((world.history.open_requests().count(), world.state.counts().unreleased), (limits::OPEN_REQUESTS, 0));
}

#[test]
fn c5_a_repair_waits_for_what_comes_to_take_a_fact_of_what_its_name_was_before() {
    let mut world = World::new(["t1", "t2"]);
    world.push("thing@t1#one; keeper@t2 <- thing; base@t2; it@t2 <- base");
    world.learn("thing", "size=5");
    world.fail("base", "no");
    world.run_all();
    world.suspend(true);
    // What is made first is never made: what stands under its name is the one before it, as long as something requires that.
    world.push("thing@t1#two create-first");
    world.repair();
    world.push_with("it@t2 takes:thing.size <- thing", |push| {
        push.removals = ["base", "thing"].map(Into::into).into();
    });
    world.expect([("it", "queued")]);
    assert_eq!(world.history.open_requests().count(), 1);
}
