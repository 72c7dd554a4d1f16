//! Where executors come in: a unix socket, or TCP with TLS; and who of them is let in.

use super::attachment::Attachment;
use super::session::{self, Session};
use super::stranger::{Connection, Stranger};
use super::{Claim, Denied, Endpoint};
use crate::core::limits;
use crate::executor::limits::{ACCEPT_AGAIN, GREETING_TIMEOUT, HANDSHAKES, STRANGER_TIME, STRANGERS};
use crate::executor::protocol::{Greeting, wire};
use futures::{Stream, StreamExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};
use wire::executors_server::{Executors, ExecutorsServer};

/// What can go wrong with a listener.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The socket cannot be made.
    #[error("cannot listen for executors on {path}")]
    Bind {
        /// Which socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server stopped.
    #[error("the endpoint for executors stopped")]
    Serve(#[source] tonic::transport::Error),
}

impl Endpoint {
    /// Binds a unix socket that only this user may open, replacing a stale one. Its folder must be one that only this user may enter.
    pub fn bind_unix(path: &Path) -> Result<UnixListener, EndpointError> {
        let failed = |source| EndpointError::Bind { path: path.to_owned(), source };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, only_owner).map_err(failed)?;
        Ok(listener)
    }

    /// Serves executors on a unix socket until `stop` resolves.
    pub async fn serve_unix(
        &self,
        listener: UnixListener,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), EndpointError> {
        let incoming = UnixListenerStream::new(listener);
        let router = tonic::transport::Server::builder().add_service(self.service());
        router.serve_with_incoming_shutdown(incoming, stop).await.map_err(EndpointError::Serve)
    }

    /// Serves executors over TLS until `stop` resolves. Certificates may be rotated through the configuration's resolver.
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), EndpointError> {
        let (sender, receiver) = mpsc::channel(HANDSHAKES);
        let accepting = tokio::spawn(accept(listener, TlsAcceptor::from(tls), sender));
        let router = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(self.shared.times.heartbeat * 2))
            .add_service(self.service());
        let served = router.serve_with_incoming_shutdown(ReceiverStream::new(receiver), stop).await;
        accepting.abort();
        served.map_err(EndpointError::Serve)
    }

    fn service(&self) -> ExecutorsServer<Service> {
        ExecutorsServer::new(Service { endpoint: self.clone() })
            .max_decoding_message_size(limits::STREAM_MESSAGE_BYTES)
            .max_encoding_message_size(limits::STREAM_MESSAGE_BYTES)
    }
}

/// Accepts connections; handshakes run beside each other, so that a slow one keeps nobody out.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<std::io::Result<Connection<TlsStream<TcpStream>>>>,
) {
    let strangers = Arc::new(tokio::sync::Semaphore::new(STRANGERS));
    let handshakes = Arc::new(tokio::sync::Semaphore::new(HANDSHAKES));
    loop {
        let Ok(place) = Arc::clone(&strangers).acquire_owned().await else { return };
        let Ok(slot) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others will close some.
                tracing::warn!(%error, "cannot accept an executor's connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(GREETING_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(accepted.send(Ok(Connection::new(stream, place, STRANGER_TIME))).await),
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake timed out"),
            }
            drop(slot);
        });
    }
}

/// The generated server's handler.
struct Service {
    endpoint: Endpoint,
}

#[tonic::async_trait]
impl Executors for Service {
    type WorkStream = Pin<Box<dyn Stream<Item = Result<wire::FromOwner, Status>> + Send>>;

    async fn work(
        &self,
        request: Request<Streaming<wire::FromExecutor>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        let stranger = request.extensions().get::<Stranger>().cloned();
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(GREETING_TIMEOUT, inbound.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no hello in time"))??.unwrap_or_default();
        let heard_ms = first.sent_ms;
        let hello = first.hello.ok_or(crate::executor::protocol::ProtocolError::NoHello);
        let greeting = hello.and_then(Greeting::check).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let attachment = self.admit(&greeting, token.as_deref()).await?;
        if let Some(stranger) = stranger {
            stranger.is_known();
        }
        let member = attachment.member(&greeting.executor);
        // One batch on its way and no more: what waits is gathered into the next one.
        let (outbound, receiver) = mpsc::channel(1);
        let session = Session::new(self.endpoint.next_session(), greeting, heard_ms);
        tokio::spawn(session::run(attachment, member, session, inbound, outbound));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

impl Service {
    async fn admit(&self, greeting: &Greeting, token: Option<&str>) -> Result<Arc<Attachment>, Status> {
        let environment = &greeting.environment;
        let claim = Claim {
            environment: Arc::clone(environment),
            pool: Arc::clone(&greeting.pool),
            executor: Arc::clone(&greeting.executor),
        };
        self.endpoint.shared.authenticate.authenticate(&claim, token).await.map_err(|denied| {
            tracing::warn!(%environment, executor = %claim.executor, pool = %claim.pool, %denied, "executor refused");
            match denied {
                Denied::Unauthenticated(_) => Status::unauthenticated(denied.to_string()),
                Denied::Forbidden(_) => Status::permission_denied(denied.to_string()),
                Denied::Unavailable(_) => Status::unavailable(denied.to_string()),
            }
        })?;
        // Only who is authenticated learns which environments are here.
        let attachment = self.endpoint.attachment(environment).ok_or_else(|| {
            Status::unavailable(format!(
                "this process does not own environment {environment}, or not yet; try again or elsewhere"
            ))
        })?;
        if greeting.highest_epoch > attachment.epoch.0 {
            return Err(Status::failed_precondition(format!(
                "the executor has seen epoch {}, this process has epoch {}: environment {environment} has another owner",
                greeting.highest_epoch, attachment.epoch
            )));
        }
        Ok(attachment)
    }
}
