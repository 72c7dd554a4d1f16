//! Small helpers that let a case read as what happens.

use crate::core::{
    AttemptId, Change, DeletionPolicy, Epoch, FactRef, Facts, Finding, Grant, Input, InputSource, Intent, IntentParts,
    IntentRecord, LastResult, Mode, Name, Notify, Observed, Operation, Outcome, OutcomeKind, Policy, Reason, Record,
    ReloadDebt, ResourceId, ResourceRow, Timestamp, VersionNumber, VersionRecord,
};
use crate::history::{Batch, Fence, HistoryError, Owner, Store};
use std::sync::Arc;

pub(super) type AnyStore = Arc<dyn Store>;

/// Long enough that nothing expires in a test.
pub(super) const LONG_MS: u64 = 600_000;

pub(super) fn owner(id: &str, lease_ms: u64) -> Owner {
    Owner { id: id.into(), description: format!("{id} on a host").into(), lease_ms }
}

/// An owned environment that numbers its batches.
pub(super) struct Owned {
    pub(super) store: AnyStore,
    pub(super) fence: Fence,
    pub(super) last_batch: u64,
}

impl Owned {
    pub(super) async fn take(store: &AnyStore, name: &str) -> Self {
        let fence = store.take(name, &owner("first", LONG_MS), &[]).await.unwrap();
        Self { store: Arc::clone(store), fence, last_batch: 0 }
    }

    /// Commits the next batch; a refused one does not use up its number.
    pub(super) async fn commit(&mut self, records: Vec<Record>, rows: Vec<ResourceRow>) -> Result<(), HistoryError> {
        let batch = Batch { number: self.last_batch + 1, records, rows };
        let result = self.store.commit(&self.fence, &batch).await;
        self.last_batch += u64::from(result.is_ok());
        result
    }

    /// Versions, grants, outcomes as they come, each in a batch of its own.
    pub(super) async fn record(&mut self, records: Vec<Record>) {
        for record in records {
            self.commit(vec![record], vec![]).await.unwrap();
        }
    }
}

pub(super) fn name(text: &str) -> Name {
    text.into()
}

/// The intent of a file, with everything set that can be.
pub(super) fn intent(called: &str, content: &str) -> Arc<Intent> {
    intent_within(called, content, 7)
}

