//! Real executor processes over real sockets: what `src/executor/` promises to the scheduler. No sleeps: every wait is for a condition, with a
//! deadline that no healthy machine reaches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod harness;
mod hostile;
mod lease;
mod process;
mod tls;
mod work;
