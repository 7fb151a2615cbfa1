//! From what SQLite says to what a port says.

use diesel::result::{DatabaseErrorKind, Error};
use ports::PortError;

/// The other side, in a user's words.
pub(crate) const STORE: &str = "the embedded store";

/// A [`PortError`] that diesel's errors turn into by themselves.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) PortError);

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(match &error {
            Error::DatabaseError(kind, info) => match kind {
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation => {
                    PortError::Refused { what: STORE, detail: info.message().to_owned() }
                }
                // The driver keeps no codes but those above; these texts are SQLite's own and part of its interface.
                _ => match info.message() {
                    "database is locked" => PortError::Contended { what: STORE },
                    text @ ("database disk image is malformed" | "file is not a database") => {
                        PortError::Corrupt { what: STORE, detail: text.to_owned() }
                    }
                    _ => unavailable(error),
                },
            },
            Error::DeserializationError(source) => PortError::Corrupt { what: STORE, detail: source.to_string() },
            Error::SerializationError(source) => PortError::Refused { what: STORE, detail: source.to_string() },
            _ => unavailable(error),
        })
    }
}

/// Nothing was written, and it may work later.
pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::Unavailable { what: STORE, source: source.into() }
}

/// Nobody knows whether it was written.
pub(crate) fn unknown(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::Unknown { what: STORE, source: source.into() }
}

/// This very request will never work.
pub(crate) fn refused(detail: impl Into<String>) -> Failure {
    Failure(PortError::Refused { what: STORE, detail: detail.into() })
}

/// What is stored cannot be read.
pub(crate) fn corrupt(detail: impl Into<String>) -> Failure {
    Failure(PortError::Corrupt { what: STORE, detail: detail.into() })
}
