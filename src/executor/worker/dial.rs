//! How the owner is reached: a unix socket, or TLS over TCP.
//!
//! A host name may stand for several processes of which only the owner of the environment lets the executor in: every dial tries the next of its
//! addresses. The token and the authority's certificate are read at every dial, because both are rotated. Without TLS there is no TCP.

use super::{Options, WorkerError};
use crate::core::limits;
use crate::executor::limits::{CONNECT_TIMEOUT, KEEP_ALIVE, WELCOME_TIMEOUT};
use crate::executor::protocol::wire;
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status, Streaming};
use wire::executors_client::ExecutorsClient;

/// Where the owner is.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Unix(PathBuf),
    Tls { uri: Uri, host: String, port: u16, ca_file: PathBuf },
}

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) outbound: mpsc::Sender<wire::FromExecutor>,
    pub(super) inbound: Streaming<wire::FromOwner>,
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("the token in {0} is not one line of plain text")]
    Token(PathBuf),
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error("the owner refuses: {}", .0.message())]
    Refused(Status),
}

impl Address {
    pub(super) fn parse(options: &Options) -> Result<Self, WorkerError> {
        let bad = |reason: &str| WorkerError::Address { address: options.connect.clone(), reason: reason.to_owned() };
        if let Some(path) = options.connect.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(bad("there is no path after unix:"))
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let uri: Uri = options.connect.parse().map_err(|error| bad(&format!("{error}")))?;
        match (uri.scheme_str(), uri.host(), uri.port_u16()) {
            (Some("https"), Some(host), Some(port)) => {
                let ca_file = options.ca_file.clone().ok_or_else(|| bad("https needs --ca-file"))?;
                let host = host.trim_matches(['[', ']']).to_owned();
                Ok(Self::Tls { uri, host, port, ca_file })
            }
            _ => Err(bad("must be unix:PATH or https://HOST:PORT")),
        }
    }
}

/// Opens a stream and says hello. `turn` counts the dials.
pub(super) async fn dial(
    address: Address,
    token_file: Option<PathBuf>,
    turn: usize,
    hello: wire::FromExecutor,
) -> Result<Stream, DialError> {
    let channel = connect(&address, turn).await?;
    let (outbound, outgoing) = mpsc::channel(1);
    // The channel is new and has room for one.
    let _ = outbound.try_send(hello);
    let mut request = Request::new(ReceiverStream::new(outgoing));
    if let Some(path) = token_file {
        let token = read(&path).await?;
        let value = format!("Bearer {}", String::from_utf8_lossy(&token).trim());
        let value = value.parse().map_err(|_| DialError::Token(path))?;
        request.metadata_mut().insert("authorization", value);
    }
    let mut client = ExecutorsClient::new(channel)
        .max_decoding_message_size(limits::STREAM_MESSAGE_BYTES)
        .max_encoding_message_size(limits::STREAM_MESSAGE_BYTES);
    let answered = tokio::time::timeout(WELCOME_TIMEOUT, client.work(request)).await;
    let response =
        answered.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer"))).map_err(DialError::Refused)?;
    Ok(Stream { outbound, inbound: response.into_inner() })
}

async fn connect(address: &Address, turn: usize) -> Result<Channel, DialError> {
    match address {
        Address::Unix(path) => {
            let failed = |error: tonic::transport::Error| unreachable(&path.display(), &error);
            let path = path.clone();
            let connector = tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            // The name is never resolved.
            Endpoint::from_static("http://owner")
                .connect_timeout(CONNECT_TIMEOUT)
                .connect_with_connector(connector)
                .await
                .map_err(failed)
        }
        Address::Tls { uri, host, port, ca_file } => {
            let failed = |error: &dyn std::error::Error| unreachable(uri, error);
            let ca = Certificate::from_pem(read(ca_file).await?);
            let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name(host);
            let endpoint = Endpoint::from(uri.clone())
                .connect_timeout(CONNECT_TIMEOUT)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .tls_config(tls)
                .map_err(|error| failed(&error))?;
            let addresses: Vec<_> =
                tokio::net::lookup_host((host.as_str(), *port)).await.map_err(|error| failed(&error))?.collect();
            let chosen = addresses.get(turn % addresses.len().max(1)).copied();
            let chosen = chosen.ok_or_else(|| unreachable(uri, &std::io::Error::other("the name has no address")))?;
            let connector = tower::service_fn(move |_| async move {
                let stream = TcpStream::connect(chosen).await?;
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            });
            endpoint.connect_with_connector(connector).await.map_err(|error| failed(&error))
        }
    }
}

/// The whole chain of causes: the outermost says only "transport error".
fn unreachable(address: &dyn std::fmt::Display, error: &dyn std::error::Error) -> DialError {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    DialError::Connect { address: address.to_string(), reason }
}

async fn read(path: &Path) -> Result<Vec<u8>, DialError> {
    tokio::fs::read(path).await.map_err(|source| DialError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(connect: &str, ca_file: Option<&str>) -> Options {
        Options {
            connect: connect.into(),
            environment: "e".into(),
            pool: "p".into(),
            id: "i".into(),
            token_file: None,
            ca_file: ca_file.map(PathBuf::from),
            credits: 1,
            exit_with_stream: false,
            secret_key: None,
            lock: None,
        }
    }

    #[test]
    fn only_a_socket_or_tls_is_an_address() {
        assert!(
            matches!(Address::parse(&options("unix:/run/x", None)).unwrap(), Address::Unix(path) if path == Path::new("/run/x"))
        );
        let tls = Address::parse(&options("https://[::1]:7443", Some("/ca"))).unwrap();
        assert!(matches!(tls, Address::Tls { host, port: 7443, .. } if host == "::1"));
        for (bad, why) in [
            ("http://owner:80", "must be unix:PATH or https://HOST:PORT"),
            ("https://owner", "must be unix:PATH or https://HOST:PORT"),
            ("unix:", "there is no path"),
            ("https://owner:7443", "needs --ca-file"),
        ] {
            let error = Address::parse(&options(bad, None)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
