//! What clients get: one shape for everything, and the data of the answers to their frames.

use chrono::{DateTime, Utc};
use domain::Timestamp;
use ports::auth::{Principal, Role};
use schemars::JsonSchema;
use serde::Serialize;

use super::Cursor;
use crate::json;

/// A frame to a client.
#[derive(Debug, Serialize)]
pub struct ServerFrame<'a, D> {
    /// What it tells: an event, or `authenticated`, `subscribed`, `recovered`, `unsubscribed`, `pong`, `error`.
    pub event: &'static str,
    /// The number of the client's frame that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// The channel that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    /// What was seen of the channel after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
}

impl<D: Serialize> ServerFrame<'_, D> {
    /// The frame as it is sent.
    pub fn to_text(&self) -> String {
        json::write(self)
    }
}

/// The data of `authenticated`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatedData<'a> {
    /// Who.
    pub subject: &'a str,
    /// Of which tenant.
    pub tenant: &'a str,
    /// With which roles.
    pub roles: Vec<&'static str>,
    /// The only owner whose campaigns are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<&'a str>,
    /// Until when; a newer token can be sent before.
    pub expires_at: DateTime<Utc>,
}

impl<'a> From<&'a Principal> for AuthenticatedData<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self {
            subject: &principal.subject,
            tenant: principal.tenant.as_str(),
            roles: principal.roles.iter().copied().map(Role::as_str).collect(),
            owner_id: principal.owner.as_ref().map(domain::OwnerId::as_str),
            expires_at: principal.expires_at,
        }
    }
}

/// The data of `recovered`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RecoveredData<S> {
    /// True: nothing was missed. False: the log does not reach back, take the snapshot.
    pub recovered: bool,
    /// The channel's state, when something was missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<S>,
}

/// The data of `error`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ErrorData<'a> {
    /// A stable code for programs.
    pub code: &'a str,
    /// What is wrong, in words.
    pub message: &'a str,
}
