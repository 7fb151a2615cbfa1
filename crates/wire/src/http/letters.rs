//! Dead letters, and what is done with them.

use chrono::{DateTime, Utc};
use domain::CampaignId;
use ports::dead_letters::{Letter, LetterFilter, LetterKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ActorBody, LetterKindName, LetterStateName};
use crate::fields::Id;
use crate::json::Embedded;
use crate::stored;

/// Something that could not be processed.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LetterBody {
    /// Its id.
    pub id: Uuid,
    /// Where it comes from.
    pub kind: LetterKindName,
    /// Where it stands.
    pub state: LetterStateName,
    /// What it comes from: the id of an entry or of a timer.
    pub origin: String,
    /// The event's type, or the timer's kind.
    pub event_type: String,
    /// The campaign it is about, when that could be read.
    pub campaign_id: Option<String>,
    /// A stable code of what is wrong.
    pub code: String,
    /// What is wrong, in words.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed first.
    pub first_error_at: DateTime<Utc>,
    /// When it failed last.
    pub last_error_at: DateTime<Utc>,
    /// The original, complete: an entry's fields, or the timer.
    #[schema(value_type = Object)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub original: Box<RawValue>,
    /// Who settled it, when and why.
    pub settled: Option<SettlementBody>,
}

/// The end of a dead letter.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlementBody {
    /// Who.
    pub by: ActorBody,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: Option<String>,
    /// More.
    #[schema(value_type = Option<Object>)]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub detail: Option<Box<RawValue>>,
}

impl From<&Letter> for LetterBody {
    fn from(letter: &Letter) -> Self {
        let Letter { letter, state, settled } = letter;
        Self {
            id: letter.id,
            kind: letter.kind.into(),
            state: (*state).into(),
            origin: letter.origin.clone(),
            event_type: letter.event_type.clone(),
            campaign_id: letter.campaign.as_ref().map(|campaign| campaign.as_str().to_owned()),
            code: letter.code.clone(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            first_error_at: letter.first_error_at,
            last_error_at: letter.last_error_at,
            original: original(letter.kind, &letter.original),
            settled: settled.as_ref().map(|settlement| SettlementBody {
                by: ActorBody::from(&settlement.by),
                at: settlement.at,
                reason: settlement.reason.clone(),
                detail: settlement.detail.as_ref().map(|detail| Embedded(detail.as_str()).to_raw()),
            }),
        }
    }
}

/// An entry's fields are kept as pairs, since names may repeat; people are shown an object where they do not.
fn original(kind: LetterKind, text: &str) -> Box<RawValue> {
    if kind == LetterKind::Event
        && let Ok(entry) = stored::decode_raw(text)
    {
        let count = entry.fields.len();
        let object: std::collections::BTreeMap<String, String> = entry.fields.into_iter().collect();
        if object.len() == count
            && let Ok(raw) = serde_json::value::to_raw_value(&object)
        {
            return raw;
        }
    }
    Embedded(text).to_raw()
}

/// Which dead letters; empty means all that are open.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LetterFilterBody {
    /// In this state.
    pub state: Option<LetterStateName>,
    /// Of this kind.
    pub kind: Option<LetterKindName>,
    /// With this code.
    pub code: Option<String>,
    /// About this campaign.
    #[schema(value_type = Option<String>)]
    pub campaign_id: Option<Id<CampaignId>>,
    /// Of this event type or timer kind.
    pub event_type: Option<String>,
}

impl From<LetterFilterBody> for LetterFilter {
    fn from(body: LetterFilterBody) -> Self {
        Self {
            state: body.state.map(Into::into),
            kind: body.kind.map(Into::into),
            code: body.code,
            campaign: body.campaign_id.map(|campaign| campaign.0),
            event_type: body.event_type,
        }
    }
}

/// Dead letters are to be processed again.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayBody {
    /// Which, among those that are open.
    pub filter: LetterFilterBody,
    /// At most so many, oldest first.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// Only say which.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of dead letters that were processed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplaysBody {
    /// One for each.
    pub results: Vec<ReplayResult>,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayResult {
    /// Which.
    pub id: Uuid,
    /// A stable code: `applied`, `unchanged`, `duplicate`, `rejected`, `failed`, `would_replay` (dry run), ...
    pub outcome: String,
    /// In words, when there is something to say.
    pub message: Option<String>,
}
