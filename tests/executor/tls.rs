//! Executors over TCP: TLS by an authority of our own, and a token.

use crate::harness::{ENVIRONMENT, PATIENCE, executor};
use homeostat::core::{Epoch, Event};
use homeostat::executor::{Authenticate, Claim, Denied, Endpoint, Times};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_rustls::rustls::{self, ServerConfig, pki_types::PrivateKeyDer};

struct ByToken(mpsc::Sender<String>);

#[tonic::async_trait]
impl Authenticate for ByToken {
    async fn authenticate(&self, claim: &Claim, token: Option<&str>) -> Result<(), Denied> {
        if token == Some("right") && &*claim.pool == "local" {
            return Ok(());
        }
        let _ = self.0.send(token.unwrap_or_default().to_owned()).await;
        Err(Denied::Unauthenticated("the token proves nothing".into()))
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn server(authority: &CertifiedIssuer<'static, KeyPair>) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_needs_the_right_authority_and_the_right_token() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ours = authority();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (refused, mut refusals) = mpsc::channel(16);
    let endpoint = Endpoint::new(Times::default(), Arc::new(ByToken(refused)));
    let (inbox, mut events) = mpsc::channel(16);
    endpoint.attach(ENVIRONMENT.into(), Epoch(1), inbox, Vec::new());
    let (serving, tls) = (endpoint.clone(), server(&ours));
    tokio::spawn(async move { serving.serve_tls(listener, tls, std::future::pending()).await });

    let (token, ca) = (file("token", "wrong\n"), file("ca.pem", &ours.pem()));
    let other = file("other.pem", &authority().pem());
    let mut stranger = executor("e0", &connect, &["--token-file", &token, "--ca-file", &other, "--exit-with-stream"]);
    let ended = tokio::time::timeout(PATIENCE, stranger.wait()).await.unwrap().unwrap();
    assert!(!ended.success(), "a server of another authority is no owner");

    let _executor = executor("e1", &connect, &["--token-file", &token, "--ca-file", &ca]);
    assert_eq!(tokio::time::timeout(PATIENCE, refusals.recv()).await.unwrap().unwrap(), "wrong");
    // Rotated: the next dial reads it.
    file("token", "right\n");
    let events = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(&events[..], [Event::ExecutorConnected { executor, .. }] if &**executor == "e1"), "{events:?}");
    assert_eq!(endpoint.connected(ENVIRONMENT).len(), 1);
}
