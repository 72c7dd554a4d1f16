//! Every bound of what is said to Kubernetes, and of the operator, with its unit and its reason.

use std::time::Duration;

/// Days an authority is valid. Long, because executors on hosts outside of the cluster hold a copy of it.
pub(crate) const AUTHORITY_DAYS: i64 = 3_650;
/// Days left at which a new authority is made; the old one stays trusted until it ends.
pub(crate) const AUTHORITY_RENEW_DAYS: i64 = 730;
/// Days a serving certificate is valid.
pub(crate) const SERVING_DAYS: i64 = 90;
/// Days left at which a new serving certificate is signed.
pub(crate) const SERVING_RENEW_DAYS: i64 = 30;
/// Writers that may be faster before it is given up.
pub(crate) const AUTHORITY_ATTEMPTS: u32 = 5;
/// How often the certificate's age is looked at.
pub(crate) const AUTHORITY_LOOK: Duration = Duration::from_hours(1);
/// How long one call may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Events that wait to be told.
pub(crate) const EVENTS_QUEUE: usize = 256;
/// How long telling one event may take.
pub(crate) const EVENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a note; the API takes 1,024.
pub(crate) const EVENT_NOTE_BYTES: usize = 1_000;
/// Seconds a token is valid; the kubelet renews it long before. The least that Kubernetes allows.
pub(crate) const TOKEN_SECONDS: i64 = 600;
/// Seconds an executor has to finish what it began when its pod is deleted.
pub(crate) const POD_GRACE_SECONDS: i64 = 30;
/// Bytes of the executor's name that its pods' names keep.
pub(crate) const POD_PREFIX_BYTES: usize = 40;
/// Delay before a pod is made after one that failed, in milliseconds; doubled per failure in a row.
pub(crate) const POD_RETRY_BASE_MS: u64 = 1_000;
/// Longest delay before a pod is made after one that failed, in milliseconds.
pub(crate) const POD_RETRY_MAX_MS: u64 = 60_000;
/// A pod that ran for so many milliseconds did not fail to start.
pub(crate) const POD_STABLE_MS: u64 = 30_000;
/// Bytes of a message about a pod.
pub(crate) const POD_MESSAGE_BYTES: usize = 512;
/// Writes per second in the long run.
pub(crate) const STATUS_RATE: u32 = 50;
/// Writes at once after a rest.
pub(crate) const STATUS_BURST: u32 = 100;
/// Writes on their way.
pub(crate) const STATUS_AT_ONCE: usize = 8;
/// Wait after a failed write.
pub(crate) const STATUS_RETRY: Duration = Duration::from_secs(2);
/// Connections to the database.
pub(crate) const OPERATOR_CONNECTIONS: u32 = 16;
/// Wait before the database is tried again at the start.
pub(crate) const DATABASE_RETRY: Duration = Duration::from_secs(3);
/// How long a process owns its environments without renewing, in milliseconds.
pub(crate) const OWNER_LEASE_MS: u64 = 30_000;
