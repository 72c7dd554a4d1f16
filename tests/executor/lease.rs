//! Reconnects, the lease, epochs.

use crate::harness::{Alive, ENVIRONMENT, Owner, PATIENCE, executor};
use homeostat::core::{Event, OutcomeKind};
use homeostat::executor::Times;
use homeostat::executor::protocol::wire;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reconnect_it_says_what_it_holds_until_that_is_acknowledged() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let hang = owner.thing(2, json!({"key": "b", "script": [{"result": "hang"}]}));
    owner.grant("e1", [owner.thing(1, json!({"key": "a"})), hang, owner.thing(3, json!({"key": "c"}))]);
    owner.success(1).await;
    owner.begun(2).await;
    owner.endpoint.detach(ENVIRONMENT);
    owner.attach(2);
    assert_eq!(owner.connected("e1").await, [1, 2, 3]);
    owner.success(1).await;
    owner.begun(2).await;
    owner.acknowledge("e1", 1);
    // The answer to a revocation comes after the acknowledgement was taken in.
    owner.revoke("e1", 3);
    assert_eq!(owner.outcome(3).await.kind, OutcomeKind::Revoked);
    owner.acknowledge("e1", 3);
    owner.revoke("e1", 2);
    owner.event("refusal", |event| matches!(event, Event::RevokeRefused(..)).then_some(())).await;
    owner.endpoint.detach(ENVIRONMENT);
    owner.attach(3);
    assert_eq!(owner.connected("e1").await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_owner_for_the_lease_it_cancels_everything() {
    let times =
        Times { heartbeat: Duration::from_millis(200), lease: Duration::from_secs(1), margin: Duration::from_secs(1) };
    let (mut owner, _executor) = Owner::with_executor(times).await;
    let mut alive = Alive::new(owner.folder.path());
    owner.grant("e1", [alive.command(1), owner.thing(2, json!({"key": "a"}))]);
    alive.running().await;
    owner.begun(1).await;
    owner.endpoint.detach(ENVIRONMENT);
    alive.ended().await;
    owner.attach(2);
    assert_eq!(owner.connected("e1").await, [1, 2]);
    assert!(owner.failure(1).await.contains("did not hear from its owner for the time of the lease"));
    assert_eq!(owner.outcome(2).await.kind, OutcomeKind::Revoked);
    // It works again.
    owner.acknowledge("e1", 1);
    let again = owner.thing(4, json!({"key": "b"}));
    owner.grant("e1", [crate::harness::Work { epoch: 2, ..again }]);
    owner.success(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_stays_away_is_lost_after_the_lease_and_the_margin() {
    let times =
        Times { heartbeat: Duration::from_millis(200), lease: Duration::from_secs(1), margin: Duration::from_secs(1) };
    let (mut owner, mut executor) = Owner::with_executor(times).await;
    let killed = tokio::time::Instant::now();
    executor.kill().await.unwrap();
    owner.event("disconnect", |event| matches!(event, Event::ExecutorDisconnected(_)).then_some(())).await;
    owner.event("loss", |event| matches!(event, Event::ExecutorLost(name) if &**name == "e1").then_some(())).await;
    // It was heard at most one heartbeat before it was killed.
    assert!(killed.elapsed() + times.heartbeat >= times.lease + times.margin, "{:?}", killed.elapsed());
    // So is one that was expected and never comes, and one that provably ended is lost at once.
    let (inbox, mut events) = mpsc::channel(8);
    owner.endpoint.attach("other".into(), homeostat::core::Epoch(1), inbox, vec!["gone".into(), "ended".into()]);
    owner.endpoint.ended("other", "ended");
    for expected in ["ended", "gone"] {
        let events = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        assert!(matches!(&events[..], [Event::ExecutorLost(name)] if &**name == expected), "{events:?}");
    }
}

/// An owner that says what a test tells it to.
struct Puppet {
    welcomes: Arc<Mutex<Vec<wire::FromOwner>>>,
    hellos: mpsc::Sender<wire::Hello>,
    heard: mpsc::Sender<wire::FromExecutor>,
}

#[tonic::async_trait]
impl wire::executors_server::Executors for Puppet {
    type WorkStream = ReceiverStream<Result<wire::FromOwner, Status>>;

    async fn work(
        &self,
        request: Request<Streaming<wire::FromExecutor>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        let mut inbound = request.into_inner();
        let first = inbound.message().await?.unwrap();
        self.hellos.send(first.hello.unwrap()).await.unwrap();
        let welcome = self.welcomes.lock().await.pop().ok_or_else(|| Status::unavailable("no more"))?;
        let (sender, receiver) = mpsc::channel(4);
        sender.send(Ok(welcome)).await.unwrap();
        let heard = self.heard.clone();
        tokio::spawn(async move {
            let _open = sender;
            while let Ok(Some(message)) = inbound.message().await {
                if heard.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// A welcome with grants; without its heartbeats the executor dials again.
fn welcome(epoch: u64, attempts: &[u64]) -> wire::FromOwner {
    let welcome = wire::Welcome { epoch, heartbeat_ms: 100, lease_ms: 60_000 };
    let grant = |&attempt: &u64| wire::Grant {
        attempt,
        epoch,
        r#type: "test.Nothing".into(),
        operation: 1,
        connection: "{}".into(),
        attributes: "{}".into(),
        ..wire::Grant::default()
    };
    let grants = attempts.iter().map(grant).collect();
    wire::FromOwner { welcome: Some(welcome), grants, ..wire::FromOwner::default() }
}

/// What is heard of an executor by an owner that says this, the last one first.
fn heard_by_puppet(
    socket: &Path,
    welcomes: Vec<wire::FromOwner>,
) -> (mpsc::Receiver<wire::Hello>, mpsc::Receiver<wire::FromExecutor>) {
    let (hellos, heard_hellos) = mpsc::channel(16);
    let (heard, messages) = mpsc::channel(16);
    let welcomes = Arc::new(Mutex::new(welcomes));
    let service = wire::executors_server::ExecutorsServer::new(Puppet { welcomes, hellos, heard });
    let incoming = UnixListenerStream::new(tokio::net::UnixListener::bind(socket).unwrap());
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    (heard_hellos, messages)
}

/// The next results, up to this attempt's.
async fn results(messages: &mut mpsc::Receiver<wire::FromExecutor>, last: u64) -> Vec<wire::Result> {
    let mut results: Vec<wire::Result> = Vec::new();
    while results.iter().all(|result| result.attempt != last) {
        let message = tokio::time::timeout(PATIENCE, messages.recv()).await.unwrap().unwrap();
        results.extend(message.results);
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_epoch_than_it_has_seen_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("owner.sock");
    let (mut hellos, mut messages) = heard_by_puppet(&path, vec![welcome(4, &[2]), welcome(5, &[1])]);
    let _executor = executor("e1", &format!("unix:{}", path.display()), &[]);
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let hello = tokio::time::timeout(PATIENCE, hellos.recv()).await.unwrap().unwrap();
        epochs.push((hello.highest_epoch, hello.holds));
    }
    assert_eq!(epochs, [(0, vec![]), (5, vec![1]), (5, vec![1])], "what epoch 4 granted was not taken");
    let mut told = results(&mut messages, 1).await;
    while let Ok(message) = messages.try_recv() {
        told.extend(message.results);
    }
    assert_eq!(told.iter().map(|result| result.attempt).collect::<Vec<_>>(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_beyond_its_credits_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("owner.sock");
    let (_hellos, mut messages) = heard_by_puppet(&path, vec![welcome(1, &[1, 2, 3])]);
    let _executor = executor("e1", &format!("unix:{}", path.display()), &["--credits", "2"]);
    let refused = results(&mut messages, 3).await.into_iter().find(|result| result.attempt == 3).unwrap();
    assert_eq!(refused.error, "refused by the executor: more than the 2 grants it takes");
}

/// It was believed lost, and has come back before the scheduler has heard either: what was decided before is another executor's by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_for_an_earlier_stream_is_not_sent_on_a_later_one() {
    let (mut owner, _executor) = Owner::with_executor(Times::default()).await;
    let earlier = owner.session("e1");
    owner.endpoint.ended(ENVIRONMENT, "e1");
    owner.event("loss", |event| matches!(event, Event::ExecutorLost(_)).then_some(())).await;
    assert_eq!(owner.connected("e1").await, [0; 0]);
    assert!(owner.session("e1") > earlier);
    owner.grant_on("e1", earlier, [owner.thing(1, json!({"key": "a"}))]);
    owner.grant("e1", [owner.thing(2, json!({"key": "b"}))]);
    // They are on one target: the first one would have begun first.
    owner.success(2).await;
    assert!(!owner.has_begun(1));
    owner.revoke("e1", 1);
    assert_eq!(owner.outcome(1).await.kind, OutcomeKind::Revoked, "it never had it");
}
