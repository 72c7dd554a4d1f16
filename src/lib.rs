#![doc = include_str!("ARCHITECTURE.md")]
// It panics where nobody reads stderr any more; `cli::output::tell` does not.
#![warn(clippy::print_stderr)]

pub mod core;

#[cfg(feature = "full")]
pub mod adaptors;
#[cfg(feature = "full")]
mod allocator;
#[cfg(feature = "full")]
pub mod api;
#[cfg(feature = "full")]
pub mod app;
#[cfg(feature = "full")]
mod cli;
#[cfg(feature = "full")]
pub mod cluster;
#[cfg(feature = "full")]
pub mod controller;
#[cfg(feature = "full")]
pub mod executor;
#[cfg(feature = "full")]
pub mod history;
#[cfg(feature = "full")]
mod joined;
#[cfg(feature = "full")]
pub mod operator;
#[cfg(feature = "full")]
pub mod scheduler;
#[cfg(feature = "full")]
pub mod server;
#[cfg(feature = "full")]
mod simulation;
#[cfg(feature = "full")]
pub mod telemetry;
