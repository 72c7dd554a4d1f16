//! Every bound of the HTTP server, with its unit and its reason.

use std::time::Duration;

/// How often the runtime shows that it makes progress.
pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// Without a beat for so long, the process is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(30);
/// Readiness checks at once, each with a question to the database; more wait, within their time.
pub(crate) const CHECKS: usize = 2;
/// How long a readiness check may take.
pub(crate) const CHECK: Duration = Duration::from_secs(3);
/// How long the database may take to answer in a readiness check.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
