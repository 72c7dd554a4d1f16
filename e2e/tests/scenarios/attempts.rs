//! What history says of a scenario, as few words as the scenarios need.

use e2e::failure::ensure;
use e2e::{Failure, Outcome, Scenario};
use serde_json::Value;

/// Operations, as `migrations/` number them.
const DELETE: u64 = 4;
/// Kinds of outcome, as `migrations/` number them.
pub(crate) const SUCCEEDED: u64 = 1;
pub(crate) const FAILED: u64 = 2;
pub(crate) const LOST: u64 = 4;

/// An attempt of history.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) name: String,
    pub(crate) deletes: bool,
    /// `None`: it has not ended.
    pub(crate) ended: Option<u64>,
    pub(crate) began_at_ms: i64,
    pub(crate) finished_at_ms: i64,
}

/// All attempts of a scenario that an executor was asked for, in the order in which they were granted.
pub(crate) async fn of(scenario: &Scenario) -> Outcome<Vec<Attempt>> {
    let rows = scenario.cluster.attempts(&scenario.namespace).await?;
    Ok(rows.iter().map(read).collect())
}

fn read(row: &Value) -> Attempt {
    let number = |column: &str| row[column].as_i64().unwrap_or_default();
    Attempt {
        name: row["name"].as_str().unwrap_or_default().to_owned(),
        deletes: row["operation"].as_u64() == Some(DELETE),
        ended: row["kind"].as_u64(),
        began_at_ms: number("began_at_ms"),
        finished_at_ms: number("finished_at_ms"),
    }
}

/// How the attempts at a resource ended, in order.
pub(crate) fn endings(attempts: &[Attempt], name: &str) -> Vec<Option<u64>> {
    attempts.iter().filter(|attempt| attempt.name == name).map(|attempt| attempt.ended).collect()
}

/// Each of these succeeded exactly once among the attempts, one after the other.
pub(crate) fn once_each_in_order<'a>(attempts: impl Iterator<Item = &'a Attempt>, names: &[&str]) -> Outcome {
    let mut succeeded: Vec<&Attempt> = attempts.filter(|attempt| attempt.ended == Some(SUCCEEDED)).collect();
    succeeded.sort_by_key(|attempt| (attempt.began_at_ms, attempt.finished_at_ms));
    let order: Vec<&str> = succeeded.iter().map(|attempt| attempt.name.as_str()).collect();
    ensure(order == names, || format!("the order was {order:?} instead of {names:?}"))?;
    for pair in succeeded.windows(2) {
        if let [first, second] = pair {
            ensure(first.finished_at_ms <= second.began_at_ms, || {
                format!("{} began before {} was finished", second.name, first.name)
            })?;
        }
    }
    Ok(())
}

/// Every attempt ended: nothing that was granted is forgotten.
pub(crate) fn all_ended(attempts: &[Attempt]) -> Outcome {
    match attempts.iter().find(|attempt| attempt.ended.is_none()) {
        Some(open) => Err(Failure::Wrong(format!("a grant has no outcome: {open:?}"))),
        None => Ok(()),
    }
}
