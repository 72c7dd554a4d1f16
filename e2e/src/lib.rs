//! Scenarios on a real Kubernetes.
