//! How a connection ends: its close code, and what the client is told.

use std::fmt::Write as _;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wire::frames::Cursor;

/// The longest reason that fits a close frame.
const MAX_REASON: usize = 123;

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// The client left, or the socket broke: there is nobody to tell.
    Gone,
    /// The client is told.
    Close {
        /// The close code.
        code: u16,
        /// The close code in a word, for metrics.
        label: &'static str,
        /// In words.
        reason: String,
    },
}

impl Goodbye {
    fn close(code: u16, label: &'static str, reason: impl Into<String>) -> Self {
        Self::Close { code, label, reason: reason.into() }
    }

    /// 1002: it does not speak the protocol.
    pub(crate) fn protocol() -> Self {
        Self::close(1002, "protocol", "the WebSocket protocol was violated")
    }

    /// 1003: it sent bytes.
    pub(crate) fn binary() -> Self {
        Self::close(1003, "binary", "only text frames are accepted")
    }

    /// 1007: what it sent is not UTF-8.
    pub(crate) fn not_utf8() -> Self {
        Self::close(1007, "not_utf8", "text frames must be UTF-8")
    }

    /// 1008: it does not stop sending what is refused.
    pub(crate) fn too_many_errors() -> Self {
        Self::close(1008, "too_many_errors", "too many refused frames in a row")
    }

    /// 1009: it sent too much at once.
    pub(crate) fn too_big() -> Self {
        Self::close(1009, "too_big", "a frame may have at most 16384 bytes")
    }

    /// 1001: it gives no sign of life.
    pub(crate) fn silent() -> Self {
        Self::close(1001, "silent", "no answer to pings")
    }

    /// 1012: the service stops; `again_in` spreads those who come back.
    pub(crate) fn restart(again_in: Duration) -> Self {
        Self::close(1012, "restart", format!("the service restarts; reconnect in {} ms", again_in.as_millis()))
    }

    /// 1013: something behind does not answer.
    pub(crate) fn unavailable() -> Self {
        Self::close(1013, "unavailable", "temporarily unavailable")
    }

    /// 4401: there is no valid token.
    pub(crate) fn unauthenticated(reason: impl Into<String>) -> Self {
        Self::close(4401, "unauthenticated", reason)
    }

    /// 4403: the token gives no right to be here at all.
    pub(crate) fn forbidden(reason: impl Into<String>) -> Self {
        Self::close(4403, "forbidden", reason)
    }

    /// 4008: the client does not keep up.
    pub(crate) fn slow() -> Self {
        Self::close(4008, "slow", "too slow")
    }

    /// 4429: too many of something.
    pub(crate) fn too_many(what: &str) -> Self {
        Self::close(4429, "too_many", format!("too many {what}"))
    }

    /// Tells a client that is to come back from where it can resume.
    pub(crate) fn resumable_from(mut self, cursor: Option<Cursor>) -> Self {
        if let (Self::Close { code: 1012 | 1013 | 4008, reason, .. }, Some(cursor)) = (&mut self, cursor) {
            let _ = write!(reason, "; cursor={cursor}");
        }
        self
    }

    /// The word for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Close { label, .. } => label,
        }
    }

    /// The frame that tells the client.
    pub(crate) fn frame(&self) -> Option<CloseFrame> {
        match self {
            Self::Gone => None,
            Self::Close { code, reason, .. } => {
                let fits = (0..=MAX_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
                let reason = &reason[..fits.unwrap_or(0)];
                Some(CloseFrame { code: CloseCode::from(*code), reason: reason.into() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_never_exceeds_a_close_frame_and_stays_text() {
        let frame = Goodbye::forbidden("ä".repeat(100)).frame().expect("is told");
        assert_eq!(frame.code, CloseCode::Library(4403));
        assert_eq!(frame.reason.as_str(), "ä".repeat(61));
    }

    #[test]
    fn a_slow_client_is_told_where_to_resume() {
        let cursor = Cursor { position: ports::journal::Position(42), k: 1 };
        let frame = Goodbye::slow().resumable_from(Some(cursor)).frame().expect("is told");
        assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Library(4008), "too slow; cursor=42-1"));
    }
}
