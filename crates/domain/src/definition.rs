//! What a producer says a campaign is.

use std::fmt;
use std::sync::Arc;

use crate::Timestamp;
use crate::id::OwnerId;
use crate::policy::{PolicyError, PolicyOverrides};
use crate::window::{Window, WindowError};

/// The largest metadata or payload, in bytes of JSON text (DESIGN §3).
pub const MAX_JSON_BYTES: usize = 16 * 1024;

/// A JSON object, kept as the text that came. This crate does not look inside; whoever parses it from outside makes
/// sure that it is an object.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Arc<str>);

/// A JSON text over [`MAX_JSON_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {MAX_JSON_BYTES} bytes of JSON, not {actual}")]
pub struct JsonTooLarge {
    /// What came, in bytes.
    pub actual: usize,
}

impl JsonText {
    /// Takes the text of a JSON object.
    ///
    /// # Errors
    /// When it is larger than [`MAX_JSON_BYTES`].
    pub fn new(text: &str) -> Result<Self, JsonTooLarge> {
        if text.len() > MAX_JSON_BYTES {
            return Err(JsonTooLarge { actual: text.len() });
        }
        Ok(Self(Arc::from(text)))
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self(Arc::from("{}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a campaign is, as its producer defined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// When it may run.
    pub window: Window,
    /// Whether CLOSE_CAMPAIGN closes it at the end of the window.
    pub auto_close: bool,
    /// Whether OPEN_REWARD_CLAIM opens the claim after the close.
    pub rewards_enabled: bool,
    /// Engagements to reach, if any.
    pub target_engagements: Option<u64>,
    /// Whether reaching the target closes it.
    pub close_on_target: bool,
    /// Whose it is.
    pub owner: Option<OwnerId>,
    /// Its own overrides of the policy.
    pub policy: PolicyOverrides,
    /// The producer's own data, returned as given.
    pub metadata: JsonText,
}

/// Why a definition is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The window is wrong.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// A policy value is out of range.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It wants to close on a target that it does not have.
    #[error("closeOnTarget needs targetEngagements")]
    NoTarget,
    /// A target of nothing.
    #[error("targetEngagements must be between 1 and 9007199254740991")]
    TargetOutOfRange,
}

impl Definition {
    /// The largest engagement count: what JSON readers hold exactly (2^53 - 1).
    pub const MAX_ENGAGEMENTS: u64 = (1 << 53) - 1;

    /// Checks what can be wrong with a new campaign at `now`.
    ///
    /// # Errors
    /// [`DefinitionError`] names the first rule that it breaks.
    pub fn check(&self, now: Timestamp) -> Result<(), DefinitionError> {
        self.window.ending_after(now)?;
        self.policy.check()?;
        match self.target_engagements {
            None if self.close_on_target => Err(DefinitionError::NoTarget),
            Some(target) if target == 0 || target > Self::MAX_ENGAGEMENTS => Err(DefinitionError::TargetOutOfRange),
            _ => Ok(()),
        }
    }
}
