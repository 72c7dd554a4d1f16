//! One attempt: what the adaptor is asked, and what can cut it short.
//!
//! Whatever happens in an adaptor becomes a result: an error, a panic, a deadline, a cancellation. The result is not given before everything that
//! worked on the attempt has ended, so that the next attempt on the target meets nobody. Secrets that fill attributes are read at the attempt, and
//! taken out of everything that it says: also of what its adaptor has said while it worked, which goes with the result.

use crate::adaptors::registry::is_at_or_below;
use crate::adaptors::{Adaptor, AdaptorError, Desired, FactValues, Log, SENSITIVE, Work, registry};
use crate::core::{Change, Hash, Operation, limits};
use crate::executor::inputs::Inputs;
use crate::executor::limits::MOST_DEADLINE_MS;
use crate::executor::protocol::{bounded, bounded_log, change_to_wire, facts_to_wire, operation_from_wire, wire};
use crate::executor::secrets::Secrets;
use futures::FutureExt as _;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};

/// Says to everything in progress that it is cancelled: `Some` reason, under a number that grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancellation {
    pub(super) number: u64,
    pub(super) reason: Arc<str>,
}

/// What is known of an attempt while it goes on.
#[derive(Default)]
struct Known {
    /// The change, once the adaptor has read.
    found: OnceLock<(Change, String)>,
    /// What must not be said.
    secrets: OnceLock<Secrets>,
}

/// How long an attempt may take.
pub(super) fn deadline(grant: &wire::Grant) -> Duration {
    let deadline_ms = if grant.deadline_ms == 0 { limits::DEFAULT_DEADLINE_MS } else { grant.deadline_ms };
    Duration::from_millis(deadline_ms.min(MOST_DEADLINE_MS))
}

/// Runs a grant to its end. The ages in the result are filled in when it is sent.
pub(super) async fn run(grant: &wire::Grant, cancellation: &mut watch::Receiver<Cancellation>) -> wire::Result {
    tracing::debug!(attempt = grant.attempt, name = grant.name, "begins");
    // Also what panics while an adaptor's future is dropped is caught here.
    let result = match AssertUnwindSafe(run_to_end(grant, cancellation)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => panicked_at_its_end(grant, panic.as_ref()),
    };
    tracing::debug!(attempt = grant.attempt, name = grant.name, error = result.error, "ended");
    result
}

/// Of a panic whose secrets are no longer at hand.
fn panicked_at_its_end(grant: &wire::Grant, panic: &(dyn Any + Send)) -> wire::Result {
    if meets_secrets(grant) {
        return failure(grant.attempt, "the adaptor panicked while it was cancelled");
    }
    failure(grant.attempt, &panic_message(panic))
}

/// A result that says why nothing was done.
pub(super) fn failure(attempt: u64, message: &str) -> wire::Result {
    wire::Result { attempt, error: bounded(message, limits::MESSAGE_BYTES).to_string(), ..wire::Result::default() }
}

async fn run_to_end(grant: &wire::Grant, cancellation: &mut watch::Receiver<Cancellation>) -> wire::Result {
    let (work, ended) = Work::new();
    let (adaptor, operation, desired, inputs) = match prepare(grant, work) {
        Ok(prepared) => prepared,
        Err(message) => return failure(grant.attempt, &message),
    };
    let (known, deadline, log) = (Known::default(), desired.deadline, desired.log.clone());
    let can_hide = hides_all(&*adaptor, &desired);
    let result = {
        let perform = AssertUnwindSafe(perform(&*adaptor, operation, desired, inputs, grant, &known)).catch_unwind();
        let overdue = tokio::time::sleep_until(Instant::now() + deadline);
        tokio::select! {
            biased;
            done = perform => match done {
                Ok(result) => result.map_err(|error| error.0),
                Err(panic) => Err(panic_message(panic.as_ref())),
            },
            reason = cancelled(cancellation) => Err(cut_short(&reason, &known)),
            () = overdue => Err(cut_short(
                &format!("the deadline of {} s passed; raise policy.deadline if it needs longer", deadline.as_secs_f64()),
                &known,
            )),
        }
    };
    ended.wait().await;
    report(grant.attempt, known, can_hide, &log, result)
}

