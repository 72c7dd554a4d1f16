//! J: secrets that fill attributes, of which nothing is known but a digest.

use super::world::World;
use crate::core::{Compliance, Facts, Finding, Hash, Name, OutcomeKind, Reason, RequestKind, Scope};

fn repair(world: &mut World, kind: RequestKind) {
    world.forget_grants();
    let names: Vec<Name> = vec!["a".into()];
    world.request(kind, Scope { target: None, names: Some(names) });
}

/// What the attempt in an executor's hands was told of the secrets that are deployed.
fn told(world: &World) -> Option<u8> {
    world.held[&world.attempt("a")].grant.secret_digest.map(|Hash(bytes)| bytes[0])
}

fn deployed() -> World {
    let mut world = World::new(["t1"]);
    world.push("a secret:TOKEN; b <- a");
    assert_eq!(told(&world), None);
    world.find_secrets("a", 1);
    world.run_all();
    world.expect([("a", "good"), ("b", "good")]);
    world.forget_grants();
    world
}

#[test]
fn j_the_first_digest_completes_the_intent_and_changes_nothing() {
    let mut world = deployed();
    world.restart();
    world.expect_granted([]);
    world.expect([("a", "good")]);
    repair(&mut world, RequestKind::Repair);
    assert_eq!(told(&world), Some(1));
    world.find_secrets("a", 1);
    world.expect([("a", "good")]);
    world.expect_granted(["a"]);
    assert_eq!(world.attempts("a"), ["succeeded", "succeeded"]);
}

#[test]
fn j_an_attempt_that_finds_other_secrets_means_an_update_which_is_deployed_as_a_change() {
    for kind in [RequestKind::Repair, RequestKind::Report, RequestKind::FactRefresh] {
        let mut world = deployed();
        repair(&mut world, kind);
        world.find_secrets("a", 2);
        world.expect_compliance("a", Compliance::HasUpdate);
        assert_eq!((world.last_reason("a"), told(&world)), (Reason::Change, None), "{kind:?}");
        world.restart();
        world.expect_compliance("a", Compliance::HasUpdate);
        world.find_secrets("a", 2);
        world.expect([("a", "good")]);
        assert_eq!(world.history.open_requests().count(), 0);
        repair(&mut world, RequestKind::Repair);
        assert_eq!(told(&world), Some(2));
        world.find_secrets("a", 2);
        world.expect([("a", "good")]);
    }
}

#[test]
fn j_a_rotation_is_another_intent_which_goes_on_although_it_was_cancelled() {
    let mut world = deployed();
    world.keep_answers();
    repair(&mut world, RequestKind::Repair);
    world.forget_grants();
    world.request(RequestKind::Cancel, Scope::default());
    world.find_secrets("a", 2);
    world.expect_granted(["a"]);
    assert_eq!(world.last_reason("a"), Reason::Change);
}

#[test]
fn j_a_rotation_is_another_intent_whose_retries_start_over() {
    let mut world = deployed();
    repair(&mut world, RequestKind::Repair);
    world.fail("a", "no");
    assert_eq!(world.row_of("a").failures, 1);
    repair(&mut world, RequestKind::Repair);
    assert_eq!(told(&world), Some(1));
    world.find_secrets("a", 2);
    assert_eq!(world.row_of("a").failures, 0);
}

#[test]
fn j_a_rotation_is_another_intent_that_was_skipped_for_nothing() {
    let mut world = World::new(["t1", "t2"]);
    world.push("r@t2; a@t1 secret:TOKEN <- r");
    world.succeed("r");
    world.find_secrets("a", 1);
    world.repair();
    world.fail("r", "no");
    world.expect([("a", "skipped")]);
    repair(&mut world, RequestKind::Report);
    assert_eq!(told(&world), Some(1));
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["r".into()]) });
    world.succeed("r");
    assert!(world.row_of("a").skipped, "it was looked at, and nothing else");
    world.find_secrets("a", 2);
    assert!(!world.row_of("a").skipped);
    assert_eq!(world.last_reason("a"), Reason::Change);
}

#[test]
fn j_a_rotation_that_is_taken_back_before_it_is_deployed_needs_one_more_look() {
    let mut world = deployed();
    repair(&mut world, RequestKind::Repair);
    world.find_secrets("a", 2);
    world.find_secrets("a", 1);
    world.expect([("a", "good")]);
}

#[test]
fn j_a_change_takes_the_secrets_as_they_are() {
    let mut world = deployed();
    world.push("a=2 secret:TOKEN");
    assert_eq!(told(&world), None);
    world.find_secrets("a", 3);
    world.expect([("a", "good")]);
    // Others have no digest yet; the same again keep theirs.
    world.push("a=2 secret:OTHER");
    assert_eq!((told(&world), world.row_of("a").secret_digest), (None, None));
    world.find_secrets("a", 4);
    world.expect([("a", "good")]);
    world.push("a=2");
    world.succeed("a");
    assert_eq!(world.row_of("a").secret_digest, None);
    world.expect([("a", "good")]);
}

#[test]
fn j_a_digest_is_in_the_row_and_in_no_outcome() {
    let world = deployed();
    let digests = world.history.outcomes.values().map(|(_, outcome)| match &outcome.kind {
        OutcomeKind::Succeeded(finding) => finding.secret_digest,
        _ => None,
    });
    assert!(digests.into_iter().all(|digest| digest.is_none()));
    assert_eq!(world.row_of("a").secret_digest, Some(Hash([1; 16])));
}

