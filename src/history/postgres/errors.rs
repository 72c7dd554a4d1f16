//! What a failed statement means: refused for good, or to be tried again; and which connections are not worth keeping.

use crate::history::HistoryError;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgDatabaseError;
use tokio::time::error::Elapsed;

/// Why work on a connection stopped.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database or the way to it.
    Sql(sqlx::Error),
    /// Something that history itself says.
    History(HistoryError),
}

impl Failure {
    /// Something that only a newer release can have written.
    pub(super) fn unknown(found: String) -> Self {
        Self::History(HistoryError::Schema {
            found,
            needed: "nothing that it does not know".into(),
            advice: "a newer release wrote it; run that release".into(),
        })
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::unknown(format!("JSON that does not parse ({error})"))
    }
}

/// What becomes of a connection, and what the caller is told, when work on it ended or was given up.
pub(super) fn settle<T>(
    connection: PoolConnection<Postgres>,
    doing: &'static str,
    result: Result<Result<T, Failure>, Elapsed>,
) -> Result<T, HistoryError> {
    let error = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(Failure::History(error))) => return Err(error),
        Ok(Err(Failure::Sql(error))) => error,
        Err(elapsed) => {
            drop(connection.detach()); // what it still does is unknown: the next user must not inherit it
            return Err(HistoryError::Unavailable { doing, source: Box::new(elapsed) });
        }
    };
    if !is_only_this_statement(&error) {
        drop(connection.detach());
    }
    Err(classify(doing, error))
}

/// What the database answered, in its own words. The library's would add a line of the database's own sources.
#[derive(Debug, thiserror::Error)]
#[error("the database says: {message} ({state}){}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub(super) struct Answer {
    pub(super) state: String,
    message: String,
    hint: Option<String>,
}

impl Answer {
    fn of(error: &sqlx::Error) -> Option<Self> {
        let database = error.as_database_error()?;
        let hint = database.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::hint);
        Some(Self { state: sqlstate(error)?, message: database.message().to_owned(), hint: hint.map(str::to_owned) })
    }
}

/// The caller's error for one of the database.
pub(super) fn classify(doing: &'static str, error: sqlx::Error) -> HistoryError {
    match Answer::of(&error) {
        Some(Answer { state, message, .. }) if is_about_the_data(&state) => HistoryError::Refused { reason: message },
        Some(Answer { state, message, .. }) if is_about_the_schema(&state) => without_schema(&message),
        _ => unavailable(doing, error),
    }
}

/// The caller's error for one that another try may not meet.
pub(super) fn unavailable(doing: &'static str, error: sqlx::Error) -> HistoryError {
    let source: Box<dyn std::error::Error + Send + Sync> = match Answer::of(&error) {
        Some(answer) => Box::new(answer),
        None => Box::new(error),
    };
    HistoryError::Unavailable { doing, source }
}

/// The same, of an error that came before there was any data: while a session was made.
pub(super) fn classify_session(doing: &'static str, error: sqlx::Error) -> HistoryError {
    match classify(doing, error) {
        // The role that we work as is not there.
        HistoryError::Refused { reason } => without_schema(&reason),
        other => other,
    }
}

/// Waiting does not bring it back.
fn without_schema(said: &str) -> HistoryError {
    HistoryError::Schema {
        found: format!("nothing that can be used ({said})"),
        needed: "the tables that it made".into(),
        advice: "they were dropped, or this is another database: restore a backup of it, or start again to begin with an empty history".into(),
    }
}

pub(super) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Whether the same data would fail again: wrong data, a violated constraint, a limit of the format.
fn is_about_the_data(state: &str) -> bool {
    ["21", "22", "23", "54"].iter().any(|class| state.starts_with(class))
}

/// Whether tables, columns or functions are not there at all.
fn is_about_the_schema(state: &str) -> bool {
    ["3F000", "42P01", "42703", "42704", "42883"].contains(&state)
}

/// Whether the connection is as good as before. Not after anything but an answer of the database; and not where that answer is that it has become
/// read-only (25006): a demoted primary would keep its connections for ever.
fn is_only_this_statement(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|state| {
        state != "25006" && !["08", "57P", "F0", "XX"].iter().any(|class| state.starts_with(class))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_datas_own_faults_are_refused_for_good() {
        for state in ["22021", "23505", "21000", "54000", "23001"] {
            assert!(is_about_the_data(state), "{state}");
        }
        for state in ["40001", "53100", "57014", "57P01", "25006", "42501", "08006"] {
            assert!(!is_about_the_data(state) && !is_about_the_schema(state), "{state}");
        }
    }

    #[test]
    fn a_lost_connection_is_worth_trying_again() {
        let error = classify("committing", sqlx::Error::PoolTimedOut);
        assert!(matches!(error, HistoryError::Unavailable { doing: "committing", .. }), "{error}");
    }
}
