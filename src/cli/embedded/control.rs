//! The control socket of a process that runs on: how other commands work on its environments while it holds the data folder.
//!
//! `control.sock` lies in the data folder, which only its owner may enter. A line is an order as JSON, and is answered by lines of JSON; several may
//! follow each other on one connection. Orders are those that a scheduler takes anyway, so the process does nothing for a command that the command
//! would not do itself. What is only read is read from history, beside the process; only what no history knows (who is connected, what is full) is asked.
//!
//! ```text
//! verb ─► Control (dial.rs) ─► control.sock ─► listen.rs ─► orders.rs ─► Scheduler
//! ```
//!
//! The end of an environment is the one order that is not the scheduler's: it goes to whoever runs environments (`cli/verbs/run/`).
//! Deliberately absent: commands of another release (refused), files (the command reads them), dry runs (they need no owner).

mod attend;
mod dial;
mod listen;
mod orders;

pub(crate) use dial::Control;
pub(crate) use listen::Listening;
pub(crate) use orders::{EndOrder, Registered, Registry};

use crate::cli::CliError;
use crate::cli::limits::{
    CONTROL_AGAIN, CONTROL_AT_ONCE, CONTROL_CONNECTIONS, CONTROL_LOOK, CONTROL_OPENING, CONTROL_PATIENCE,
    LARGE_ORDER_BYTES, ORDER_BYTES,
};
use crate::cli::verbs::{HeldDocument, WhyDocument};
use crate::core::{Counts, Forget, Hold, Name, Push, Request, RequestId, Settings, Suspension, Target, VersionNumber};
use crate::history::HistoryError;
use serde::{Deserialize, Serialize};

/// The socket's name in the data folder.
const SOCKET: &str = "control.sock";

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Order {
    /// Who is there.
    Hello {},
    /// Settings and targets, where they differ.
    Configure { environment: Name, settings: Settings, targets: Vec<Target> },
    /// Intent.
    Push { environment: Name, push: Push },
    /// Work, a suspension, its end, a cancellation.
    Request { environment: Name, request: Request },
    /// To know no longer.
    Forget { environment: Name, forget: Forget },
    /// To be told when nothing is left of these requests, nor of anything that is not as declared.
    Wait { environment: Name, requests: Vec<RequestId> },
    /// Why a resource is where it is.
    Why { environment: Name, name: String },
    /// What keeps a resource from running.
    Holds { environment: Name, name: String },
    /// To give the environment up and drop everything that is known of it; `empty`: only where nothing of it is left.
    End { environment: Name, empty: bool },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Answer {
    /// Which process, of which release, with which database, runs which environments, which of them it is only opening, and which of its manifests
    /// were ended by an order.
    Hello {
        process: u32,
        release: String,
        private: bool,
        environments: Vec<Name>,
        opening: Vec<Name>,
        ended: Vec<Name>,
    },
    /// Done, and recorded.
    Done,
    /// Accepted: this is the newest version.
    Version { version: VersionNumber },
    /// Recorded; it covers so many resources.
    Requested { request: RequestId, resources: usize },
    /// How far the wait is, and while nothing ends, what for; more follows.
    Progress { done: u64, left: u64, failed: u64, waits_for: Option<String> },
    /// History cannot be written, and is tried again: everything waits for it. More follows.
    Away { reason: String },
    /// It is written again.
    Back,
    /// The wait is over.
    Finished { version: VersionNumber, counts: Counts, held: Vec<HeldDocument>, suspensions: Vec<Suspension> },
    /// Why.
    Why { document: WhyDocument },
    /// The holds.
    Holds { holds: Vec<Hold> },
    /// Nothing is known of it any more; whether the files of the process still declare it.
    Ended { declared: bool },
    /// It was not done.
    Refused { kind: Kind, message: String },
}

/// What kind of error: the exit code of the command that asked depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// A name that does not exist.
    Usage,
    /// The intent was refused; the message lists the reasons.
    Intent,
    /// The environment is not held right now.
    Held,
    /// The order cannot be understood, or could not be carried out.
    Failed,
}

impl Answer {
    fn of(error: CliError) -> Self {
        let kind = match &error {
            CliError::Usage(_) => Kind::Usage,
            CliError::Refused(_) => Kind::Intent,
            CliError::History(HistoryError::Held { .. }) => Kind::Held,
            _ => Kind::Failed,
        };
        let message = match error {
            // The command that asked puts its own words around it.
            CliError::Refused(message) => message,
            error => error.report(),
        };
        Self::Refused { kind, message }
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::Refused { kind: Kind::Failed, message: message.into() }
    }

