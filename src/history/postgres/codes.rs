//! The small numbers by which enumerations are stored. A number is never given a second meaning; a new variant takes a new one and a migration that
//! widens the column's check.

use super::errors::Failure;
use crate::core::{Change, LastResult, Life, Observed, Operation, Reason, RequestKind};
use sqlx::Row;
use sqlx::postgres::PgRow;

/// An enumeration that is stored as a number.
pub(super) trait Code: Copy {
    /// The number of a variant.
    fn code(self) -> i16;
    /// The variant of a number.
    fn of(code: i16) -> Option<Self>;

    /// Reads it from a column.
    fn read(row: &PgRow, column: &str) -> Result<Self, Failure> {
        let code: i16 = row.try_get(column)?;
        Self::of(code).ok_or_else(|| Failure::unknown(format!("the value {code} in the column {column}")))
    }
}

macro_rules! codes {
    ($($type:ident { $($variant:ident = $code:literal),+ })+) => {
        $(impl Code for $type {
            fn code(self) -> i16 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            fn of(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        })+
    };
}

/// [`crate::core::OutcomeKind`] without what it carries.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    Succeeded,
    Failed,
    Revoked,
    Lost,
    Skipped,
}

codes! {
    Operation { Enforce = 1, Observe = 2, DryRun = 3, Delete = 4 }
    Reason { UserDeploy = 1, Change = 2, UserRepair = 3, DryRun = 4, Retry = 5, Repair = 6, Report = 7, FactRefresh = 8 }
    Ending { Succeeded = 1, Failed = 2, Revoked = 3, Lost = 4, Skipped = 5 }
    Change { None = 1, Create = 2, Update = 3, Replace = 4, Delete = 5 }
    RequestKind { Deploy = 1, Repair = 2, Suspend = 3, Resume = 4, Cancel = 5, Report = 6, ApproveRemovals = 7, FactRefresh = 8 }
    Life { Live = 1, Tombstone = 2, Orphan = 3, Deleted = 4, Unreleased = 5 }
    LastResult { New = 1, Succeeded = 2, Failed = 3 }
    Observed { Unknown = 1, Same = 2, Differs = 3, Reported = 4 }
}
