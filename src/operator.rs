//! `homeostat operator`: wires watches, schedulers, executors and history together, and runs until it is told to end.
//!
//! One replica owns everything (the Deployment replaces, it never overlaps); epochs make a second one harmless all the same.

use crate::adaptors::registry;
use crate::api::{Checker, Types};
use crate::cluster::limits::{DATABASE_RETRY, OPERATOR_CONNECTIONS, OWNER_LEASE_MS};
use crate::cluster::{AuthorityKeeper, Cluster, KnownPods, PodIdentity, StatusWriter, pods};
use crate::controller::{Index, Shared, supervisor, watch};
use crate::core::Name;
use crate::executor::{Endpoint, Times};
use crate::history::postgres::PostgresStore;
use crate::history::{HistoryError, Owner, Store};
use crate::scheduler;
use crate::server::{self, Health};
use sqlx::postgres::PgConnectOptions;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch as signal;

/// What the logs of executors say when nothing is said about the operator's own.
const DEFAULT_LOG: &str = "homeostat=info,warn";

/// The flags of `homeostat operator`. In a pod, the chart sets all of them.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where history is kept: postgresql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, env = "HOMEOSTAT_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: String,
    /// Look after this namespace only (may be repeated); all namespaces where none is given
    #[arg(long = "namespace", short = 'n', value_name = "NAME")]
    pub namespaces: Vec<String>,
    /// The namespace of this pod
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub pod_namespace: String,
    /// The name of this pod
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: String,
    /// The UID of this pod
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pub pod_uid: String,
    /// The image of executor pods whose Executor names none: this pod's own
    #[arg(long, env = "HOMEOSTAT_IMAGE", value_name = "IMAGE")]
    pub executor_image: String,
    /// The pull policy of executor pods: `Always`, `IfNotPresent` or `Never`
    #[arg(long, env = "HOMEOSTAT_IMAGE_PULL_POLICY", value_name = "POLICY")]
    pub executor_image_pull_policy: Option<String>,
    /// The Service that executors dial, in this pod's namespace
    #[arg(long, default_value = "homeostat-executors", value_name = "NAME")]
    pub executor_service: String,
    /// Where executors come in
    #[arg(long, default_value = "0.0.0.0:9443", value_name = "ADDRESS")]
    pub executor_listen: SocketAddr,
    /// The Secret, in this pod's namespace, that keeps the authority for executor connections
    #[arg(long, default_value = "homeostat-authority", value_name = "NAME")]
    pub authority_secret: String,
    /// Where the probes are served
    #[arg(long, default_value = "0.0.0.0:8081", value_name = "ADDRESS")]
    pub probe_listen: SocketAddr,
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no way to an API server.
    #[error("cannot find the way to the Kubernetes API: run in a pod, or with a kubeconfig")]
    Kubernetes(#[source] Box<kube::Error>),
    /// The schemas cannot be used.
    #[error("the schemas of this release cannot be used")]
    Schemas(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no certificate for executors.
    #[error("cannot prepare the endpoint for executors")]
    Authority(#[source] Box<crate::cluster::AuthorityStoreError>),
    /// The schema of the database is not one this release knows.
    #[error("cannot use the database")]
    History(#[from] HistoryError),
    /// The address of the database cannot be read. The text is left out: it may hold a password.
    #[error("the database URL is not one: must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE")]
    DatabaseUrl(#[source] sqlx::Error),
    /// A port cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A server ended.
    #[error("the {what} ended: {why}")]
    Ended {
        /// Which part.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// Runs until a signal to end, or until something ends that must not.
pub async fn run(options: Options) -> Result<(), OperatorError> {
    let (stop, stopped) = signal::channel(false);
    let index = Index::default();
    let database: Arc<std::sync::OnceLock<Arc<dyn Store>>> = Arc::default();
    let probes = listen(options.probe_listen).await?;
    let health = Health::start(readiness(index.clone(), Arc::clone(&database)));
    let mut probing = tokio::spawn(server::serve(probes, health, until(stopped.clone())));

    let client = kube::Client::try_default().await.map_err(|source| OperatorError::Kubernetes(Box::new(source)))?;
    let cluster = Cluster::new(client.clone(), &options.pod_name);
    watch::start(&client, &index, &Arc::new(checker()?), &options.namespaces);
    let (tls, trusted) =
        keeper(&options, &cluster).start().await.map_err(|source| OperatorError::Authority(Box::new(source)))?;
    let store = open_history(&options.database_url, stopped.clone()).await?;
    let _ = database.set(Arc::clone(&store));

    let endpoint =
        Endpoint::new(Times::default(), Arc::new(PodIdentity { cluster: cluster.clone(), pods: index.clone() }));
    let executors = listen(options.executor_listen).await?;
    let serving_endpoint = endpoint.clone();
    let until_stopped = until(stopped.clone());
    let mut serving = tokio::spawn(async move { serving_endpoint.serve_tls(executors, tls, until_stopped).await });

    let owner = owner(&options);
    let lease = scheduler::keep_lease(Arc::clone(&store), owner.clone());
    let statuses = StatusWriter::start(cluster.clone());
    let common = pods::Common {
        image: options.executor_image.clone(),
        pull_policy: options.executor_image_pull_policy.clone(),
        log: std::env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_LOG.to_owned()),
        connect: format!("https://{}:{}", service_names(&options).swap_remove(0), options.executor_listen.port()),
    };
    let shared = Shared { index, cluster, store, endpoint, statuses, owner, pods: common, trusted };
    let mut supervising = tokio::spawn(supervisor::run(Arc::new(shared)));
    tracing::info!(release = env!("CARGO_PKG_VERSION"), pod = options.pod_name, "the operator runs");

    let result = tokio::select! {
        () = ended_by_signal() => Ok(()),
        ended = &mut supervising => Err(OperatorError::Ended { what: "supervisor", why: format!("{ended:?}") }),
        ended = &mut serving => Err(OperatorError::Ended { what: "endpoint for executors", why: format!("{ended:?}") }),
        ended = &mut probing => Err(OperatorError::Ended { what: "server of the probes", why: format!("{ended:?}") }),
    };
    tracing::info!("the operator ends; executors go on with what they have begun");
    supervising.abort();
    lease.abort();
    stop.send_replace(true);
    result
}

fn checker() -> Result<Checker, OperatorError> {
    let types = Types::new(registry::kinds().filter_map(registry::schema).cloned())
        .map_err(|source| OperatorError::Schemas(source.into()))?;
    Checker::new(types).map_err(|source| OperatorError::Schemas(source.into()))
}

fn keeper(options: &Options, cluster: &Cluster) -> AuthorityKeeper {
    AuthorityKeeper {
        cluster: cluster.clone(),
        namespace: options.pod_namespace.clone(),
        secret: options.authority_secret.clone(),
        names: service_names(options),
    }
}

/// The names of the Service, the one that is dialled first.
fn service_names(options: &Options) -> Vec<String> {
    let short = format!("{}.{}.svc", options.executor_service, options.pod_namespace);
    vec![short.clone(), format!("{short}.cluster.local")]
}

/// A pod restarts its container only after the process before has ended, so its UID names one process at a time.
fn owner(options: &Options) -> Owner {
    let id: Name = options.pod_uid.as_str().into();
    Owner {
        description: format!("{}/{}/{id}", options.pod_namespace, options.pod_name).into(),
        id,
        lease_ms: OWNER_LEASE_MS,
    }
}

/// Connects to the database and brings its schema up to date; waits for a database that is away, gives up on one that is not ours.
async fn open_history(url: &str, stopped: signal::Receiver<bool>) -> Result<Arc<dyn Store>, OperatorError> {
    let address: PgConnectOptions = url.parse().map_err(OperatorError::DatabaseUrl)?;
    loop {
        match PostgresStore::connect(address.clone(), OPERATOR_CONNECTIONS).await {
            Ok(store) => return Ok(Arc::new(store)),
            Err(error @ HistoryError::Unavailable { .. }) if !*stopped.borrow() => {
                tracing::warn!(%error, cause = ?std::error::Error::source(&error).map(ToString::to_string), "waiting for the database");
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn readiness(index: Index, database: Arc<std::sync::OnceLock<Arc<dyn Store>>>) -> server::Readiness {
    Arc::new(move || {
        let (index, database) = (index.clone(), Arc::clone(&database));
        Box::pin(async move {
            if !index.is_synced() {
                return Err("the watches have not listed everything yet".to_owned());
            }
            let store = database.get().ok_or("the database has not been reached yet")?;
            server::database_answers(&**store).await
        })
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, OperatorError> {
    TcpListener::bind(address).await.map_err(|source| OperatorError::Listen { address, source })
}

async fn until(mut stopped: signal::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn ended_by_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

impl KnownPods for Index {
    fn made_for(&self, uid: &str) -> Option<(Name, Name)> {
        self.pod_made_for(uid)
    }
}
