//! An executor that lies, driven by hand.

use crate::harness::{ENVIRONMENT, Owner, PATIENCE, Work};
use homeostat::core::{Event, OutcomeKind, limits};
use homeostat::executor::Times;
use homeostat::executor::protocol::wire;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use wire::executors_client::ExecutorsClient;

type Sender = mpsc::Sender<wire::FromExecutor>;

async fn dial(owner: &Owner, first: wire::FromExecutor) -> Result<(Sender, Streaming<wire::FromOwner>), Status> {
    let path = owner.socket.path().to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel =
        tonic::transport::Endpoint::from_static("http://owner").connect_with_connector(connector).await.unwrap();
    let (sender, receiver) = mpsc::channel(64);
    sender.send(first).await.unwrap();
    let mut client = ExecutorsClient::new(channel).max_encoding_message_size(usize::MAX);
    let answer = tokio::time::timeout(PATIENCE, client.work(ReceiverStream::new(receiver))).await.unwrap()?;
    Ok((sender, answer.into_inner()))
}

fn hello(environment: &str, highest_epoch: u64) -> wire::FromExecutor {
    let hello = wire::Hello {
        executor: "liar".into(),
        pool: "local".into(),
        environment: environment.into(),
        highest_epoch,
        credits: 10,
        ..wire::Hello::default()
    };
    wire::FromExecutor { hello: Some(hello), ..wire::FromExecutor::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_place_here_is_told_so() {
    let owner = Owner::start(Times::default());
    let refused = async |first| dial(&owner, first).await.map(|_| ()).unwrap_err();
    let unknown = refused(hello("elsewhere", 0)).await;
    assert_eq!(
        (unknown.code(), unknown.message().contains("does not own environment elsewhere")),
        (Code::Unavailable, true)
    );
    let newer = refused(hello(ENVIRONMENT, 7)).await;
    assert_eq!(
        (newer.code(), newer.message().contains("has seen epoch 7, this process has epoch 1")),
        (Code::FailedPrecondition, true)
    );
    assert_eq!(refused(wire::FromExecutor::default()).await.code(), Code::InvalidArgument);
    assert_eq!(refused(hello("a\u{1b}[2J", 0)).await.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_is_bounded_escaped_and_passed_on_under_its_name() {
    let mut owner = Owner::start(Times::default());
    let (sender, _inbound) = dial(&owner, hello(ENVIRONMENT, 0)).await.unwrap();
    owner.connected("liar").await;
    let result = wire::Result {
        attempt: 99,
        change: 3,
        diff: "\u{1b}]0;owned\u{7}".repeat(100_000),
        error: "x\0".repeat(100_000),
        log: "\u{1b}[2J\0".repeat(100_000) + &"\n".repeat(100_000) + "x",
        finished_ms_ago: u64::MAX,
        ..wire::Result::default()
    };
    sender
        .send(wire::FromExecutor { results: vec![result], begun: vec![98], ..wire::FromExecutor::default() })
        .await
        .unwrap();
    // It never was granted either; core refuses that by the executor's name.
    owner.begun(98).await;
    let (name, outcome) = owner
        .event("outcome", |event| match event {
            Event::Finished(name, outcome) => Some((name.clone(), outcome.clone())),
            _ => None,
        })
        .await;
    assert_eq!((&*name, outcome.attempt.0), ("liar", 99));
    let log = outcome.log.unwrap();
    assert!(log.len() <= limits::LOG_BYTES && log.lines().count() == limits::LOG_LINES, "{log:?}");
    assert!(log.starts_with("… (99802 lines before)\n") && log.ends_with("\nx\n"), "{log:?}");
    let OutcomeKind::Failed { message, finding: Some(finding) } = outcome.kind else { panic!("not a failure") };
    assert!(message.len() <= limits::MESSAGE_BYTES && message.ends_with("bytes more)"));
    assert!(finding.diff.len() <= limits::DIFF_BYTES && !finding.diff.contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_message_ends_its_stream_and_no_other() {
    let mut owner = Owner::start(Times::default());
    let (sender, mut inbound) = dial(&owner, hello(ENVIRONMENT, 0)).await.unwrap();
    owner.connected("liar").await;
    let result = wire::Result { diff: "x".repeat(limits::STREAM_MESSAGE_BYTES + 1), ..wire::Result::default() };
    let _ = sender.send(wire::FromExecutor { results: vec![result], ..wire::FromExecutor::default() }).await;
    owner.event("disconnect", |event| matches!(event, Event::ExecutorDisconnected(_)).then_some(())).await;
    let end = async { while let Ok(Some(_)) = inbound.message().await {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap();
    let _executor = owner.executor("e1");
    owner.connected("e1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_one_is_disconnected_and_a_second_stream_replaces_the_first() {
    let times = Times { heartbeat: std::time::Duration::from_millis(200), ..Times::default() };
    let mut owner = Owner::start(times);
    let (_first, mut first_inbound) = dial(&owner, hello(ENVIRONMENT, 0)).await.unwrap();
    owner.connected("liar").await;
    let (_second, _second_inbound) = dial(&owner, hello(ENVIRONMENT, 0)).await.unwrap();
    owner.event("disconnect", |event| matches!(event, Event::ExecutorDisconnected(_)).then_some(())).await;
    owner.connected("liar").await;
    let end = async {
        loop {
            if let Err(status) = first_inbound.message().await {
                return status.code();
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, end).await.unwrap(), Code::Aborted);
    owner.event("disconnect", |event| matches!(event, Event::ExecutorDisconnected(_)).then_some(())).await;
}

/// R14: it goes on speaking, so that it is never silent, and reads nothing of what it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn r14_one_that_does_not_listen_is_given_up_and_holds_up_nobody() {
    let second = std::time::Duration::from_secs(1);
    let times = Times { heartbeat: second, lease: 3 * second, ..Times::default() };
    let mut owner = Owner::start(times);
    let (sender, inbound) = dial(&owner, hello(ENVIRONMENT, 0)).await.unwrap();
    owner.connected("liar").await;
    let speaking = tokio::spawn(async move {
        while sender.send(wire::FromExecutor::default()).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let large = serde_json::json!({"key": "a", "value": "x".repeat(limits::ATTRIBUTES_BYTES - 100)});
    owner.grant("liar", (1..=10).map(|attempt| Work::new(attempt, "test.Nothing", large.clone())));
    let _executor = owner.executor("e1");
    owner.connected("e1").await;
    owner.grant("e1", [Work::new(11, "test.Nothing", serde_json::json!({}))]);
    owner.success(11).await;
    owner
        .event("disconnect", |event| {
            matches!(event, Event::ExecutorDisconnected(name) if &**name == "liar").then_some(())
        })
        .await;
    assert!(owner.endpoint.connected(ENVIRONMENT).iter().all(|executor| &*executor.executor == "e1"));
    drop(inbound);
    speaking.abort();
}

/// It answers what it was never granted, and each answer is acknowledged; it reads none of that.
#[tokio::test(flavor = "multi_thread")]
async fn r14_one_that_is_acknowledged_without_end_and_does_not_listen_is_given_up() {
    let mut owner = Owner::start(Times::default());
    let (_sender, _inbound) = dial(&owner, hello(ENVIRONMENT, 0)).await.unwrap();
    owner.connected("liar").await;
    let gone = |event: &Event| matches!(event, Event::ExecutorDisconnected(_)).then_some(());
    let mut attempt = 0;
    while !owner.endpoint.connected(ENVIRONMENT).is_empty() {
        for _ in 0..100_000 {
            attempt += 1;
            owner.acknowledge("liar", attempt);
        }
    }
    owner.event("disconnect", gone).await;
}
