//! The scenarios, one test each, in namespaces of their own. `e2e/run` brings up what they need.
#![allow(
    clippy::indexing_slicing,
    reason = "an attempt without the column that is read is a failure, and the panic says which"
)]

mod attempts;
mod chain;
mod crash;
mod drift;
mod example;
mod failure;
mod idle;
mod removal;
mod undecodable;
