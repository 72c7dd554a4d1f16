//! How many executor pods a pool should have, and what its pods say: pure decisions from what was last seen.
//!
//! A pod runs its executor once and is never restarted in place, so that a pod's UID names one process, and a pod that has ended or is gone is the
//! proof that nothing it held still runs. A pod that is only unreachable proves nothing; its lease decides.

use crate::cluster::limits::{POD_MESSAGE_BYTES, POD_RETRY_BASE_MS, POD_RETRY_MAX_MS, POD_STABLE_MS};
use crate::core::{Name, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What is known of one executor pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its object's name.
    pub name: String,
    /// Its UID: the executor's name.
    pub uid: Name,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Its process has ended, for good.
    pub ended: bool,
    /// Since when its container runs, if it does.
    pub running_since: Option<Timestamp>,
    /// Why it does not run, where that will not mend by waiting a moment.
    pub trouble: Option<String>,
}

impl Default for PodSeen {
    fn default() -> Self {
        Self { name: String::new(), uid: "".into(), deleting: false, ended: false, running_since: None, trouble: None }
    }
}

/// Reads a pod.
pub fn seen(pod: &Pod) -> PodSeen {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    let ended = matches!(phase.as_str(), "Succeeded" | "Failed");
    let unschedulable = status.conditions.unwrap_or_default().into_iter().find_map(|condition| {
        let unschedulable = condition.type_ == "PodScheduled" && condition.status == "False";
        unschedulable.then(|| condition.message.unwrap_or_else(|| "it cannot be scheduled".to_owned()))
    });
    let failed = (phase == "Failed").then(|| status.message.or(status.reason)).flatten();
    PodSeen {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default().into(),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        ended,
        running_since: containers.iter().find_map(running_since).filter(|_| !ended),
        trouble: containers.iter().find_map(container_trouble).or(failed).or(unschedulable).map(|text| bounded(&text)),
    }
}

/// Reasons for which the kubelet waits that are not just the way to a running container.
const STUCK: &[&str] = &[
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
];

fn running_since(container: &ContainerStatus) -> Option<Timestamp> {
    let started = container.state.as_ref()?.running.as_ref()?.started_at.as_ref();
    Some(Timestamp(started.map_or(0, |started| started.0.as_millisecond())))
}

fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().filter(|reason| STUCK.contains(reason))?;
        return Some(match &waiting.message {
            Some(message) => format!("{reason}: {message}"),
            None => reason.to_owned(),
        });
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let said = ended.message.as_deref().or(ended.reason.as_deref()).unwrap_or_default();
    Some(format!("its executor ended with exit code {}: {said}", ended.exit_code))
}

fn bounded(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= POD_MESSAGE_BYTES).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim().to_owned()
}

/// The bounds of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Pods kept even without work.
    pub min: u32,
    /// Pods at most.
    pub max: u32,
    /// Milliseconds without work after which pods beyond `min` are ended.
    pub idle_timeout_ms: u64,
}

/// What is remembered of a pool between two looks.
#[derive(Clone, Debug, Default)]
pub struct PoolState {
    /// Executors that the scheduler wants.
    wanted: u32,
    /// Since when fewer are wanted than there are.
    idle_since: Option<Timestamp>,
    /// Pods in a row that failed, and until when no other is made.
    failures: u32,
    wait_until: Option<Timestamp>,
    /// Executors that may still run, as far as was known.
    known: BTreeSet<Name>,
    /// Why the last pod could not be made.
    refused: Option<String>,
}

/// What is to be done about a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Pods to make.
    pub create: u32,
    /// Pods to delete: name and UID.
    pub delete: Vec<(String, Name)>,
    /// Executors that have provably ended.
    pub lost: Vec<Name>,
    /// Why the pool has no executor, where that will not mend by itself in a moment.
    pub unavailable: Option<String>,
    /// When to look again though nothing happens.
    pub wake_at: Option<Timestamp>,
}

impl PoolState {
    /// The scheduler wants so many executors; since the last look it wanted up to `peak`, if only for a moment.
    pub fn want(&mut self, executors: u32, peak: u32) {
        if peak > executors {
            self.idle_since = None;
        }
        self.wanted = executors;
    }

    /// A pod could not be made.
    pub fn refused(&mut self, why: &str, now: Timestamp) {
        self.refused = Some(bounded(why));
        self.failed(now);
    }

    /// A pod was made.
    pub fn created(&mut self) {
        self.refused = None;
    }