/// The same with a deadline of its own, and so a policy of its own.
pub(super) fn intent_within(called: &str, content: &str, deadline_ms: u64) -> Arc<Intent> {
    Arc::new(Intent::new(IntentParts {
        name: called.into(),
        kind: "host.File".into(),
        target: "host-1".into(),
        identity: format!(r#"{{"path":"/{called}"}}"#).into(),
        attributes: format!(r#"{{"content":"{content}","path":"/{called}"}}"#).into(),
        requires: vec!["ä \"quoted\" \\ name".into(), "network".into()],
        inputs: vec![
            Input::of("/mode".into(), fact()),
            Input { path: "/owner".into(), format: Some("{a}\0 ü".into()), values: [("a".into(), fact())].into() },
        ],
        labels: [("example.org/app".into(), "web".into()), ("empty".into(), "".into())].into(),
        policy: Policy {
            mode: Mode::Observe,
            deletion_policy: DeletionPolicy::Orphan,
            protected: true,
            replace: crate::core::Replace::CreateFirst,
            deadline_ms,
            notify: Notify { send: true, receive: false },
        },
    }))
}

fn fact() -> InputSource {
    InputSource::Fact(FactRef { name: "network".into(), fact: "address".into() })
}

pub(super) fn wants(resource: u32, called: &str, content: &str) -> IntentRecord {
    IntentRecord {
        resource: ResourceId(resource),
        name: called.into(),
        set: "default".into(),
        intent: Some(intent(called, content)),
    }
}

pub(super) fn removes(resource: u32, called: &str) -> IntentRecord {
    IntentRecord { resource: ResourceId(resource), name: called.into(), set: "default".into(), intent: None }
}

pub(super) fn version(number: u64, intents: Vec<IntentRecord>) -> Record {
    Record::Version(VersionRecord {
        number: VersionNumber(number),
        at: Timestamp(1_700_000_000_000 + number as i64),
        author: "ana".into(),
        source: "manifests".into(),
        message: format!("change {number}").into(),
        intents,
    })
}

pub(super) fn grant(attempt: u64, resource: u32, called: &str) -> Record {
    let executor = name(&format!("executor-{}", attempt % 2));
    Record::Grant(
        executor,
        Arc::new(Grant {
            attempt: AttemptId(attempt),
            epoch: Epoch(1),
            resource: Some(ResourceId(resource)),
            intent: intent(called, "1"),
            hash: intent(called, "1").hash(),
            facts: Vec::new(),
            secret_digest: None,
            once_secret: std::collections::BTreeSet::new(),
            version: VersionNumber(1),
            reason: Reason::Retry,
            operation: Operation::Observe,
            connection: r#"{"type":"local"}"#.into(),
            concurrency: 1,
            remote_identity: None,
            reload: attempt.is_multiple_of(2).then(|| "motd".into()),
            granted_at: Timestamp(10 * attempt as i64),
        }),
    )
}

pub(super) fn ended(attempt: u64, resource: u32, kind: OutcomeKind) -> Record {
    let began_at = (!matches!(kind, OutcomeKind::Skipped { .. } | OutcomeKind::Revoked))
        .then(|| Timestamp(10 * attempt as i64 + 1));
    let log = log_of(attempt);
    let outcome =
        Outcome { attempt: AttemptId(attempt), began_at, finished_at: Timestamp(10 * attempt as i64 + 2), kind, log };
    Record::Outcome { resource: ResourceId(resource), outcome }
}

/// The same, reported after it had been closed as lost.
pub(super) fn late(attempt: u64, kind: OutcomeKind) -> Record {
    let Record::Outcome { outcome, .. } = ended(attempt, 0, kind) else { unreachable!() };
    Record::LateResult(outcome)
}

/// What its adaptor said: every third one has something to say.
pub(super) fn log_of(attempt: u64) -> Option<Name> {
    attempt.is_multiple_of(3).then(|| format!("tried {attempt} times\n\tand said ü").into())
}

pub(super) fn succeeded(attempt: u64, resource: u32) -> Record {
    ended(attempt, resource, OutcomeKind::Succeeded(Finding::same()))
}

pub(super) fn skipped(attempt: u64, resource: u32) -> Record {
    ended(attempt, resource, OutcomeKind::Skipped { because: "network".into() })
}

/// Facts with values of every kind.
pub(super) fn facts() -> Facts {
    Facts::new([("size", "5"), ("owner", "\"ü \\n\\\\\""), ("list", "[1,null,{\"a\":true}]")])
}

/// Every kind of end, with and without what it may carry.
pub(super) fn all_endings() -> Vec<OutcomeKind> {
    let found = |change| Finding {
        change,
        diff: "- a\n+ ü".into(),
        remote_identity: Some("id-1".into()),
        facts: facts(),
        secret_digest: None,
    };
    vec![
        OutcomeKind::Succeeded(Finding::same()),
        OutcomeKind::Succeeded(found(Change::Create)),
        OutcomeKind::Succeeded(found(Change::Update)),
        OutcomeKind::Succeeded(found(Change::Replace)),
        OutcomeKind::Succeeded(found(Change::Delete)),
        OutcomeKind::Failed { message: "no route to host".into(), finding: None },
        OutcomeKind::Failed { message: "".into(), finding: Some(found(Change::Update)) },
        OutcomeKind::Revoked,
        OutcomeKind::Lost,
        OutcomeKind::Skipped { because: "network".into() },
    ]
}

/// A row with nothing known yet.
pub(super) fn new_row(resource: u32, intent: Arc<Intent>, version: u64) -> ResourceRow {
    ResourceRow::new(ResourceId(resource), "default".into(), intent, VersionNumber(version))
}

/// A row with everything known that can be.
pub(super) fn full_row(resource: u32, intent: Arc<Intent>, version: u64) -> ResourceRow {
    ResourceRow {
        after: Some(ResourceId(4_000_000_000)),
        attempted: Some(intent.hash()),
        succeeded: Some(intent.content()),
        last_result: LastResult::Failed,
        skipped: true,
        observed: Observed::Differs,
        failures: u32::MAX,
        due_at: Some(Timestamp(-1)),
        verified_at: Some(Timestamp(i64::MAX)),
        deployed_at: Some(Timestamp(0)),
        last_attempt: Some(AttemptId(7)),
        changed_by: Some(AttemptId(6)),
        error: Some("failed\twith ☃".into()),
        drift: Some("- a\n+ b".into()),
        remote_identity: Some("".into()),
        facts: facts(),
        facts_in_force: Some("network address \"10.0.0.1\"\n".into()),
        secret_digest: Some(intent.hash()),
        once_secret: ["/content".into()].into(),
        reload: Some(ReloadDebt { because: "motd".into(), after: AttemptId(5) }),
        maybe_changed: true,
        removal_approved: true,
        ..new_row(resource, intent, version)
    }
}

/// What a refusal says.
pub(super) fn refusal(result: &Result<(), HistoryError>) -> String {
    match result {
        Err(HistoryError::Refused { reason }) => reason.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

pub(super) fn is_fenced<T>(result: &Result<T, HistoryError>) -> bool {
    matches!(result, Err(HistoryError::Fenced { .. }))
}
