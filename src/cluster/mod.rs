//! Kubernetes out: everything the operator writes to the API server, each call bounded in time and classed when it fails.
//!
//! - [`client`]: the calls. [`status_writer`]: status, coalesced and limited. [`events`]: Kubernetes Events.
//! - [`pods`]: what an executor pod looks like. [`pool`]: how many a pool should have.
//! - [`authority`]: the certificates of the executor endpoint. [`identity`]: which executors are let in.
//!
//! Deliberately absent: watches and decisions about objects; those are `controller`'s.

mod authority;
mod authority_store;
mod client;
mod error;
mod events;
mod identity;
pub(crate) mod limits;
pub mod pods;
mod pool;
mod status_writer;

pub use authority::{Authority, AuthorityError};
pub use authority_store::{AuthorityKeeper, AuthorityStoreError, Trusted};
pub use client::{Cluster, FIELD_MANAGER, ObjectRef};
pub use error::{Class, ClusterError};
pub use events::{Events, Happened};
pub use identity::{KnownPods, PodIdentity};
pub use pool::{Bounds, Decision, PodSeen, PoolState, seen as pod_seen};
pub use status_writer::{StatusKey, StatusWriter};
