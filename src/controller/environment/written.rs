//! What was last written to the status of environments, targets and executors: what reads the same is not written again.

use crate::api::{EnvironmentStatus, ExecutorStatus, TargetStatus};
use crate::controller::seen::{Handled, SeenEnvironment, SeenExecutor, SeenTarget};
use std::collections::BTreeMap;

/// The last status of one object.
pub(super) struct Last<S> {
    uid: String,
    pub(super) status: S,
    /// Requests that were handled.
    pub(super) handled: Handled,
}

/// The last status of everything but resources.
#[derive(Default)]
pub(super) struct Written {
    environment: Option<Last<EnvironmentStatus>>,
    targets: BTreeMap<String, Last<TargetStatus>>,
    executors: BTreeMap<String, Last<ExecutorStatus>>,
}

impl Written {
    /// What was last written of the environment, or read where nothing was.
    pub(super) fn environment(&mut self, seen: &SeenEnvironment) -> &mut Last<EnvironmentStatus> {
        let first = || Last {
            uid: seen.meta.uid.clone(),
            handled: Handled {
                approval: seen.status.last_handled_approval_at.as_ref().map(|token| token.0.clone()),
                ..Handled::read(
                    seen.status.last_handled_deploy_at.as_ref(),
                    seen.status.last_handled_repair_at.as_ref(),
                )
            },
            status: seen.status.clone(),
        };
        if self.environment.as_ref().is_some_and(|last| last.uid != seen.meta.uid) {
            self.environment = None;
        }
        self.environment.get_or_insert_with(first)
    }

    /// As for the environment.
    pub(super) fn target(&mut self, seen: &SeenTarget) -> &mut Last<TargetStatus> {
        self.targets.retain(|name, last| *name != seen.meta.name || last.uid == seen.meta.uid);
        self.targets.entry(seen.meta.name.clone()).or_insert_with(|| Last {
            uid: seen.meta.uid.clone(),
            handled: Handled::read(
                seen.status.last_handled_deploy_at.as_ref(),
                seen.status.last_handled_repair_at.as_ref(),
            ),
            status: seen.status.clone(),
        })
    }

    /// As for the environment.
    pub(super) fn executor(&mut self, seen: &SeenExecutor) -> &mut Last<ExecutorStatus> {
        self.executors.retain(|name, last| *name != seen.meta.name || last.uid == seen.meta.uid);
        self.executors.entry(seen.meta.name.clone()).or_insert_with(|| Last {
            uid: seen.meta.uid.clone(),
            handled: Handled::default(),
            status: seen.status.clone(),
        })
    }
}
