//! Tests of the endpoint with a hand-driven executor.
