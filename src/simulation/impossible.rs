//! Cells of the table that cannot be met, each with its reason. Every other one must be met by a run of many seeds, or the run fails: what the simulated
//! world does not do is not attacked.

use super::words::{Fault, Kind, State};

/// Why this can never happen; `None`: it can, and must.
pub(crate) fn why_impossible(state: State, kind: Kind, fault: Fault) -> Option<&'static str> {
    let of_attempt = matches!(kind, Kind::Begun | Kind::Succeeded | Kind::Failed | Kind::Revoked | Kind::RevokeRefused);
    let held = matches!(state, State::Granted | State::Running | State::Deleting | State::Tombstone);
    match (state, kind, fault) {
        (_, _, Fault::Repeated) if !of_attempt => Some(
            "only what an executor said of an attempt is heard twice: a call that is repeated is an event of its own",
        ),
        (State::Absent, Kind::Upsert | Kind::Remove | Kind::Forget, _) => None,
        (State::Absent, _, _) if !of_attempt => Some("it concerns what there is, and this is not there"),
        (_, _, _) if of_attempt && state != State::Absent && !held => {
            Some("the attempt is in an executor's hands, and with it the resource, or it has ended and is nobody's")
        }
        (_, Kind::Disconnected, Fault::None) => {
            Some("a stream breaks because something breaks it, not longer ago than that is felt")
        }
        (State::Running, Kind::Revoked, _) => Some(
            "an executor gives back only what it has not begun, and says that it has begun before anything else of it",
        ),
        (State::Granted, Kind::RevokeRefused, fault) if fault != Fault::Repeated => {
            Some("it is refused because it has begun, which the same ordered stream has told before")
        }
        (State::Unreleased | State::Queued | State::Deleting, Kind::Due, _) => Some(
            "it has no timer: what is not in force never had one, and it is taken from what is queued or being deleted",
        ),
        (_, Kind::Disconnected | Kind::Lost, _) if !held => Some("it concerns what that executor holds"),
        _ => None,
    }
}
