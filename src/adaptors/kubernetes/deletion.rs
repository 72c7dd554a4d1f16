//! Deleting one object: the one whose UID was recorded, and no other.
//!
//! | found | what happens |
//! |---|---|
//! | nothing, or no such kind | nothing: it is already deleted |
//! | another UID than the recorded one | nothing: whose it is, is judged when core asks once more without the record |
//! | the recorded UID | deleted, with the UID as a precondition |
//! | no record (a create that failed), and our field manager is not on it | nothing: it was never ours |
//! | no record, and it shows that our apply created it | deleted, with its UID as a precondition |
//! | no record, and others wrote it before we did | refused: it may be somebody else's |

use super::super::{Assessment, Desired, Difference};
use super::cluster::{Cluster, Place};
use super::errors::KubernetesError;
use super::identity::{RemoteIdentity, field_manager, has_applied, uid, was_created_by};
use super::manifest::{Manifest, ObjectKey};
use super::waiting::until_gone;
use crate::core::Change;
use serde_json::Value;
use tokio::time::Instant;

/// What `apply` deletes.
pub(crate) struct Doomed {
    place: Place,
    uid: String,
    deadline: Instant,
}

/// Finds out what there is to delete. Changes nothing.
pub(crate) async fn assess(
    cluster: &Cluster,
    desired: &Desired,
    deadline: Instant,
) -> Result<Assessment, KubernetesError> {
    let recorded = desired.remote_identity.as_deref().and_then(RemoteIdentity::parse);
    let key = match &recorded {
        Some(recorded) => recorded.key(),
        None => Manifest::parse(&desired.attributes)?.key,
    };
    let Some((place, live)) = cluster.read_recorded(&key).await? else {
        return Ok(nothing(format!("{key} is already deleted")));
    };
    let live_uid = uid(&live).unwrap_or_default();
    match recorded {
        Some(recorded) if recorded.uid == live_uid => {}
        Some(recorded) => {
            let was = recorded.uid;
            return Ok(nothing(format!(
                "{key} is already deleted (UID {was}); another object of that name (UID {live_uid}) is left alone"
            )));
        }
        None => match judge_unrecorded(&key, &live, &field_manager(&desired.environment))? {
            Verdict::Ours => {}
            Verdict::NeverOurs => {
                return Ok(nothing(format!("{key} (UID {live_uid}) was never applied from here; it is left alone")));
            }
        },
    }
    let difference = Difference { change: Change::Delete, diff: format!("- {key}\n") };
    let remote_identity = RemoteIdentity::of(&key, &live).and_then(|identity| identity.text());
    Ok(Assessment {
        difference,
        remote_identity,
        found: Box::new(Doomed { place, uid: live_uid.to_owned(), deadline }),
    })
}

/// Deletes, and waits until it is gone.
pub(crate) async fn carry_out(cluster: &Cluster, doomed: &Doomed) -> Result<(), KubernetesError> {
    match cluster.delete(&doomed.place, &doomed.uid).await {
        // gone, or replaced by a stranger, since it was read: what was to be deleted is deleted
        Ok(()) | Err(KubernetesError::NotFound { .. } | KubernetesError::Changed { .. }) => {}
        Err(error) => return Err(error),
    }
    until_gone(cluster, &doomed.place, &doomed.uid, doomed.deadline).await
}

fn nothing(remark: String) -> Assessment {
    Assessment {
        difference: Difference { change: Change::None, diff: remark },
        remote_identity: None,
        found: Box::new(()),
    }
}

/// Whose an object is that no attempt recorded.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ours,
    NeverOurs,
}

fn judge_unrecorded(key: &ObjectKey, live: &Value, manager: &str) -> Result<Verdict, KubernetesError> {
    if !has_applied(live, manager) {
        return Ok(Verdict::NeverOurs);
    }
    if was_created_by(live, manager) {
        return Ok(Verdict::Ours);
    }
    let uid = uid(live).unwrap_or_default().to_owned();
    Err(KubernetesError::NotProvablyOurs { object: key.to_string(), uid, manager: manager.to_owned() })
}
