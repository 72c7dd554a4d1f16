//! The side of the process that holds the data folder: takes connections and lines, within bounds.
//!
//! Whatever comes in costs at most a connection, some memory and some patience: orders are carried out by the task of their connection, and reach an
//! environment's loop only as the calls that any verb makes.

use super::dial::socket_in;
use super::orders::{self, Registry};
use super::{
    Answer, CONTROL_AGAIN, CONTROL_CONNECTIONS, CONTROL_PATIENCE, LARGE_ORDER_BYTES, ORDER_BYTES, Order, SOCKET,
};
use crate::cli::embedded::EmbeddedError;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// The socket is served as long as this lives.
pub(crate) struct Listening {
    path: PathBuf,
    serving: JoinHandle<()>,
}

/// What all connections share.
#[derive(Clone)]
struct Desk {
    registry: Registry,
    /// Whoever reads a large order has it.
    large: Arc<Semaphore>,
}

impl Listening {
    /// Serves the socket of a folder that this process holds.
    pub(crate) fn begin(folder: &Path, registry: Registry) -> Result<Self, EmbeddedError> {
        let path = folder.join(SOCKET);
        let failed = |source| EmbeddedError::Control { folder: folder.to_owned(), source };
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        // Left behind by one that was killed: the folder is ours, so nobody listens there.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let opened = File::open(folder).map_err(failed)?;
        let listener = UnixListener::bind(socket_in(&opened)).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let desk = Desk { registry, large: Arc::new(Semaphore::new(1)) };
        Ok(Self { path, serving: tokio::spawn(accept(listener, desk)) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
        // The next one to hold the folder removes what is left.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, desk: Desk) {
    let places = Arc::new(Semaphore::new(CONTROL_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket could not be taken");
                    tokio::time::sleep(CONTROL_AGAIN).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            connections.spawn(turn_away(stream));
            continue;
        };
        let desk = desk.clone();
        connections.spawn(async move {
            serve(stream, desk).await;
            drop(place);
        });
    }
}

async fn turn_away(stream: UnixStream) {
    let (_, mut writer) = stream.into_split();
    let _ = answer(&mut writer, &Answer::failed("too many commands are connected at once; try again")).await;
}

/// Whether the peer is who we are, or root: the folder keeps everybody else out, and so do we.
fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn serve(stream: UnixStream, desk: Desk) {
    if !is_ours(&stream) {
        return;
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let order = match tokio::time::timeout(CONTROL_PATIENCE, next_order(&mut reader, &desk)).await {
            Ok(Ok(Some(order))) => order,
            // It is done, or has been silent for too long.
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(reason)) => {
                // After what cannot be understood nobody knows where the next order begins.
                let _ = answer(&mut writer, &Answer::failed(reason)).await;
                return;
            }
        };
        if !carry_out(order, &desk, &mut writer).await {
            return;
        }
    }
}

/// Carries an order out, and says whether to go on. Whoever has gone is noticed by the next line that nobody takes.
async fn carry_out(order: Order, desk: &Desk, writer: &mut OwnedWriteHalf) -> bool {
    let (answers, mut answered) = tokio::sync::mpsc::channel(1);
    let registry = desk.registry.clone();
    // What has begun is carried out, whether its command is still there or not; only a wait ends with it, by the channel.
    let work = tokio::spawn(async move { orders::carry_out(order, &registry, &answers).await });
    while let Some(next) = answered.recv().await {
        if !answer(writer, &next).await {
            return false;
        }
    }
    // A panic in there is a defect of ours, and nobody is answered.
    work.await.is_ok()
}

/// The next order; `None` at the end.
async fn next_order(reader: &mut BufReader<OwnedReadHalf>, desk: &Desk) -> Result<Option<Order>, String> {
    let mut line = Vec::new();
    let small = (&mut *reader).take(LARGE_ORDER_BYTES as u64).read_until(b'\n', &mut line).await;
    small.map_err(|error| error.to_string())?;
    if line.is_empty() {
        return Ok(None);
    }
    let mut _turn = None;
    if line.last() != Some(&b'\n') && line.len() == LARGE_ORDER_BYTES {
        _turn = desk.large.acquire().await.ok();
        let rest = (ORDER_BYTES - LARGE_ORDER_BYTES) as u64;
        reader.take(rest).read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
    }
    if line.last() != Some(&b'\n') {
        let too_long = format!("an order is longer than {ORDER_BYTES} bytes");
        return Err(if line.len() < ORDER_BYTES { "an order ends before its line does".to_owned() } else { too_long });
    }
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&line).map_err(|error| error.to_string()));
    let order = read.await.map_err(|error| error.to_string())?;
    order.map(Some).map_err(|error| format!("this is no order: {error}"))
}

/// Sends a line; says whether somebody took it.
async fn answer(writer: &mut OwnedWriteHalf, answer: &Answer) -> bool {
    let Ok(mut line) = serde_json::to_vec(answer) else { return false };
    line.push(b'\n');
    tokio::time::timeout(CONTROL_PATIENCE, writer.write_all(&line)).await.is_ok_and(|written| written.is_ok())
}
