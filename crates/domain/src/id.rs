//! Identifiers and short texts that are checked once, when they are parsed, and valid for ever after.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// Why a text is not a valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty or too long.
    #[error("must have 1 to {max} characters, not {actual}")]
    Length {
        /// Longest allowed, in bytes.
        max: usize,
        /// What came, in bytes.
        actual: usize,
    },
    /// The text holds a character outside the allowed set.
    #[error("must not contain {0:?}")]
    Character(char),
}

fn check(text: &str, max: usize, allowed: fn(char) -> bool) -> Result<(), InvalidId> {
    if text.is_empty() || text.len() > max {
        return Err(InvalidId::Length { max, actual: text.len() });
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(wrong) => Err(InvalidId::Character(wrong)),
        None => Ok(()),
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
}

fn is_visible_ascii(c: char) -> bool {
    c.is_ascii_graphic()
}

fn is_printable(c: char) -> bool {
    !c.is_control()
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, max $max:literal, $allowed:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest allowed, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// Checks `text`.
            ///
            /// # Errors
            /// [`InvalidId`] says what is wrong with it.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text, $max, $allowed).map(|()| Self(Arc::from(text)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }
    };
}

text_newtype! {
    /// The customer that a campaign belongs to; nothing is ever seen across tenants.
    TenantId, max 64, is_name_character
}
text_newtype! {
    /// The producer's own opaque name of a campaign, unique within a tenant (DESIGN §3).
    CampaignId, max 64, is_name_character
}
text_newtype! {
    /// The person or team that a campaign belongs to.
    OwnerId, max 64, is_name_character
}
text_newtype! {
    /// The name of a CUSTOM reminder, unique among the pending ones of its campaign.
    TimerName, max 64, is_name_character
}
text_newtype! {
    /// The sender's name of one command; the same id again has no second effect (INV-7).
    CommandId, max 255, is_visible_ascii
}
text_newtype! {
    /// Why somebody asked for something, in their words.
    Reason, max 500, is_printable
}

impl TenantId {
    /// The tenant of events that name none (DESIGN §5).
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }

    /// The reserved tenant of what the service notes about itself; no token is ever of it.
    pub fn service() -> Self {
        Self(Arc::from("_service"))
    }
}

/// The key of the aggregate: a campaign id is unique only within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CampaignKey {
    /// Whose campaign.
    pub tenant: TenantId,
    /// Which campaign.
    pub id: CampaignId,
}

impl fmt::Display for CampaignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.id)
    }
}

/// The id of one armed timer (`UUIDv7`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub Uuid);

impl fmt::Display for TimerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_and_integers_are_campaign_ids() {
        assert!(CampaignId::parse("0192f3a0-7c1e-7000-8000-0123456789ab").is_ok());
        assert!(CampaignId::parse("42").is_ok());
    }

    #[test]
    fn an_id_has_1_to_64_characters_of_the_allowed_set() {
        assert_eq!(CampaignId::parse(""), Err(InvalidId::Length { max: 64, actual: 0 }));
        assert_eq!(CampaignId::parse(&"x".repeat(65)), Err(InvalidId::Length { max: 64, actual: 65 }));
        assert_eq!(CampaignId::parse("a/b"), Err(InvalidId::Character('/')));
        assert_eq!(CampaignId::parse("naïve"), Err(InvalidId::Character('ï')));
    }
}
