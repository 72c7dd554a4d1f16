//! The words of the table that a run prints: in which state a resource was, what happened, and which fault was at work.

use crate::core::{Event, LastResult, Life, Operation, OutcomeKind, ResourceView};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is printed.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// What a resource is in when something happens to it.
    State {
        /// No live resource bears the name.
        Absent = "absent",
        /// Accepted, and never released.
        Unreleased = "unreleased",
        Undefined = "undefined",
        /// Waits, or is ready.
        Queued = "queued",
        Granted = "granted",
        Running = "running",
        Good = "good",
        /// Failed, and will be tried again.
        Failed = "failed",
        Skipped = "skipped",
        /// A difference was found and left.
        Drifted = "drifted",
        /// Removed, its delete not granted.
        Tombstone = "tombstone",
        /// Its delete is in an executor's hands.
        Deleting = "deleting",
    }
}

words! {
    /// What happens to it.
    Kind {
        Upsert = "upsert",
        Remove = "remove",
        Forget = "forget",
        Deploy = "deploy",
        Repair = "repair",
        Suspend = "suspend",
        Resume = "resume",
        Cancel = "cancel",
        Report = "report",
        /// Its facts as they are now.
        Refresh = "refresh",
        /// Removals and replacements are approved.
        Approve = "approve",
        Settings = "settings",
        Target = "target",
        TargetRemoved = "target-removed",
        Disconnected = "disconnected",
        Lost = "lost",
        Begun = "begun",
        Succeeded = "succeeded",
        Failed = "failed",
        Revoked = "revoked",
        RevokeRefused = "revoke-refused",
        /// Its timer is due.
        Due = "due",
    }
}

words! {
    /// What was wrong when it happened.
    Fault {
        None = "none",
        /// The owner before this one was killed, between two of its steps, commits or messages, and this one has just taken over.
        Crash = "crash",
        /// The answer to a commit was lost, or history is away.
        Store = "store",
        /// An owner was frozen, and another one may own the environment.
        Zombie = "zombie",
        /// A stream broke, an executor is cut off, frozen or killed.
        Executor = "executor",
        /// What its owner knows of what is configured is old.
        Stale = "stale",
        /// The event itself is heard a second time, late.
        Repeated = "repeated",
        /// The owner's clock is wrong.
        Clock = "clock",
        /// Many edits at once.
        Storm = "storm",
        /// Targets hang or refuse, or are changed by others.
        Target = "target",
    }
}

impl State {
    /// What the view of a resource says.
    pub(crate) fn of(view: Option<&ResourceView>) -> Self {
        let Some(view) = view else { return Self::Absent };
        if view.row.life == Life::Unreleased {
            return Self::Unreleased;
        }
        let tombstone = view.row.life == Life::Tombstone;
        match &view.running {
            Some(running) if running.operation == Operation::Delete => Self::Deleting,
            _ if tombstone => Self::Tombstone,
            Some(running) if running.begun => Self::Running,
            Some(_) => Self::Granted,
            None if view.blocked == crate::core::Blocked::Undefined => Self::Undefined,
            None if view.queued.is_some() => Self::Queued,
            None if view.row.skipped => Self::Skipped,
            None if view.good => Self::Good,
            None if view.row.last_result != LastResult::Failed && view.row.observed.differs() => Self::Drifted,
            None => Self::Failed,
        }
    }
}

/// An event in a line of the trace.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Push(push) => {
            let upserts: Vec<&str> = push.upserts.iter().map(|intent| &*intent.name).collect();
            let removals: Vec<&str> = push.removals.iter().map(|name| &**name).collect();
            let prune = if push.prune { ", prune" } else { "" };
            format!("push {:?} +[{}] -[{}]{prune}", push.mode, upserts.join(" "), removals.join(" "))
        }
        Event::Forget(forget) => format!("forget {}", forget.names.join(" ")),
        Event::Request(request) => format!("request {:?} {:?}", request.kind, request.scope),
        Event::DryRun(request) => format!("dry run of {}", request.items.len()),
        Event::SettingsChanged(settings) => format!(
            "settings suspend={} repair={:?} {:?} max_in_flight={:?} {:?}",
            settings.suspend,
            settings.repair.schedule,
            settings.repair.action,
            settings.max_in_flight,
            settings.on_change
        ),
        Event::TargetChanged(target) => format!(
            "target {} suspend={} concurrency={} rate={:?} windows={}+{}",
            target.name,
            target.suspend,
            target.concurrency,
            target.rate_limit,
            target.windows.deploy.len(),
            target.windows.repair.len()
        ),
        Event::TargetRemoved(name) => format!("target {name} removed"),
        Event::PoolChanged(pool) => format!("pool {} of {} to {}", pool.name, pool.min, pool.max),
        Event::PoolRemoved(name) => format!("pool {name} removed"),
        Event::PoolUnavailable(name, why) => format!("pool {name} unavailable: {why:?}"),
        Event::ExecutorConnected { executor, holds, .. } => format!("{executor} connected, holds {}", numbers(holds)),
        Event::ExecutorDisconnected(executor) => format!("{executor} disconnected"),
        Event::ExecutorLost(executor) => format!("{executor} lost"),
        Event::Begun(executor, attempts) => format!("{executor} began {}", numbers(attempts)),
        Event::RevokeRefused(executor, attempts) => format!("{executor} does not give back {}", numbers(attempts)),
        Event::Finished(executor, outcome) => {
            let how = match &outcome.kind {
                OutcomeKind::Succeeded(finding) => format!("succeeded ({:?})", finding.change),
                OutcomeKind::Failed { message, .. } => format!("failed ({message})"),
                other => format!("{other:?}"),
            };
            format!("{executor}, attempt {}: {how}", outcome.attempt)
        }
        Event::Tick => "its timer".to_owned(),
        other => format!("{other:?}"),
    }
}

fn numbers(attempts: &[crate::core::AttemptId]) -> String {
    let numbers: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(" "))
}
