//! Scenarios on a real Kubernetes.

pub mod control_plane;