/// Everything an adaptor needs, from what the owner sent.
fn prepare(grant: &wire::Grant, work: Work) -> Result<(Arc<dyn Adaptor>, Operation, Desired, Inputs), String> {
    let operation = operation_from_wire(grant.operation).ok_or_else(|| {
        format!("this executor does not know operation {}; is the operator newer than its executors?", grant.operation)
    })?;
    let adaptor = registry::adaptor(&grant.r#type).ok_or_else(|| {
        let kinds = registry::kinds().collect::<Vec<_>>().join(", ");
        format!("this executor has no adaptor for the type {}; it knows {kinds}", grant.r#type)
    })?;
    let json = |what: &str, text: &str| {
        serde_json::from_str(text).map_err(|error| format!("the {what} of {} is not JSON: {error}", grant.name))
    };
    let inputs = Inputs::parse(&grant.inputs)?;
    let desired = Desired {
        environment: grant.environment.clone(),
        name: grant.name.clone(),
        kind: grant.r#type.clone(),
        target: grant.target.clone(),
        connection: json("connection", &grant.connection)?,
        attributes: json("attributes", &grant.attributes)?,
        sensitive: inputs.sensitive().into_iter().chain(grant.once_secret.iter().cloned()).collect(),
        remote_identity: if grant.remote_identity.is_empty() { None } else { Some(grant.remote_identity.clone()) },
        reload: grant.reload && operation == Operation::Enforce,
        attempt: grant.attempt,
        deadline: deadline(grant),
        work,
        log: Log::default(),
    };
    Ok((adaptor, operation, desired, inputs))
}

/// What an attempt ends with, where nothing went wrong.
#[derive(Default)]
struct Done {
    remote_identity: Option<String>,
    facts: FactValues,
    secret_digest: Option<Hash>,
}

/// Fill, read, compare, and where that is wanted, change.
async fn perform(
    adaptor: &dyn Adaptor,
    operation: Operation,
    mut desired: Desired,
    inputs: Inputs,
    grant: &wire::Grant,
    known: &Known,
) -> Result<Done, AdaptorError> {
    let deleting = operation == Operation::Delete;
    let secret_digest = fill(&mut desired, inputs, deleting, known).await?;
    let rotated =
        secret_digest.is_some_and(|Hash(found)| !grant.secret_digest.is_empty() && *grant.secret_digest != found);
    if rotated && matches!(operation, Operation::Enforce | Operation::Observe) {
        // It was to verify what is deployed. That these secrets are others is an update, and its owner's to grant.
        let _ = known.found.set((Change::None, String::new()));
        return Ok(Done { secret_digest, ..Done::default() });
    }
    let desired = &desired;
    let assessment = adaptor.difference(desired, deleting).await?;
    let change = assessment.difference.change;
    let _ = known.found.set((change, assessment.difference.diff.clone()));
    let applies = matches!(operation, Operation::Enforce | Operation::Delete) && change != Change::None;
    let identity = if applies { adaptor.apply(desired, &assessment).await? } else { None };
    // Facts of what is still as it was.
    let of_secrets = !grant.once_secret.is_empty() && change != Change::None && operation != Operation::Enforce;
    let facts = match operation {
        _ if of_secrets => FactValues::new(),
        Operation::Enforce => adaptor.facts(desired, &assessment, true).await?,
        Operation::Observe => adaptor.facts(desired, &assessment, change == Change::None).await?,
        Operation::DryRun | Operation::Delete => FactValues::new(),
    };
    let remote_identity = identity.or_else(|| assessment.remote_identity.clone());
    Ok(Done { remote_identity, facts, secret_digest })
}

/// Fills the attributes; the digest of the secrets that are among them.
async fn fill(
    desired: &mut Desired,
    inputs: Inputs,
    deleting: bool,
    known: &Known,
) -> Result<Option<Hash>, AdaptorError> {
    let (inputs, secrets) = if inputs.sensitive().is_empty() {
        (inputs, Secrets::default())
    } else {
        let work = desired.work.clone();
        crate::adaptors::blocking(move || {
            let _work = work;
            inputs.open(deleting).map_err(AdaptorError)
        })
        .await?
    };
    let digest = if deleting { None } else { secrets.digest().map_err(AdaptorError)? };
    let _ = known.secrets.set(secrets);
    inputs.fill(&desired.kind, &mut desired.attributes, deleting).map_err(AdaptorError)?;
    Ok(digest)
}

