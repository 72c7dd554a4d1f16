//! Hostile results, and the way of a grant over the wire.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn result() -> wire::Result {
    wire::Result {
        attempt: 7,
        began_ms_ago: Some(20),
        finished_ms_ago: 5,
        change: wire::Change::Update.into(),
        diff: "a -> b".into(),
        ..wire::Result::default()
    }
}

fn failure(result: &wire::Result) -> (Name, Option<Finding>) {
    match outcome_from_wire(result, NOW).kind {
        OutcomeKind::Failed { message, finding } => (message, finding),
        other => panic!("{other:?} is not a failure"),
    }
}

#[test]
fn facts_are_kept_as_we_write_them_and_what_is_none_is_left_out() {
    let fact = |name: &str, value: &str| wire::Fact { name: name.into(), value: value.into() };
    let facts = vec![
        fact("list", "[ 1,\n {\"b\": 2, \"a\": \"\\u0000\"} ]"),
        fact("no json", "1"),
        fact("broken", "{"),
        fact("../up", "1"),
        fact("size", "5"),
    ];
    let result = wire::Result { change: wire::Change::None.into(), facts, ..wire::Result::default() };
    let OutcomeKind::Succeeded(finding) = outcome_from_wire(&result, Timestamp(0)).kind else { unreachable!() };
    let kept: Vec<_> = finding.facts.iter().collect();
    assert_eq!(kept, [("list", "[1,{\"a\":\"\\u0000\",\"b\":2}]"), ("size", "5")]);
}

#[test]
fn a_result_becomes_an_outcome_by_the_owners_clock() {
    let outcome = outcome_from_wire(&result(), NOW);
    assert_eq!((outcome.began_at, outcome.finished_at), (Some(Timestamp(NOW.0 - 20)), Timestamp(NOW.0 - 5)));
    let finding = Finding { change: Change::Update, diff: "a -> b".into(), ..Finding::same() };
    assert_eq!(outcome.kind, OutcomeKind::Succeeded(finding.clone()));
    assert_eq!(failure(&wire::Result { error: "no room".into(), ..result() }), ("no room".into(), Some(finding)));
}

#[test]
fn ages_that_cannot_be_are_bounded() {
    let outcome =
        outcome_from_wire(&wire::Result { began_ms_ago: Some(1), finished_ms_ago: u64::MAX, ..result() }, NOW);
    assert_eq!((outcome.began_at, outcome.finished_at), (Some(Timestamp(0)), Timestamp(0)));
}

#[test]
fn success_without_a_known_change_is_a_failure() {
    for change in [0, 99, -1] {
        assert!(failure(&wire::Result { change, ..result() }).0.contains("without a change"));
    }
}

#[test]
fn identities_that_cannot_be_kept_are_refused() {
    let long = "x".repeat(limits::IDENTITY_BYTES + 1);
    assert!(failure(&wire::Result { remote_identity: long, ..result() }).0.contains("at most 4096"));
    for bad in ["a\0b", "a\u{202e}b", "a\nb"] {
        assert!(failure(&wire::Result { remote_identity: bad.into(), ..result() }).0.contains("control characters"));
    }
}

#[test]
fn text_is_cut_with_a_mark_and_escaped() {
    assert_eq!(&*bounded("a\n\tb\u{1b}[2J\0\u{202e}", 100), "a\n\tb\\u{1b}[2J\\u{0}\\u{202e}");
    // Nothing beside plain text takes the short way.
    for (odd, escaped) in
        [("a\rb", "a\\u{d}b"), ("a\u{7f}b", "a\\u{7f}b"), ("a\u{1f}b", "a\\u{1f}b"), ("a\u{85}b", "a\\u{85}b")]
    {
        assert_eq!(&*bounded(odd, 100), escaped);
    }
    let cut = bounded(&"é".repeat(100), 100);
    assert_eq!(&*cut, format!("{}… (148 bytes more)", "é".repeat(26)));
    let exact = "x".repeat(100);
    assert_eq!(&*bounded(&exact, 100), exact);
    let diff = failure(&wire::Result { diff: "\0".repeat(1_000_000), error: "e".repeat(10_000), ..result() });
    assert!(diff.0.len() <= limits::MESSAGE_BYTES && diff.1.unwrap().diff.len() <= limits::DIFF_BYTES);
}

proptest! {
    #[test]
    fn bounded_text_is_within_its_bound_and_without_control(text in any::<String>(), most in 64_usize..200) {
        let kept = bounded(&text, most);
        prop_assert!(kept.len() <= most);
        prop_assert!(kept.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
    }
}

#[test]
fn a_hello_is_checked() {
    let hello = wire::Hello {
        executor: "e1".into(),
        pool: "local".into(),
        environment: "default".into(),

        credits: u32::MAX,
        ..wire::Hello::default()
    };
    assert_eq!(Greeting::check(hello.clone()).unwrap().credits, limits::CREDITS);
    let bad = |field| Some(ProtocolError::BadName { field });
    assert_eq!(Greeting::check(wire::Hello { executor: String::new(), ..hello.clone() }).err(), bad("id"));
    assert_eq!(Greeting::check(wire::Hello { pool: "a b".into(), ..hello.clone() }).err(), bad("pool"));
    assert_eq!(Greeting::check(wire::Hello { types: vec!["host.\u{1b}".into()], ..hello.clone() }).err(), bad("type"));
    let holds = vec![1; limits::HOLDS + 1];
    assert!(matches!(
        Greeting::check(wire::Hello { holds, ..hello }),
        Err(ProtocolError::TooMany { what: "holds", .. })
    ));
}
