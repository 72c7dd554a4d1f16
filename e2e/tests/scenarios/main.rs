//! The scenarios, one test each, in namespaces of their own. `e2e/run` brings up what they need.

mod chain;
