//! R7: what the probes say while the database is away, hangs and comes back: not ready, and alive.

use crate::proxy::{Behaviour, Proxy};
use crate::server::Server;
use crate::town::BRIEF;
use crate::{eventually, in_time};
use homeostat::history::Store;
use homeostat::history::postgres::PostgresStore;
use homeostat::server::{Health, database_answers, serve};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Status and text, as the kubelet asks for them.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: probes\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = in_time("an answer of a probe", asked).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_without_its_database_a_process_is_alive_and_not_ready() {
    let mut server = Server::start().await;
    let proxy = Proxy::to(&server.socket());
    let store = PostgresStore::connect_with(proxy.options(&server.options()), 2, BRIEF).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::clone(&store);
    let ready = Arc::new(move || {
        let store = Arc::clone(&asked);
        Box::pin(async move { database_answers(&*store).await }) as futures::future::BoxFuture<'static, _>
    });
    tokio::spawn(serve(listener, Health::start(ready), std::future::pending()));
    let is_ready = async || (get(address, "/readyz").await.0 == 200).then_some(());
    let is_not = async || {
        let (status, text) = get(address, "/readyz").await;
        (status == 503).then_some(text)
    };
    let alive = async || assert_eq!(get(address, "/livez").await, (200, "ok\n".to_owned()));

    eventually("readiness", is_ready).await;
    server.end(Signal::KILL).await;
    assert!(!eventually("a database that is away", is_not).await.is_empty());
    alive().await;
    server.restart().await;
    eventually("readiness again", is_ready).await;
    proxy.behave(Behaviour::Silent);
    assert!(!eventually("a database that hangs", is_not).await.is_empty());
    alive().await;
    proxy.behave(Behaviour::Pass);
    eventually("readiness once more", is_ready).await;
}
