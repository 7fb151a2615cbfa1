//! From the driver's errors to those of ports: may I retry, was it written?

use fred::error::{Error, ErrorKind};
use ports::PortError;

/// The other side, in a user's words.
pub(crate) const REDIS: &str = "Redis";

/// Of a call that changes nothing.
pub(crate) fn reading(error: Error) -> PortError {
    if is_fenced(&error) {
        return PortError::Contended { what: "the inbound stream in Redis" };
    }
    if is_refusal(&error) {
        return PortError::Refused { what: REDIS, detail: error.to_string() };
    }
    PortError::Unavailable { what: REDIS, source: error.into() }
}

/// Of a call that changes something. What was cut off on its way may have arrived all the same.
pub(crate) fn writing(error: Error) -> PortError {
    match error.kind() {
        ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Protocol | ErrorKind::Parse => {
            PortError::Unknown { what: REDIS, source: error.into() }
        }
        _ => reading(error),
    }
}

/// An answer that does not look as it must.
pub(crate) fn odd(detail: impl Into<String>) -> PortError {
    PortError::Corrupt { what: REDIS, detail: detail.into() }
}

/// Whether the group is not there (any more): the answer to a call, or to one that was waiting when it vanished.
pub(crate) fn is_group_lost(error: &Error) -> bool {
    error.details().starts_with("NOGROUP") || error.details().starts_with("UNBLOCKED")
}

/// Whether the call came from a consumer that another one has taken over from.
fn is_fenced(error: &Error) -> bool {
    error.details().starts_with("FENCED")
}

fn is_refusal(error: &Error) -> bool {
    error.details().starts_with("WRONGTYPE")
}