#[test]
fn j_what_is_found_completes_the_intent_also_where_that_was_another_one_in_between() {
    let mut world = deployed();
    world.keep_answers();
    repair(&mut world, RequestKind::FactRefresh);
    world.push("a");
    world.push("a secret:TOKEN");
    assert_eq!(world.row_of("a").secret_digest, None);
    world.find_secrets("a", 1);
    assert_eq!((world.row_of("a").secret_digest, world.history.open_requests().count()), (Some(Hash([1; 16])), 0));
    assert!(world.view("a").good);
}

#[test]
fn j_a_stale_look_that_found_other_secrets_forgets_no_facts() {
    let found = |digest, facts| {
        let secret_digest = Some(Hash([digest; 16]));
        OutcomeKind::Succeeded(Finding { facts, secret_digest, ..Finding::same() })
    };
    let mut world = World::new(["t1"]);
    world.push("a secret:TOKEN");
    world.finish("a", found(1, Facts::new([("size", "5")])));
    repair(&mut world, RequestKind::FactRefresh);
    world.begin("a");
    world.push("a");
    // It was to verify the secrets that are deployed, and so it has read nothing.
    world.finish("a", found(2, Facts::default()));
    assert_eq!(world.row_of("a").facts.get("size"), Some("5"));
}

#[test]
fn j_a_rotation_waits_for_what_holds_changes_and_its_failure_is_retried() {
    let mut world = deployed();
    repair(&mut world, RequestKind::Repair);
    world.begin("a");
    world.suspend(true);
    world.find_secrets("a", 2);
    world.expect([("a", "queued")]);
    world.suspend(false);
    world.fail("a", "no");
    world.expect([("a", "failed")]);
    world.deploy();
    world.find_secrets("a", 2);
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn j_an_unreleased_edit_of_the_policy_is_no_update_of_what_takes_secrets() {
    let mut world = deployed();
    world.change_settings(|settings| settings.on_change = crate::core::OnChange::Manual);
    world.push("a secret:TOKEN send");
    world.expect_compliance("a", Compliance::Compliant);
    world.push("a=2 secret:TOKEN");
    world.expect_compliance("a", Compliance::HasUpdate);
}

/// In which attributes the attempt in an executor's hands may come across secrets that its intent does not take.
fn hidden(world: &World) -> Vec<Name> {
    world.held[&world.attempt("a")].grant.once_secret.iter().cloned().collect()
}

fn dry_run_hides(world: &mut World, intent: &str) -> Vec<Name> {
    world.dry_run(intent);
    let attempt = world.attempt("a");
    let hidden = world.held[&attempt].grant.once_secret.iter().cloned().collect();
    world.succeed("a");
    hidden
}

#[test]
fn j_what_was_secret_is_hidden_until_the_thing_is_something_else() {
    let mut world = deployed();
    assert_eq!(dry_run_hides(&mut world, "a=2"), ["/TOKEN".into()]);
    world.push("a=0 secret:TOKEN");
    assert_eq!(hidden(&world), [] as [Name; 0], "what it fills from a secret is hidden anyway");
    world.find_secrets("a", 1);
    // It says nothing of that attribute: what is there stays there.
    world.push("a=2");
    assert_eq!(hidden(&world), ["/TOKEN".into()]);
    world.fail("a", "no");
    world.restart();
    world.deploy();
    assert_eq!(hidden(&world), ["/TOKEN".into()]);
    world.succeed("a");
    world.push("a=3");
    assert_eq!(hidden(&world), ["/TOKEN".into()]);
    world.succeed("a");
    // A difference that is only looked at leaves it; a deployed attribute is what it was made.
    world.push(r#"a={"TOKEN":"public"} observe"#);
    world.succeed_changed("a");
    world.push(r#"a={"TOKEN":"public"}"#);
    assert_eq!(hidden(&world), ["/TOKEN".into()]);
    world.succeed("a");
    world.push("a=4");
    assert_eq!(hidden(&world), [] as [Name; 0]);
    world.succeed("a");
    assert_eq!(dry_run_hides(&mut world, "a=5"), [] as [Name; 0]);
}

#[test]
fn j_what_was_secret_is_hidden_under_another_name_too() {
    for begun in [false, true] {
        let mut world = World::new(["t1"]);
        world.push("a secret:TOKEN");
        world.find_secrets("a", 1);
        world.dry_run("other#a");
        assert!(world.held[&world.attempt("other")].grant.once_secret.contains("/TOKEN"));
        world.succeed("other");
        world.forget_grants();
        // A delete that is granted and given back leaves the thing to its new name; one that waits does so at once.
        world.target("t1");
        world.suspend(!begun);
        world.remove(["a"]);
        world.push("other#a");
        world.suspend(false);
        world.answer_revokes();
        let attempt = world.attempt("other");
        assert!(world.held[&attempt].grant.once_secret.contains("/TOKEN"), "{begun}");
        world.succeed("other");
        world.expect([("other", "good")]);
    }
}

#[test]
fn j_of_too_many_secret_attributes_is_remembered_that_there_were_some() {
    let mut world = deployed();
    for number in 0..20 {
        world.push(&format!("a secret:N{number}"));
        world.fail("a", "no");
    }
    world.push("a=6");
    assert_eq!(hidden(&world), ["".into()], "nothing of it is shown");
    world.succeed("a");
    world.push("a=7");
    assert_eq!(hidden(&world), ["".into()]);
}
