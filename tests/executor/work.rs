//! Order, concurrency, revocation, deadlines, panics, throughput.

use crate::harness::{Owner, Work};
use homeostat::core::{Change, Event, OutcomeKind};
use homeostat::executor::Times;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn with_concurrency_1_begins_do_not_overlap_and_keep_their_order() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    owner.grant("e1", (1..=40).map(|n| owner.thing(n, json!({"key": format!("k{n}"), "delayMs": n % 3}))));
    for attempt in 1..=40 {
        owner.success(attempt).await;
    }
    let expected: Vec<String> =
        (1..=40).flat_map(|n| [format!("apply k{n} begin"), format!("apply k{n} end")]).collect();
    assert_eq!(owner.journal(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_concurrency_3_three_run_and_the_fourth_waits() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let hangs = |n: u64| Work {
        concurrency: 3,
        ..owner.thing(n, json!({"key": format!("k{n}"), "script": [{"result": "hang"}]}))
    };
    owner.grant("e1", (1..=4).map(hangs));
    for attempt in 1..=3 {
        owner.begun(attempt).await;
    }
    owner.revoke("e1", 4);
    assert_eq!(owner.outcome(4).await.kind, OutcomeKind::Revoked, "it has not begun beside the three");
    assert!(!owner.has_begun(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_cannot_be_revoked() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let hang = owner.thing(1, json!({"key": "a", "script": [{"result": "hang"}]}));
    owner.grant("e1", [Work { deadline_ms: 2_000, ..hang }, owner.thing(2, json!({"key": "b"}))]);
    owner.begun(1).await;
    owner.revoke("e1", 1);
    owner.revoke("e1", 2);
    let refused = |event: &Event| match event {
        Event::RevokeRefused(_, attempts) => Some(attempts.clone()),
        _ => None,
    };
    assert_eq!(owner.event("refusal", refused).await.len(), 1);
    let revoked = owner.outcome(2).await;
    assert_eq!((revoked.kind, revoked.began_at), (OutcomeKind::Revoked, None));
    assert!(owner.failure(1).await.contains("the deadline of 2 s passed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_fails_at_its_deadline_or_by_a_panic_and_the_next_one_runs() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let hang = owner.thing(1, json!({"key": "a", "value": "v", "script": [{"result": "hang"}]}));
    let panic = owner.thing(2, json!({"key": "b", "script": [{"result": "panic", "message": "out of cheese"}]}));
    owner.grant("e1", [Work { deadline_ms: 300, ..hang }, panic, owner.thing(3, json!({"key": "c"}))]);
    let outcome = owner.outcome(1).await;
    let OutcomeKind::Failed { message, finding: Some(finding) } = outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(
        &*message,
        "cancelled while changing the target: the deadline of 0.3 s passed; raise policy.deadline if it needs longer (the target may have been changed)"
    );
    assert_eq!((finding.change, &*finding.diff), (Change::Create, "value: \"v\"\n"));
    assert!(
        outcome.began_at.unwrap().ms_since(outcome.finished_at) == 0
            && outcome.finished_at.ms_since(outcome.began_at.unwrap()) >= 300
    );
    assert!(owner.failure(2).await.starts_with("the adaptor panicked: out of cheese"));
    owner.success(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_executor_cannot_run_is_a_failed_attempt() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let lower = Work { epoch: 0, ..owner.thing(3, json!({"key": "a"})) };
    let unknown = Work::new(1, "host.Fiel", json!({}));
    let other_target = Work { connection: json!({"type": "ssh"}), ..Work::new(2, "host.File", json!({"path": "/x"})) };
    owner.grant("e1", [unknown, other_target, lower]);
    assert!(
        owner
            .failure(1)
            .await
            .starts_with("this executor has no adaptor for the type host.Fiel; it knows host.Command")
    );
    assert!(owner.failure(2).await.contains("knows only \"local\""));
    let outcome = owner.outcome(3).await;
    assert_eq!(outcome.began_at, None);
    assert!(format!("{:?}", outcome.kind).contains("granted in epoch 0, it has seen epoch 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_attempts_go_through_in_batches() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let (all, credits) = (50_000_u64, 2_000);
    let work = |n: u64| Work { concurrency: 4, ..Work::new(n, "test.Nothing", json!({})) };
    owner.grant("e1", (1..=credits).map(work));
    let (mut granted, mut finished) = (credits, 0);
    while finished < all {
        for attempt in owner.finished().await {
            finished += 1;
            owner.acknowledge("e1", attempt);
        }
        let more = granted + 1..=all.min(finished + credits);
        granted = *more.end();
        owner.grant("e1", more.map(work));
    }
}
