//! Keeps the authority in a Secret of the operator's own namespace, renews it in time, and hands the newest certificate to every new connection.

use super::authority::{Authority, AuthorityError};
use super::client::Cluster;
use super::error::{Class, ClusterError};
use crate::cluster::limits::{AUTHORITY_ATTEMPTS, AUTHORITY_LOOK};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityStoreError {
    /// It could not be made.
    #[error(transparent)]
    Make(#[from] AuthorityError),
    /// The Secret could not be read or written.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// What was made cannot be served.
    #[error("the certificate of the executor endpoint cannot be used")]
    Use(#[source] rustls::Error),
    /// What was made cannot be read.
    #[error("the certificate of the executor endpoint cannot be read: {0}")]
    Read(rustls::pki_types::pem::Error),
}

/// Where it is kept, and for which names.
#[derive(Clone)]
pub struct AuthorityKeeper {
    /// For the Secret.
    pub cluster: Cluster,
    /// The operator's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The names that executors dial.
    pub names: Vec<String>,
}

/// The certificates that executors trust, as they are now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trusted(Arc<RwLock<Arc<str>>>);

impl Trusted {
    /// PEM.
    pub fn pem(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, pem: &str) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pem.into();
    }
}

impl AuthorityKeeper {
    /// The certificate to serve, and what to trust; both follow renewals as long as the returned task runs.
    pub async fn start(self) -> Result<(Arc<ServerConfig>, Trusted), AuthorityStoreError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (shown, trusted) = (Arc::new(Shown::default()), Trusted::default());
        self.renew(&shown, &trusted).await?;
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(AuthorityStoreError::Use)?;
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let follow = trusted.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(AUTHORITY_LOOK).await;
                if let Err(error) = self.renew(&shown, &follow).await {
                    tracing::warn!(%error, "the certificate of the executor endpoint could not be renewed; trying again in an hour");
                }
            }
        });
        Ok((Arc::new(config), trusted))
    }

    async fn renew(&self, shown: &Shown, trusted: &Trusted) -> Result<(), AuthorityStoreError> {
        let authority = self.current().await?;
        let chain = CertificateDer::pem_slice_iter(authority.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(authority.key.as_bytes()).map_err(AuthorityStoreError::Read)?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(AuthorityStoreError::Use)?;
        shown.set(CertifiedKey::new(chain.map_err(AuthorityStoreError::Read)?, key));
        trusted.set(&authority.trusted);
        Ok(())
    }

    /// Reads what is kept, renews what is due, and keeps it; where another writer was faster, theirs counts.
    async fn current(&self) -> Result<Authority, AuthorityStoreError> {
        let mut attempt = 0;
        loop {
            let read = self.cluster.read_secret(&self.namespace, &self.secret).await?;
            let kept = read.as_ref().and_then(|(fields, _)| Authority::from_fields(fields));
            let current = Authority::current(kept.clone(), &self.names, jiff::Timestamp::now())?;
            if kept.as_ref() == Some(&current) {
                return Ok(current);
            }
            let version = read.map(|(_, version)| version);
            match self.cluster.write_secret(&self.namespace, &self.secret, current.fields(), version).await {
                Ok(()) => return Ok(current),
                Err(error)
                    if attempt < AUTHORITY_ATTEMPTS
                        && matches!(error.class(), Class::Conflict | Class::AlreadyExists | Class::Gone) =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The certificate that new connections are shown.
#[derive(Default)]
struct Shown(RwLock<Option<Arc<CertifiedKey>>>);

impl Shown {
    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