/// Adaptors may come across some.
fn meets_secrets(grant: &wire::Grant) -> bool {
    !grant.once_secret.is_empty() || Inputs::parse(&grant.inputs).is_ok_and(|inputs| !inputs.sensitive().is_empty())
}

/// The adaptor shows nothing of what is secret here.
fn hides_all(adaptor: &dyn Adaptor, desired: &Desired) -> bool {
    let always = registry::schema(&desired.kind).map_or([].as_slice(), |schema| schema.sensitive);
    let known: Vec<&str> = adaptor.can_hide(&desired.kind).iter().chain(always).copied().collect();
    desired.sensitive.iter().all(|path| known.iter().any(|outer| is_at_or_below(path, outer)))
}

fn report(attempt: u64, known: Known, can_hide: bool, log: &Log, result: Result<Done, String>) -> wire::Result {
    let secrets = known.secrets.into_inner().unwrap_or_default();
    let mut report = wire::Result { attempt, ..wire::Result::default() };
    if let Some((change, diff)) = known.found.into_inner() {
        let diff = if can_hide || diff.is_empty() { secrets.redact(&diff) } else { format!("{SENSITIVE}\n") };
        report.change = change_to_wire(change).into();
        report.diff = bounded(&diff, limits::DIFF_BYTES).to_string();
    }
    // A verification that found everything as it should be has nothing to tell.
    if result.is_err() || report.change != i32::from(wire::Change::None) {
        let (text, before) = log.text();
        let text = secrets.redact(&text);
        // The mark of a cut has done its work by now.
        let text = text.strip_prefix('…').filter(|_| before > 0).map_or(&*text, str::trim_start);
        report.log = bounded_log(text, before).unwrap_or_default().to_string();
    }
    match result {
        Ok(done) if done.remote_identity.as_deref().is_some_and(|identity| !secrets.are_not_in(identity)) => {
            let why =
                "what the target calls it has a secret in it, and cannot be kept; the target may have been changed";
            report.error.push_str(why);
        }
        Ok(done) => {
            report.remote_identity = done.remote_identity.unwrap_or_default();
            report.facts = facts_to_wire(&done.facts);
            report.facts.retain(|fact| can_hide && !secrets.withhold() && secrets.are_not_in(&fact.value));
            report.secret_digest = done.secret_digest.map(|digest| digest.0.to_vec()).unwrap_or_default();
        }
        Err(message) => {
            // An empty error would be a success.
            let message = if message.trim().is_empty() { "the adaptor failed without saying why" } else { &message };
            report.error = bounded(&secrets.redact(message), limits::MESSAGE_BYTES).to_string();
        }
    }
    report
}

/// Resolves when everything in progress is cancelled.
async fn cancelled(cancellation: &mut watch::Receiver<Cancellation>) -> Arc<str> {
    match cancellation.changed().await {
        Ok(()) => Arc::clone(&cancellation.borrow_and_update().reason),
        Err(_) => "the executor is ending".into(),
    }
}