    /// Why the last pod could not be made, if it could not.
    pub fn refusal(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let delay =
            POD_RETRY_BASE_MS.saturating_mul(1 << self.failures.min(10).saturating_sub(1)).min(POD_RETRY_MAX_MS);
        self.wait_until = Some(now.after_ms(delay));
    }

    /// Decides. `pods` are all pods of the pool; `busy` those whose executors have work.
    pub fn decide(&mut self, bounds: Bounds, pods: &[PodSeen], busy: &BTreeSet<Name>, now: Timestamp) -> Decision {
        let mut decision = Decision { lost: self.ended(pods, now), ..Decision::default() };
        let alive: Vec<&PodSeen> = pods.iter().filter(|pod| !pod.ended && !pod.deleting).collect();
        if alive.iter().any(|pod| pod.running_since.is_some_and(|since| since.after_ms(POD_STABLE_MS) <= now)) {
            self.failures = 0;
            self.wait_until = None;
        }
        decision.delete = pods
            .iter()
            .filter(|pod| pod.ended && !pod.deleting)
            .map(|pod| (pod.name.clone(), pod.uid.clone()))
            .collect();

        let floor = bounds.min.min(bounds.max);
        let wanted = self.wanted.clamp(floor, bounds.max);
        let count = u32::try_from(alive.len()).unwrap_or(u32::MAX);
        match count.cmp(&wanted) {
            Ordering::Less => self.grow(wanted - count, now, &mut decision),
            Ordering::Equal => self.idle_since = None,
            Ordering::Greater => {
                let ends = self.idle_since.get_or_insert(now).after_ms(bounds.idle_timeout_ms);
                if count > bounds.max || ends <= now {
                    decision.delete.extend(surplus(&alive, busy, (count - wanted) as usize));
                } else {
                    decision.wake_at = Some(ends);
                }
            }
        }
        decision.unavailable = self.unavailable(pods, wanted);
        decision
    }

    fn grow(&mut self, missing: u32, now: Timestamp, decision: &mut Decision) {
        self.idle_since = None;
        match self.wait_until.filter(|until| *until > now) {
            Some(until) => decision.wake_at = Some(until),
            None => decision.create = missing,
        }
    }

    /// Executors that were known and have ended, or whose pod is gone.
    fn ended(&mut self, pods: &[PodSeen], now: Timestamp) -> Vec<Name> {
        let alive: BTreeSet<Name> = pods.iter().filter(|pod| !pod.ended).map(|pod| pod.uid.clone()).collect();
        let lost: Vec<Name> = self.known.difference(&alive).cloned().collect();
        let failed = pods.iter().any(|pod| pod.ended && pod.trouble.is_some() && self.known.contains(&pod.uid));
        self.known = alive;
        if failed {
            self.failed(now);
        }
        lost
    }

    fn unavailable(&self, pods: &[PodSeen], wanted: u32) -> Option<String> {
        if wanted == 0 || pods.iter().any(|pod| pod.running_since.is_some()) {
            return None;
        }
        let trouble =
            pods.iter().find_map(|pod| pod.trouble.as_ref().map(|trouble| format!("pod {}: {trouble}", pod.name)));
        self.refused.clone().or(trouble)
    }
}

