//! HTTP: probes, so far. Deliberately absent, until they are built: the API, the console, metrics.

pub(crate) mod limits;
mod probes;

pub use probes::{Health, Readiness, database_answers, serve};
