//! What can go wrong with a call to the API server, and what to do about it.

use std::time::Duration;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server, or the way there, said no.
    #[error("cannot {doing} {object}: {}", brief(source))]
    Call {
        /// A verb and a noun: `write the status of`.
        doing: &'static str,
        /// `Kind namespace/name`.
        object: String,
        /// What was said.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer in time. Whether the call took effect is not known.
    #[error("cannot {doing} {object}: no answer within {} s", after.as_secs())]
    Timeout {
        /// A verb and a noun.
        doing: &'static str,
        /// `Kind namespace/name`.
        object: String,
        /// How long was waited.
        after: Duration,
    },
}

/// What to do after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The object is gone, or is another one by now: nothing is left to do.
    Gone,
    /// Somebody else was faster: look again and decide anew.
    Conflict,
    /// It is there already.
    AlreadyExists,
    /// The same call may succeed later.
    Backoff,
    /// It will not succeed until somebody changes something: a right, a quota, the object.
    WaitForChange,
}

impl ClusterError {
    /// What to do about it.
    pub fn class(&self) -> Class {
        let Self::Call { source, .. } = self else { return Class::Backoff };
        let kube::Error::Api(status) = &**source else { return Class::Backoff };
        match status.code {
            404 | 410 => Class::Gone,
            409 if status.is_already_exists() => Class::AlreadyExists,
            409 => Class::Conflict,
            400 | 401 | 403 | 405 | 413 | 415 | 422 => Class::WaitForChange,
            _ => Class::Backoff,
        }
    }

    /// Whether server-side apply failed because the stored object itself does not fit its definition: it was stored under another one.
    pub fn object_does_not_fit(&self) -> bool {
        let Self::Call { source, .. } = self else { return false };
        // In these words where it has managed fields, and where it has none yet.
        let words = ["failed to create typed live object", "failed to create manager for existing fields"];
        matches!(&**source, kube::Error::Api(status) if status.code == 500 && words.iter().any(|words| status.message.contains(words)))
    }

    /// Whether the call was refused because its namespace is being deleted.
    pub fn namespace_terminating(&self) -> bool {
        let Self::Call { source, .. } = self else { return false };
        let kube::Error::Api(status) = &**source else { return false };
        let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    }
}

/// What the API server said, in its own words; the debugging text of the library is left out.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("status {}", status.code),
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, ClusterError};

    fn answer(code: u16, reason: &str) -> ClusterError {
        answer_in_words(code, reason, "no")
    }

    fn answer_in_words(code: u16, reason: &str, words: &str) -> ClusterError {
        let status = kube::core::Status {
            code,
            reason: reason.to_owned(),
            message: words.to_owned(),
            ..kube::core::Status::default()
        };
        ClusterError::Call {
            doing: "write",
            object: "Pod a/b".to_owned(),
            source: Box::new(kube::Error::Api(status.boxed())),
        }
    }

    #[test]
    fn answers_are_classed() {
        let rows = [
            (404, "NotFound", Class::Gone),
            (409, "AlreadyExists", Class::AlreadyExists),
            (409, "Conflict", Class::Conflict),
            (403, "Forbidden", Class::WaitForChange),
            (422, "Invalid", Class::WaitForChange),
            (429, "TooManyRequests", Class::Backoff),
            (503, "ServiceUnavailable", Class::Backoff),
        ];
        for (code, reason, class) in rows {
            assert_eq!(answer(code, reason).class(), class, "{code}");
        }
        assert_eq!(answer(404, "").to_string(), "cannot write Pod a/b: no");
    }

    /// The words of API server 1.35, those of the object left out.
    #[test]
    fn a_stored_object_that_does_not_fit_is_known_by_what_apply_answers() {
        let rows = [
            (500, "failed to create typed live object (a/b; ...): .spec.x: field not declared in schema", true),
            (
                500,
                "failed to create manager for existing fields: failed to convert new object (a/b; ...) to smd typed",
                true,
            ),
            (500, "etcdserver: request timed out", false),
            (409, "failed to create typed live object", false),
        ];
        for (code, words, does_not_fit) in rows {
            assert_eq!(answer_in_words(code, "InternalError", words).object_does_not_fit(), does_not_fit, "{words}");
        }
    }
}
