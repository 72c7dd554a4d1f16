//! Embedded mode: history, scheduler and executor for one run of one process, without a cluster.
//!
//! ```text
//! Place   the data folder, locked; its private PostgreSQL, or the one of --database-url
//! Reading an environment read without owning it
//! Copy    one copied into memory, for dry runs
//! Owned   an environment owned for a moment, without executors: for orders that run nothing
//! Session an environment owned: scheduler, executors as child processes
//! Beside  an environment that another process owns, which takes orders at its Control socket
//! Access  a Session, or Beside: what a verb works with
//! ```
//!
//! What is opened first is closed last: executors retire, the scheduler gives the environment up, the database stops, the lock is released.

mod access;
mod author;
pub(crate) mod away;
mod beside;
pub(crate) mod control;
mod copy;
mod end;
mod error;
mod executors;
mod owned;
mod owners;
mod place;
mod reading;
mod readme;
mod session;
mod signals;
mod standstill;
mod wait;

pub(crate) use access::{Access, Purpose};
pub(crate) use author::author;
pub(crate) use beside::Beside;
pub(crate) use copy::Copy;
pub(crate) use end::end;
pub(crate) use error::EmbeddedError;
pub(crate) use owned::Owned;
pub(crate) use owners::Owners;
pub(crate) use place::Place;
pub(crate) use reading::{Reading, content_of, find, known_names, peek, snapshot_state};
pub(crate) use session::{Opening, Session, owner_of, push_of, request_of};
pub(crate) use signals::Signals;
pub(crate) use wait::{Finished, has_ended};
