//! What clients send.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::fields::{self, Fault};

/// A frame from a client; the answer repeats its `id`.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub enum ClientFrame {
    /// Says who is there: the first frame where the request had no token, later a newer token of the same person.
    Authenticate {
        /// A JSON Web Token.
        token: String,
        /// The client's number of this frame.
        id: Option<u64>,
    },
    /// Listens to a channel.
    Subscribe {
        /// `campaign:<id>`, `owner:<id>`, `tenant` or `system`.
        channel: String,
        /// The last cursor that was seen; without it, a snapshot comes first.
        since: Option<String>,
        /// The client's number of this frame.
        id: Option<u64>,
    },
    /// Listens no more.
    Unsubscribe {
        /// The channel.
        channel: String,
        /// The client's number of this frame.
        id: Option<u64>,
    },
    /// Asks for a `pong`.
    Ping {
        /// The client's number of this frame.
        id: Option<u64>,
    },
}

impl ClientFrame {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`Fault`] names the field.
    pub fn read(text: &str) -> Result<Self, Fault> {
        fields::read(text)
    }
}

/// Never shows a token.
impl fmt::Debug for ClientFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authenticate { token: _, id } => {
                f.debug_struct("Authenticate").field("id", id).finish_non_exhaustive()
            }
            Self::Subscribe { channel, since, id } => {
                f.debug_struct("Subscribe").field("channel", channel).field("since", since).field("id", id).finish()
            }
            Self::Unsubscribe { channel, id } => {
                f.debug_struct("Unsubscribe").field("channel", channel).field("id", id).finish()
            }
            Self::Ping { id } => f.debug_struct("Ping").field("id", id).finish(),
        }
    }
}
