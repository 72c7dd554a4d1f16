//! Places, and the bounds that hostile documents run into.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::super::read;
use super::*;
use crate::api::FieldPath;
use crate::api::field::Part;
use proptest::prelude::*;
use serde_json::{Value, json};

fn values(text: &str) -> Vec<Value> {
    let read = read(text);
    assert_eq!(read.errors, [], "{text}");
    read.documents.iter().map(Node::value).collect()
}

fn errors(text: &str) -> Vec<String> {
    read(text)
        .errors
        .into_iter()
        .map(|(place, message)| format!("{}:{}: {message}", place.line, place.column))
        .collect()
}

#[test]
fn documents_are_read_as_json_would_be() {
    let text = "# nothing\n---\na: 1\nb: [x, {k: \"yes\"}]\nc: |\n  two\n  lines\n1: one\n---\n---\n{\"json\": [true, null, \"\\u00e9\"]}\n...\n";
    let expected = [
        json!({"a": 1, "b": ["x", {"k": "yes"}], "c": "two\nlines\n", "1": "one"}),
        json!({"json": [true, null, "é"]}),
    ];
    assert_eq!(values(text), expected);
    assert_eq!(values(""), [json!(null); 0]);
    assert_eq!(values("\u{feff}a: b\r\nc: d\r\n"), [json!({"a": "b", "c": "d"})]);
    assert_eq!(values("a: !!str 5\nb: !!int 5\n"), [json!({"a": "5", "b": 5})]);
}

#[test]
fn every_node_knows_its_place() {
    let text = "metadata:\n  name: x\nspec:\n  requires:\n    - a\n    - b\n  attributes: {path: /x, mode: 5}\n";
    let root = read(text).documents.remove(0);
    let at = |path: FieldPath, part| {
        let place = root.locate(path.segments(), part);
        (place.line, place.column)
    };
    assert_eq!(at(FieldPath::of(&["metadata", "name"]), Part::Value), (2, 9));
    assert_eq!(at(FieldPath::of(&["metadata", "name"]), Part::Key), (2, 3));
    assert_eq!(at(FieldPath::of(&["spec", "requires"]).index(1), Part::Value), (6, 7));
    assert_eq!(at(FieldPath::of(&["spec", "attributes", "mode"]), Part::Value), (7, 32));
    assert_eq!(
        at(FieldPath::of(&["spec", "type"]), Part::Value),
        (3, 1),
        "what is missing is at the key that lacks it"
    );
    assert_eq!(at(FieldPath::of(&["status"]), Part::Value), (1, 1));
}

#[test]
fn aliases_stand_for_copies() {
    assert_eq!(
        values("a: &x [1, 2]\nb: *x\nc: &y {k: v}\nd: [*y, *x]\n"),
        [json!({"a": [1, 2], "b": [1, 2], "c": {"k": "v"}, "d": [{"k": "v"}, [1, 2]]})]
    );
}

#[test]
fn errors_have_places_and_other_documents_go_on() {
    let table = [
        (
            "a: yes\n",
            "1:4: `yes` is a boolean to some YAML readers and text to others; write true or false, or \"yes\" in quotes",
        ),
        (
            "a:\n  mode: 0644\n",
            "2:9: `0644` is read differently by different YAML readers; write \"0644\" in quotes if it is text",
        ),
        ("a: 1\nb: 2\na: 3\n", "3:1: the key \"a\" stands here twice"),
        ("a: !custom 1\n", "1:12: the tag !custom is not supported; leave it out"),
        ("true: 1\n", "1:1: a key must be text; write \"true\" in quotes"),
        ("? [a]\n: b\n", "1:3: a key must be text, not a list or an object"),
        ("a: &x [*x]\n", "1:8: an alias stands inside what it stands for"),
        ("<<: 1\n", "1:1: `<<` has a special meaning to some YAML readers; write it in quotes"),
    ];
    for (text, expected) in table {
        assert_eq!(errors(text), [expected], "{text}");
        let together = read(&format!("ok: 1\n---\n{text}---\nok: 2\n"));
        assert_eq!(together.documents.len(), 2, "{text}");
    }
    assert_eq!(errors("a: [1\n---\nb: yes\n").len(), 2);
    assert!(errors("\ta: 1\n").iter().all(|error| error.starts_with("1:")));
}

#[test]
fn hostile_documents_are_refused_at_the_place_where_it_shows() {
    let laughs = (1..=9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, i| {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        format!("{text}a{i}: &a{i} [{aliases}]\n")
    });
    let refused = errors(&laughs);
    assert!(refused[0].ends_with("aliases make the document grow beyond 200000 values"), "{refused:?}");
    let flow = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let block = (0..5_000).fold(String::new(), |text, depth| text + &"  ".repeat(depth.min(2_000)) + "a:\n");
    let climbing =
        (0..95).fold("a0: &a0 [1]\n".to_owned(), |text, i| format!("{text}a{}: &a{} [[*a{i}]]\n", i + 1, i + 1));
    for text in [flow, block, climbing] {
        let refused = errors(&text);
        assert!(refused.len() == 1 && refused[0].contains("nest"), "{refused:?}");
    }
    let long =
        format!("a:\n{}", "  - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(60_000));
    assert!(errors(&long)[0].contains("the document is longer than 3145728 bytes"));
    let many = format!("[{}]", "1,".repeat(250_000));
    assert!(errors(&many)[0].contains("more than 200000 values"), "{:?}", errors(&many));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn reading_never_panics(text in "([a-c*&!%|>?:\\-{}\\[\\],'\"#\n\t ~<=0-9.]|\\PC){0,80}") {
        let _ = read(&text);
    }

    #[test]
    fn json_is_read_as_it_was_written(value in crate::api::schema::tests::any_value()) {
        let read = read(&serde_json::to_string_pretty(&value).unwrap());
        if read.errors.is_empty() {
            let expected: Vec<Value> = (!value.is_null()).then_some(value).into_iter().collect();
            prop_assert_eq!(read.documents.iter().map(Node::value).collect::<Vec<_>>(), expected);
        }
    }
}
