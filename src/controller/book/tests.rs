//! Edits, refusals, removals and absences, without a cluster.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Batch, Book};
use crate::api::ResourceStatus;
use crate::controller::resource_status::{Acceptance, Refusal};
use crate::controller::seen::{FINALIZER, Meta, Seen, SeenResource};
use crate::controller::settle::Rest;
use crate::core::{self, Intent, IntentParts, RefusalKind, Timestamp};
use std::sync::Arc;

const REST: Rest = Rest { quiet_ms: 1_000, at_most_ms: 10_000 };

fn intent(name: &str, requires: &[&str]) -> Arc<Intent> {
    Arc::new(Intent::new(IntentParts {
        name: name.into(),
        kind: "test.Thing".into(),
        target: "t1".into(),
        identity: format!("[\"{name}\"]").into(),
        attributes: "{}".into(),
        requires: requires.iter().map(|name| (*name).into()).collect(),
        ..IntentParts::default()
    }))
}

fn object(name: &str, generation: i64) -> SeenResource {
    let meta = Meta {
        namespace: "infra".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        generation,
        resource_version: generation.to_string(),
        finalizers: vec![FINALIZER.to_owned()],
        author: Some("kubectl".to_owned()),
        ..Meta::default()
    };
    Seen { meta, parsed: Ok(intent(name, &[])), status: ResourceStatus::default() }
}

fn deleting(mut object: SeenResource) -> SeenResource {
    object.meta.deleting = true;
    object
}

impl Book {
    fn saw_at(&mut self, object: SeenResource, now: i64) -> bool {
        let name = object.meta.name.clone();
        self.see(&name, Some(Arc::new(object)), Timestamp(now))
    }

    fn take_at(&mut self, now: i64) -> Option<Batch> {
        self.take(REST, Timestamp(now))
    }
}

fn names(batch: &Batch) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let upserts = batch.upserts.iter().map(|(name, ..)| name.as_str()).collect();
    let removals = batch.removals.iter().map(|(name, _)| name.as_str()).collect();
    (upserts, removals, batch.orphans.iter().map(String::as_str).collect())
}

#[test]
fn edits_settle_into_one_batch() {
    let mut book = Book::default();
    assert!(book.saw_at(object("a", 1), 0));
    assert!(book.saw_at(object("b", 1), 900));
    assert!(book.take_at(1_500).is_none());
    let batch = book.take_at(1_900).unwrap();
    assert_eq!(names(&batch), (vec!["a", "b"], vec![], vec![]));
    assert_eq!(&*batch.push().author, "kubectl");
    book.settled(&batch, &[]);
    assert!(book.is_settled());
    assert_eq!(book.get("a").unwrap().settled, Some(1));
    assert!(!book.saw_at(object("a", 1), 3_000), "only its status changed: nothing to do");
    assert!(book.take_at(9_000).is_none());
}

#[test]
fn an_edit_during_its_push_is_not_settled_by_it() {
    let mut book = Book::default();
    book.saw_at(object("a", 1), 0);
    let batch = book.take_at(1_000).unwrap();
    book.saw_at(object("a", 2), 1_100);
    book.settled(&batch, &[]);
    let entry = book.get("a").unwrap();
    assert_eq!((entry.settled, &entry.acceptance), (Some(1), &Acceptance::Pending));
    let batch = book.take_at(2_100).unwrap();
    book.settled(&batch, &[]);
    assert_eq!(book.get("a").unwrap().settled, Some(2));
}

#[test]
fn s6_what_was_refused_is_tried_again_with_the_next_edit() {
    let mut book = Book::default();
    book.saw_at(object("a", 1), 0);
    let batch = book.take_at(1_000).unwrap();
    let cycle = RefusalKind::Cycle(["a", "b", "a"].map(Into::into).into());
    book.settled(&batch, &[core::Refusal { name: "a".into(), kind: cycle.clone() }]);
    let entry = book.get("a").unwrap();
    assert_eq!((entry.settled, &entry.acceptance), (Some(1), &Acceptance::Refused(Refusal::Environment(cycle))));
    assert!(book.take_at(60_000).is_none(), "nothing changed that could mend it");
    book.saw_at(object("b", 2), 70_000);
    assert_eq!(names(&book.take_at(71_000).unwrap()).0, ["a", "b"]);
}

#[test]
fn a_bad_spec_is_refused_alone_and_keeps_what_was_accepted() {
    let mut book = Book::default();
    book.saw_at(object("a", 1), 0);
    book.saw_at(SeenResource { parsed: Err("spec.type: unknown type".to_owned()), ..object("b", 1) }, 0);
    let batch = book.take_at(1_000).unwrap();
    assert_eq!(names(&batch), (vec!["a"], vec![], vec![]));
    let entry = book.get("b").unwrap();
    assert_eq!(
        (entry.settled, &entry.acceptance),
        (Some(1), &Acceptance::Refused(Refusal::Invalid("spec.type: unknown type".to_owned())))
    );
}

#[test]
fn only_a_deletion_timestamp_removes() {
    let mut book = Book::default();
    book.saw_at(object("a", 1), 0);
    let batch = book.take_at(1_000).unwrap();
    book.settled(&batch, &[]);
    book.saw_at(deleting(object("a", 2)), 2_000);
    let batch = book.take_at(3_000).unwrap();
    assert_eq!(names(&batch), (vec![], vec!["a"], vec![]));
    assert!(book.leaving().is_empty(), "not before its removal is in history");
    book.settled(&batch, &[]);
    assert_eq!(book.leaving(), ["a"]);
    book.get_mut("a").unwrap().released = true;
    book.see("a", None, Timestamp(4_000));
    assert!(book.take_at(9_000).is_none(), "it ended as it should");
}

#[test]
fn absence_is_an_orphan_and_never_a_removal() {
    let mut book = Book::default();
    book.saw_at(object("a", 1), 0);
    let batch = book.take_at(1_000).unwrap();
    book.settled(&batch, &[]);
    book.see("a", None, Timestamp(2_000));
    book.recall("from-an-earlier-life", Timestamp(2_000));
    let batch = book.take_at(3_000).unwrap();
    assert_eq!(names(&batch), (vec![], vec![], vec!["a", "from-an-earlier-life"]));
    assert!(batch.push().removals.is_empty() && !batch.push().prune);
    assert_eq!(batch.forget().unwrap().names, ["a".into(), "from-an-earlier-life".into()]);
}

#[test]
fn an_object_that_comes_back_in_time_is_no_orphan() {
    let mut book = Book::default();
    book.recall("a", Timestamp(0));
    book.saw_at(object("a", 1), 500);
    assert_eq!(names(&book.take_at(1_500).unwrap()), (vec!["a"], vec![], vec![]));
}

#[test]
fn a_removal_that_was_given_up_is_an_orphan_too() {
    let mut book = Book::default();
    let mut given_up = deleting(object("a", 1));
    given_up.meta.force_orphan = true;
    book.saw_at(given_up, 0);
    assert_eq!(names(&book.take_at(1_000).unwrap()), (vec![], vec!["a"], vec!["a"]));
}

#[test]
fn what_could_not_be_pushed_waits_again() {
    let mut book = Book::default();
    book.saw_at(object("a", 1), 0);
    book.recall("b", Timestamp(0));
    let batch = book.take_at(1_000).unwrap();
    book.give_back(batch, Timestamp(1_000));
    assert!(!book.is_settled());
    assert_eq!(names(&book.take_at(2_000).unwrap()), (vec!["a"], vec![], vec!["b"]));
}