    /// What a command makes of an answer that it did not expect.
    pub(crate) fn unexpected(self) -> CliError {
        match self {
            Self::Refused { kind: Kind::Usage, message } => CliError::Usage(message),
            Self::Refused { kind: Kind::Intent, message } => CliError::Refused(message),
            Self::Refused { kind: Kind::Held, message } => super::EmbeddedError::Beside { message }.into(),
            Self::Refused { kind: Kind::Failed, message } => CliError::Scheduler(message),
            other => CliError::Defect(format!("the process that holds the data folder answered {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::arguments::StateOptions;
    use crate::cli::output::Output;

    #[test]
    fn orders_and_answers_survive_their_way() {
        let order = Order::Wait { environment: "house".into(), requests: vec![RequestId(3)] };
        let line = serde_json::to_string(&order).unwrap();
        assert_eq!(line, r#"{"order":"wait","environment":"house","requests":[3]}"#);
        assert!(
            matches!(serde_json::from_str(&line).unwrap(), Order::Wait { requests, .. } if requests == [RequestId(3)])
        );
        let hold = Hold::RequirementNotGood { name: "low".into(), error: Some("gone".into()) };
        let (counts, held, suspensions) = (Counts::default(), Vec::new(), Vec::new());
        let line =
            serde_json::to_string(&Answer::Finished { version: VersionNumber(1), counts, held, suspensions }).unwrap();
        assert!(
            matches!(serde_json::from_str(&line).unwrap(), Answer::Finished { counts, .. } if counts == Counts::default())
        );
        let line = serde_json::to_string(&Answer::Holds { holds: vec![hold.clone()] }).unwrap();
        assert!(matches!(serde_json::from_str(&line).unwrap(), Answer::Holds { holds } if holds == [hold]));
    }

    #[tokio::test]
    async fn a_process_is_found_however_long_the_path_of_its_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("long".repeat(40));
        let options = StateOptions { data_dir: data_dir.clone(), database_url: None, environment: None };
        assert!(Control::reach(&options, Output::default()).await.unwrap().is_none(), "there is no folder");
        std::fs::create_dir(&data_dir).unwrap();
        let (registry, _ends) = Registry::new(true);
        let _registered = registry.register("house".into());
        let listening = Listening::begin(&data_dir, registry).unwrap();
        let control = Control::reach(&options, Output::default()).await.unwrap().unwrap();
        assert!(control.expect("house").is_ok() && control.expect("barn").is_err());
        let order = Order::Why { environment: "house".into(), name: "motd".to_owned() };
        let closed = control.order(&order).await.unwrap_err();
        assert_eq!(closed.exit(), crate::cli::Exit::Held);
        let elsewhere = StateOptions { database_url: Some("postgres://elsewhere".to_owned()), ..options.clone() };
        assert!(
            Control::reach(&elsewhere, Output::default()).await.is_err(),
            "it would read one history and write another"
        );
        drop(listening);
        assert!(Control::reach(&options, Output::default()).await.unwrap().is_none());
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("stale")).unwrap());
        std::fs::rename(folder.path().join("stale"), data_dir.join(SOCKET)).unwrap();
        assert!(Control::reach(&options, Output::default()).await.unwrap().is_none(), "nobody is behind it any more");
    }

    #[tokio::test]
    async fn a_command_waits_for_what_has_been_announced_until_it_has_begun() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_owned();
        let options = StateOptions { data_dir: data_dir.clone(), database_url: None, environment: None };
        let (registry, _ends) = Registry::new(true);
        registry.announce("house".into());
        let _listening = Listening::begin(&data_dir, registry.clone()).unwrap();
        let mut reach = std::pin::pin!(Control::reach(&options, Output::default()));
        let looks = CONTROL_LOOK * 4;
        assert!(tokio::time::timeout(looks, &mut reach).await.is_err(), "the environment is not even registered");
        let registered = registry.register("house".into());
        assert!(tokio::time::timeout(looks, &mut reach).await.is_err(), "nothing is accepted yet");
        registered.begun();
        assert!(reach.await.unwrap().unwrap().expect("house").is_ok());
    }

    #[test]
    fn an_order_with_unknown_fields_is_refused() {
        assert!(serde_json::from_str::<Order>(r#"{"order":"hello","and":"more"}"#).is_err());
        assert!(serde_json::from_str::<Order>(r#"{"order":"delete everything"}"#).is_err());
    }
}
