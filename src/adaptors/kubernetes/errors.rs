//! Why something failed on a cluster, in words for the user, and the one place where an answer of an API server is classified.

use kube::core::Status;
use std::error::Error as StdError;

/// Everything that can go wrong with an object on a cluster: what, where, why, what next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubernetesError {
    /// An attribute that cannot be sent as it is.
    #[error("attributes.{path}: {why}")]
    Attributes {
        /// Where in the attributes.
        path: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The target's connection does not lead to a cluster.
    #[error("the target's connection: {0}")]
    Connection(String),
    /// No kubeconfig and no pod, or a kubeconfig that cannot be used.
    #[error(
        "no way to a cluster: {why}; set `kubeconfig` in the target's connection, or run in a pod with a service account"
    )]
    Configuration {
        /// What was tried and why it did not work.
        why: String,
    },
    /// The API server cannot be talked to.
    #[error("cannot {call}: {url}: {why}")]
    Unreachable {
        /// What was to be done.
        call: String,
        /// Where.
        url: String,
        /// Why it did not work.
        why: String,
    },
    /// No answer in time.
    #[error("cannot {call}: {url} gave no answer within {seconds} s; it is tried again later")]
    TimedOut {
        /// What was to be done.
        call: String,
        /// Where.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The credentials are not accepted at all.
    #[error(
        "cannot {call}: {url} does not accept the credentials ({message}); renew the token or certificate of the kubeconfig or service account"
    )]
    Unauthorized {
        /// What was to be done.
        call: String,
        /// Where.
        url: String,
        /// The server's words.
        message: String,
    },
    /// The credentials are accepted but may not do this, or an admission rule is against it.
    #[error("cannot {call}: {message}{advice}")]
    Forbidden {
        /// What was to be done.
        call: String,
        /// The server's words: the user, the verb, the resource.
        message: String,
        /// Which rule would help, where that is known.
        advice: String,
    },
    /// What was asked for is not there.
    #[error("cannot {call}: {message}")]
    NotFound {
        /// What was to be done.
        call: String,
        /// The server's words.
        message: String,
        /// The thing that is missing, `kind name`; empty where the server knows no such path.
        missing: String,
    },
    /// Other managers own fields with other values.
    #[error(
        "cannot {call}: {fields}; either leave these fields out of the manifest, or let the other manager give them up, \
         or set `conflicts: TakeOver` to own them from now on"
    )]
    Conflict {
        /// What was to be done.
        call: String,
        /// `manager "x" owns .a, .b`.
        fields: String,
    },
    /// It is not the object any more that was read before.
    #[error(
        "cannot {call}: it was changed, deleted or replaced in the meantime ({message}); the next attempt reads it again"
    )]
    Changed {
        /// What was to be done.
        call: String,
        /// The server's words.
        message: String,
    },
    /// The object breaks a rule of its kind.
    #[error("cannot {call}: {causes}")]
    Invalid {
        /// What was to be done.
        call: String,
        /// Each field with its cause.
        causes: String,
    },
    /// Anything else the server said.
    #[error("cannot {call}: {url} answered {code}: {message}")]
    Refused {
        /// What was to be done.
        call: String,
        /// Where.
        url: String,
        /// The HTTP status code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The server knows no such kind.
    #[error(
        "{url} knows no kind {kind} in {api_version}; check the spelling, or apply the CustomResourceDefinition (or APIService) that brings \
         it first and name that resource in `requires`"
    )]
    UnknownKind {
        /// Where.
        url: String,
        /// As the manifest says.
        api_version: String,
        /// As the manifest says.
        kind: String,
    },
    /// It is there, as declared, and does not work.
    #[error("{object} is {stage} but not ready: {why}{after}")]
    NotReady {
        /// Which object.
        object: String,
        /// `applied` or `as declared`.
        stage: &'static str,
        /// Which condition is not met.
        why: String,
        /// How long was waited, where that ended it.
        after: String,
    },
    /// Somebody deletes what should be there.
    #[error("{object} is being deleted since {since}{held}; it is created again when it is gone")]
    Terminating {
        /// Which object.
        object: String,
        /// The server's time of the request.
        since: String,
        /// Which finalizers hold it, where some do.
        held: String,
    },
    /// Deleted, and not gone in time.
    #[error("{object} is deleted but still there after {seconds} s{held}; the next attempt goes on waiting")]
    StillThere {
        /// Which object.
        object: String,
        /// How long was waited.
        seconds: u64,
        /// Which finalizers hold it, where some do.
        held: String,
    },
    /// A delete without a recorded identity of something that may be somebody else's.
    #[error(
        "{object} (UID {uid}) is not deleted: no attempt recorded that it was created here, and it was written by others before {manager} \
         applied to it; delete it by hand if it should go, or forget the resource to leave it"
    )]
    NotProvablyOurs {
        /// Which object.
        object: String,
        /// Its unique id.
        uid: String,
        /// Our field manager.
        manager: String,
    },
}