/// The pods to give up: those without work, those that do not run first.
fn surplus(alive: &[&PodSeen], busy: &BTreeSet<Name>, count: usize) -> Vec<(String, Name)> {
    let mut idle: Vec<&&PodSeen> = alive.iter().filter(|pod| !busy.contains(&pod.uid)).collect();
    idle.sort_by_key(|pod| (pod.running_since.is_some(), pod.name.clone()));
    idle.into_iter().take(count).map(|pod| (pod.name.clone(), pod.uid.clone())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Bounds, PodSeen, PoolState, seen};
    use crate::core::{Name, Timestamp};
    use std::collections::BTreeSet;

    const BOUNDS: Bounds = Bounds { min: 0, max: 3, idle_timeout_ms: 60_000 };
    const NOW: Timestamp = Timestamp(1_000_000);

    fn pod(uid: &str) -> PodSeen {
        PodSeen {
            name: format!("pod-{uid}"),
            uid: uid.into(),
            deleting: false,
            ended: false,
            running_since: Some(Timestamp(0)),
            trouble: None,
        }
    }

    fn names(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| Name::from(*name)).collect()
    }

    #[test]
    fn grows_at_once_within_its_bounds() {
        let mut pool = PoolState::default();
        assert_eq!(pool.decide(BOUNDS, &[], &names(&[]), NOW).create, 0);
        pool.want(5, 5);
        assert_eq!(pool.decide(BOUNDS, &[pod("a")], &names(&[]), NOW).create, 2);
        let min = Bounds { min: 1, ..BOUNDS };
        assert_eq!(PoolState::default().decide(min, &[], &names(&[]), NOW).create, 1);
    }

    #[test]
    fn shrinks_after_the_idle_time_and_never_what_is_busy() {
        let mut pool = PoolState::default();
        pool.want(2, 2);
        let pods = [pod("a"), pod("b")];
        assert_eq!(pool.decide(BOUNDS, &pods, &names(&[]), NOW).delete, []);
        pool.want(0, 0);
        let early = pool.decide(BOUNDS, &pods, &names(&["a"]), NOW);
        assert_eq!((early.delete, early.wake_at), (vec![], Some(NOW.after_ms(60_000))));
        let late = pool.decide(BOUNDS, &pods, &names(&["a"]), NOW.after_ms(60_000));
        assert_eq!(late.delete, [("pod-b".to_owned(), Name::from("b"))]);
    }

    #[test]
    fn work_that_comes_back_resets_the_idle_time() {
        let mut pool = PoolState::default();
        let pods = [pod("a")];
        pool.decide(BOUNDS, &pods, &names(&[]), NOW);
        pool.want(1, 1);
        pool.decide(BOUNDS, &pods, &names(&[]), NOW.after_ms(50_000));
        pool.want(0, 0);
        assert_eq!(pool.decide(BOUNDS, &pods, &names(&[]), NOW.after_ms(70_000)).delete, []);
    }

    #[test]
    fn work_that_came_and_went_between_two_looks_counts() {
        let mut pool = PoolState::default();
        let pods = [pod("a")];
        for round in 0..10 {
            pool.want(0, 1);
            let decision = pool.decide(BOUNDS, &pods, &names(&[]), NOW.after_ms(round * 50_000));
            assert_eq!(decision.delete, []);
        }
    }

    #[test]
    fn only_a_pod_that_ended_or_is_gone_is_lost() {
        let mut pool = PoolState::default();
        let deleting = PodSeen { deleting: true, ..pod("a") };
        assert_eq!(pool.decide(BOUNDS, &[deleting.clone(), pod("b")], &names(&[]), NOW).lost, []);
        assert_eq!(pool.decide(BOUNDS, &[deleting, pod("b")], &names(&[]), NOW).lost, []);
        let ended = PodSeen { ended: true, running_since: None, ..pod("b") };
        assert_eq!(pool.decide(BOUNDS, std::slice::from_ref(&ended), &names(&[]), NOW).lost, ["a".into(), "b".into()]);
        let again = pool.decide(BOUNDS, &[ended], &names(&[]), NOW);
        assert_eq!((again.lost, again.delete), (vec![], vec![("pod-b".to_owned(), Name::from("b"))]));
    }

    #[test]
    fn a_pool_that_fails_waits_longer_each_time_and_says_why() {
        let mut pool = PoolState::default();
        pool.want(1, 1);
        pool.refused("pods \"x\" is forbidden: exceeded quota", NOW);
        let first = pool.decide(BOUNDS, &[], &names(&[]), NOW);
        assert_eq!((first.create, first.wake_at), (0, Some(NOW.after_ms(1_000))));
        assert_eq!(first.unavailable.as_deref(), Some("pods \"x\" is forbidden: exceeded quota"));
        pool.refused("again", NOW);
        assert_eq!(pool.decide(BOUNDS, &[], &names(&[]), NOW).wake_at, Some(NOW.after_ms(2_000)));
        assert_eq!(pool.decide(BOUNDS, &[], &names(&[]), NOW.after_ms(2_000)).create, 1);
        let well = pool.decide(BOUNDS, &[pod("a")], &names(&[]), NOW);
        assert_eq!((well.unavailable, well.wake_at), (None, None));
    }

    #[test]
    fn a_pod_that_cannot_pull_its_image_is_trouble() {
        let stuck: k8s_openapi::api::core::v1::Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "uid": "u"},
            "status": {"phase": "Pending", "containerStatuses": [{"name": "executor", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]},
        }))
        .unwrap();
        let seen = seen(&stuck);
        assert_eq!(seen.trouble.as_deref(), Some("ImagePullBackOff: Back-off pulling image \"x\""));
        assert!(seen.running_since.is_none() && !seen.ended);
        let mut pool = PoolState::default();
        pool.want(1, 1);
        let decision = pool.decide(BOUNDS, &[seen], &names(&[]), NOW);
        assert_eq!(decision.unavailable.as_deref(), Some("pod p: ImagePullBackOff: Back-off pulling image \"x\""));
    }
}
