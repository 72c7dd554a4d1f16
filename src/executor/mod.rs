//! The executor process, and both ends of its protocol.
//!
//! ```text
//! scheduler ── deliver(messages) ─► Endpoint ── stream ─► worker ─► adaptor ─► target
//!           ◄─ inbox(events) ──────          ◄─ stream ──
//! ```
//!
//! An executor dials the owner of its environment and keeps one stream (`proto/executor.proto`); messages are batches in both directions.
//! - [`endpoint`]: the owner's side, which turns streams into [`crate::core::Event`]s and [`crate::core::Message`]s into batches.
//! - [`worker`]: the executor's side, the process `homeostat executor`.
//! - [`process`]: starts an executor as a child of an embedded run, and knows for certain when it has ended.
//! - [`protocol`]: the generated messages, and what may come out of untrusted ones.
//!
//! Deliberately absent: any decision about what runs, and where. That is `core`'s.

pub mod endpoint;
mod inputs;
pub(crate) mod limits;
pub mod process;
pub mod protocol;
pub(crate) mod secrets;
pub mod worker;

pub use endpoint::{AcceptAll, Authenticate, Claim, ConnectedExecutor, Denied, Endpoint, EndpointError, Times};