impl KubernetesError {
    /// Whether the same call may succeed a moment later: the server, or the way to it, is in trouble.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            _ => false,
        }
    }
}

/// What was being done, for the words of an error.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `read ConfigMap shop/settings`.
    pub(crate) what: String,
    /// The API server's address.
    pub(crate) url: String,
}

impl Call {
    /// No answer in time.
    pub(crate) fn timed_out(self, seconds: u64) -> KubernetesError {
        KubernetesError::TimedOut { call: self.what, url: self.url, seconds }
    }

    /// Classifies what the client says.
    pub(crate) fn failed(self, error: kube::Error) -> KubernetesError {
        let Self { what: call, url } = self;
        match error {
            kube::Error::Api(status) => refusal(call, url, &status),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
                let why = "its answer is not that of a Kubernetes API server; is the address right?".to_owned();
                KubernetesError::Unreachable { call, url, why }
            }
            kube::Error::BuildRequest(error) => KubernetesError::Connection(error.to_string()),
            other => KubernetesError::Unreachable { call, url, why: transport(&other) },
        }
    }
}

fn refusal(call: String, url: String, status: &Status) -> KubernetesError {
    let message = one_line(&status.message);
    let conflicts = conflicting_fields(status);
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    let is_changed_uid = causes.iter().any(|cause| cause.field == "metadata.uid");
    match status.code {
        401 => KubernetesError::Unauthorized { call, url, message },
        403 => KubernetesError::Forbidden { call, advice: advice(&message), message },
        404 => KubernetesError::NotFound { call, message, missing: missing(status) },
        409 if !conflicts.is_empty() => KubernetesError::Conflict { call, fields: conflicts },
        409 => KubernetesError::Changed { call, message },
        422 if is_changed_uid => KubernetesError::Changed { call, message },
        422 if !causes.is_empty() => {
            let each = causes.iter().map(|cause| format!("{}: {}", cause.field, one_line(&cause.message)));
            KubernetesError::Invalid { call, causes: joined(each.collect()) }
        }
        // Bad requests, and the 500 with which server-side apply answers to a field that its schema does not know.
        400 | 500 if message.contains("typed patch object") || message.contains("strict decoding") => {
            KubernetesError::Invalid { call, causes: message }
        }
        code => KubernetesError::Refused { call, url, code, message },
    }
}

fn missing(status: &Status) -> String {
    status
        .details
        .as_ref()
        .filter(|details| !details.name.is_empty())
        .map_or_else(String::new, |details| format!("{} {}", details.kind, details.name))
}

/// `manager "kubectl" owns .spec.replicas`, manager by manager.
fn conflicting_fields(status: &Status) -> String {
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    let mut managers: Vec<(String, Vec<&str>)> = Vec::new();
    for cause in causes.iter().filter(|cause| cause.reason == "FieldManagerConflict") {
        let manager = cause.message.strip_prefix("conflict with ").unwrap_or(&cause.message);
        match managers.iter_mut().find(|(known, _)| known == manager) {
            Some((_, fields)) => fields.push(&cause.field),
            None => managers.push((manager.to_owned(), vec![&cause.field])),
        }
    }
    let each = managers.into_iter().map(|(manager, fields)| format!("manager {manager} owns {}", fields.join(", ")));
    joined(each.collect())
}

/// The API server's words name the user, the verb and the resource; this says what to do with them.
fn advice(message: &str) -> String {
    let said = message.split_once("User \"").and_then(|(_, rest)| rest.split_once("\" cannot "));
    let Some((user, (verb, rest))) = said.and_then(|(user, rest)| Some((user, rest.split_once(" resource \"")?)))
    else {
        return String::new(); // an admission rule, such as a quota: its own words say all
    };
    let resource = rest.split('"').next().unwrap_or_default();
    let who = user
        .strip_prefix("system:serviceaccount:")
        .map_or_else(|| format!("user {user}"), |account| format!("service account {}", account.replacen(':', "/", 1)));
    format!("; give {who} a role with the verb `{verb}` on `{resource}`")
}

/// The deepest cause says most; the well-known ones are said in words.
fn transport(error: &kube::Error) -> String {
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    let all = chain.join(": ");
    let deepest = one_line(chain.last().map_or("", String::as_str));
    let has = |text: &str| all.to_ascii_lowercase().contains(text);
    let kind = if has("certificate") || has("handshake") {
        "its certificate is not accepted (check the certificate authority, the name and the date)"
    } else if has("dns error") || has("failed to lookup") || has("name or service not known") {
        "its name cannot be resolved"
    } else if has("connection refused") {
        "nothing listens there"
    } else if has("timed out") || has("deadline has elapsed") {
        "no connection in time"
    } else if has("auth error") {
        "no credentials"
    } else {
        return deepest;
    };
    format!("{kind}: {deepest}")
}

/// A server's words on one line, bounded.
fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(2_000));
    line
}

fn joined(parts: Vec<String>) -> String {
    let mut distinct = parts;
    distinct.dedup();
    distinct.join("; ")
}

#[cfg(test)]
#[path = "errors/tests.rs"]
mod tests;