fn cut_short(why: &str, known: &Known) -> String {
    let (when, consequence) = match known.found.get() {
        None => ("reading", "nothing was changed"),
        Some(_) => ("changing the target", "the target may have been changed"),
    };
    format!("cancelled while {when}: {why} ({consequence})")
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the adaptor panicked: {}; this is a mistake in the adaptor, please report it",
        message.unwrap_or("without a message")
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn grant(kind: &str, operation: wire::Operation, attributes: &Value, inputs: &Value) -> wire::Grant {
        wire::Grant {
            attempt: 1,
            name: "r1".into(),
            r#type: kind.into(),
            target: "here".into(),
            connection: r#"{"type": "local"}"#.into(),
            operation: operation.into(),
            attributes: attributes.to_string(),
            inputs: if inputs.is_null() { String::new() } else { inputs.to_string() },
            ..wire::Grant::default()
        }
    }

    async fn result(grant: &wire::Grant) -> wire::Result {
        let (_sender, mut cancellation) = watch::channel(Cancellation::default());
        run(grant, &mut cancellation).await
    }

    /// What an attempt of a command says.
    async fn log(argv: Value, inputs: Value) -> String {
        let attributes = json!({"argv": argv, "creates": "/no/such/thing"});
        result(&grant("host.Command", wire::Operation::Enforce, &attributes, &inputs)).await.log
    }

    /// It may still be there as it was, and its facts may be any of it.
    #[tokio::test]
    async fn what_held_a_secret_and_was_not_written_since_has_no_facts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "a secret").unwrap();
        let observe =
            grant("host.File", wire::Operation::Observe, &json!({"path": path, "content": "plain"}), &Value::Null);
        let facts = async |once_secret: &[&str]| {
            let once_secret = once_secret.iter().map(ToString::to_string).collect();
            result(&wire::Grant { once_secret, ..observe.clone() }).await.facts.len()
        };
        assert_ne!(facts(&[]).await, 0);
        assert_eq!(facts(&["/content"]).await, 0);
    }

    #[test]
    fn a_panic_whose_secrets_are_no_longer_at_hand_is_not_quoted() {
        let error = |once_secret: &[&str], inputs: &Value| {
            let once_secret = once_secret.iter().map(ToString::to_string).collect();
            let grant = grant("host.File", wire::Operation::Enforce, &json!({}), inputs);
            panicked_at_its_end(&wire::Grant { once_secret, ..grant }, &"the canary").error
        };
        assert!(error(&[], &Value::Null).contains("panicked: the canary"));
        let withheld = "the adaptor panicked while it was cancelled";
        assert_eq!(error(&["/content"], &Value::Null), withheld);
        assert_eq!(error(&[], &json!([{"path": "/content", "values": {"t": {"file": "/x"}}}])), withheld);
    }

    #[test]
    fn what_has_a_secret_in_it_is_neither_an_identity_nor_a_fact() {
        let reported = |secret: &str, can_hide: bool, identity: &str| {
            let known = Known::default();
            let mut secrets = Secrets::default();
            secrets.add("/content", "value", secret);
            assert!(known.secrets.set(secrets).is_ok());
            let facts = [("told".to_owned(), json!("a canary-7 b")), ("plain".to_owned(), json!("c"))];
            let done = Done {
                remote_identity: Some(identity.to_owned()),
                facts: facts.into_iter().collect(),
                secret_digest: None,
            };
            let report = report(1, known, can_hide, &Log::default(), Ok(done));
            let names: Vec<String> = report.facts.into_iter().map(|fact| fact.name).collect();
            (report.remote_identity, names.join(" "), report.error)
        };
        let (none, plain) = (String::new(), "plain".to_owned());
        assert_eq!(reported("canary-7", true, "id"), ("id".to_owned(), plain, none.clone()));
        assert_eq!(
            reported("canary-7", false, "id"),
            ("id".to_owned(), none.clone(), none.clone()),
            "a fact may be any of it"
        );
        assert_eq!(reported("abc", true, "id"), ("id".to_owned(), none.clone(), none.clone()), "too short to be found");
        let (identity, facts, error) = reported("canary-7", true, "id-canary-7");
        assert_eq!((identity, facts), (none.clone(), none));
        assert!(error.contains("has a secret in it") && !error.contains("canary"), "{error}");
    }

    #[tokio::test]
    async fn the_log_has_no_secret_and_no_half_of_one_at_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = crate::executor::secrets::key_path(folder.path(), "house");
        crate::executor::secrets::make_key(&path).unwrap();
        crate::executor::secrets::use_key(&path).unwrap();
        let secret = (0..400).map(|number| format!("canary-{number}\n")).collect::<Vec<_>>().concat();
        std::fs::write(folder.path().join("secret"), &secret).unwrap();
        let inputs = json!([{"path": "/env/TOKEN", "values": {"t": {"file": folder.path().join("secret")}}}]);
        let said = async |script: &str| log(json!(["sh", "-c", script]), inputs.clone()).await;

        assert_eq!(said("echo \"before $TOKEN after\"").await, "before (sensitive) after\n");
        // It is cut in the midst of the secret, and once more where that is taken out.
        let cut =
            said("for n in $(seq 30); do echo \"$TOKEN\"; seq 99; done; printf %s \"$TOKEN\" | head -c 1000").await;
        assert!(cut.starts_with("… (") && cut.contains("\n99\n(sensitive)"), "{cut}");
        assert!(!cut.contains("canary"), "{cut}");
        let long = said("printf 'x%.0s' $(seq 16380); printf %s \"$TOKEN\" | tr -d '\\n'").await;
        assert!(long.starts_with("xxx") && long.len() <= limits::LOG_LINE_BYTES + 1, "{long}");
    }
}
