//! What can go wrong within a call, and what the caller is told of it.

use std::sync::Arc;

use oneflight_store::StoreError;
use rusqlite::ErrorCode;

use crate::place::Place;

/// Why a step did not work out.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite said so.
    Sql(rusqlite::Error),
    /// A row is not what this crate writes.
    Malformed(String),
    /// The answer is no.
    Refused(String),
    /// There is no answer to be had.
    Unavailable(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// What to tell the caller, who asked about `key`.
    pub(crate) fn of(self, place: &Place, key: &str) -> StoreError {
        let malformed = |reason: String| StoreError::Malformed {
            key: key.into(),
            reason: reason.into(),
        };
        match self {
            Self::Malformed(reason) => malformed(reason),
            Self::Refused(cause) => StoreError::refused(format_args!("{place}: {cause}")),
            Self::Unavailable(cause) => StoreError::unavailable(format_args!("{place}: {cause}")),
            Self::Sql(error) => match decoding(error) {
                Ok(reason) => malformed(reason),
                Err(error) => from_sql(place, &error),
            },
        }
    }
}

/// The same for what concerns no key of its own.
pub(crate) fn from_sql(place: &Place, error: &rusqlite::Error) -> StoreError {
    let code = error.sqlite_error_code();
    if is_busy(error) {
        return StoreError::Unavailable(Arc::from(format!(
            "{place}: another process has kept it locked for {:?}",
            crate::busy::PATIENCE
        )));
    }
    if matches!(
        code,
        Some(
            ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied
                | ErrorCode::TooBig
        )
    ) {
        return StoreError::refused(format_args!("{place}: {error}"));
    }
    StoreError::unavailable(format_args!("{place}: {error}"))
}

/// Whether somebody else is in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// What is wrong with a column, if the row was read but the column is not of the kind this crate
/// writes; else the error as it was.
pub(crate) fn decoding(error: rusqlite::Error) -> Result<String, rusqlite::Error> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open, and all else is not about a column"
    )]
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => Ok(error.to_string()),
        other => Err(other),
    }
}
