//! How a trace is written down, and how an action is made smaller.
//!
//! Deliberately absent: anything that plays a trace.

use super::super::super::{DeletionPolicy, Intent, IntentParts, Mode, Push, PushMode, Replace};
use super::world::Action;
use std::sync::Arc;

/// One action in a line.
pub(super) fn told(action: &Action) -> String {
    match action {
        Action::Push(push) => told_push(push),
        Action::DryRun(items) => {
            let items: Vec<_> = items.iter().map(|item| told_intent(&item.intent)).collect();
            format!("dry run {}", items.join("; "))
        }
        Action::Settings(settings) => {
            let repair = &settings.repair;
            format!(
                "settings suspend={} {:?} most={:?} repair {:?} {:?}",
                settings.suspend, settings.on_change, settings.max_in_flight, repair.schedule, repair.action
            )
        }
        Action::Target(target) => format!(
            "target {} pool={} concurrency={} suspend={} {:?} {:?}",
            target.name, target.pool, target.concurrency, target.suspend, target.rate_limit, target.windows
        ),
        other => format!("{other:?}"),
    }
}

fn told_push(push: &Push) -> String {
    let mode = if push.mode == PushMode::Whole { "whole" } else { "each" };
    let prune = if push.prune { " prune" } else { "" };
    let upserts = push.upserts.iter().map(|intent| told_intent(intent));
    let all: Vec<_> = upserts.chain(push.removals.iter().map(|name| format!("-{name}"))).collect();
    format!("push {} {mode}{prune}: {}", push.set, all.join("; "))
}

fn told_intent(intent: &Intent) -> String {
    let mut words = vec![format!("{}@{} {}", intent.name, intent.target, intent.attributes)];
    let policy = intent.policy;
    if policy.mode == Mode::Observe {
        words.push("observe".into());
    }
    if policy.deletion_policy == DeletionPolicy::Orphan {
        words.push("orphan".into());
    }
    if policy.protected {
        words.push("protected".into());
    }
    if policy.replace != Replace::DeleteFirst {
        words.push(format!("{:?}", policy.replace));
    }
    if policy.notify.send {
        words.push("send".into());
    }
    if !policy.notify.receive {
        words.push("deaf".into());
    }
    for input in &intent.inputs {
        words.push(format!("{}={:?}", input.path, input.values.values().next()));
    }
    if !intent.requires.is_empty() {
        words.push(format!("<- {}", intent.requires.join(" ")));
    }
    words.join(" ")
}

/// Every way in which a push can say less.
pub(super) fn smaller(action: &Action) -> Vec<Action> {
    let Action::Push(push) = action else { return Vec::new() };
    let mut all = Vec::new();
    for at in 0..push.upserts.len() {
        let mut less = push.clone();
        less.upserts.remove(at);
        all.push(Action::Push(less));
    }
    for at in 0..push.removals.len() {
        let mut less = push.clone();
        less.removals.remove(at);
        all.push(Action::Push(less));
    }
    for (at, intent) in push.upserts.iter().enumerate() {
        for edge in 0..intent.requires.len() {
            let mut parts: IntentParts = (**intent).clone().into();
            parts.requires.remove(edge);
            let mut less = push.clone();
            less.upserts[at] = Arc::new(Intent::new(parts));
            all.push(Action::Push(less));
        }
    }
    all
}
