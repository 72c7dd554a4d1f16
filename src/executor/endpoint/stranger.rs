//! A connection before it is known which executor it is of: few at a time, and not for long. Who never says a word would hold it for ever.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// Whether an executor of ours has said hello on a connection; the handler of the hello gets it with the request.
#[derive(Clone)]
pub(super) struct Stranger(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Stranger {
    /// It is one of ours: the connection is its own, and the place among the strangers is free.
    pub(super) fn is_known(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn is_strange(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A connection that ends when nobody is known on it in time.
pub(super) struct Connection<S> {
    stream: S,
    stranger: Stranger,
    patience: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    /// `place` is held until its executor is known, for `patience` at most.
    pub(super) fn new(stream: S, place: OwnedSemaphorePermit, patience: Duration) -> Self {
        let stranger = Stranger(Arc::new(Mutex::new(Some(place))));
        Self { stream, stranger, patience: Box::pin(sleep(patience)) }
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = Stranger;

    fn connect_info(&self) -> Stranger {
        self.stranger.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stranger.is_strange() && self.patience.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no executor has said hello in time")));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::sync::Semaphore;

    const PATIENCE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn who_says_nothing_is_not_kept() {
        let places = Arc::new(Semaphore::new(1));
        let (_silent, ours) = duplex(64);
        let mut connection = Connection::new(ours, places.clone().acquire_owned().await.unwrap(), PATIENCE);
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(connection);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_is_known_may_be_silent_for_longer_and_takes_no_place() {
        let places = Arc::new(Semaphore::new(1));
        let (mut theirs, ours) = duplex(64);
        let mut connection = Connection::new(ours, places.clone().acquire_owned().await.unwrap(), PATIENCE);
        connection.connect_info().is_known();
        assert_eq!(places.available_permits(), 1);
        connection.patience.as_mut().await;
        theirs.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
    }
}
