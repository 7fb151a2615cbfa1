//! The desk for what could not be processed.

use domain::{CampaignId, Reason};
use http::StatusCode;
use ports::dead_letters::{LetterFilter, LetterKind, LetterState};
use wire::http::{DiscardBody, LetterBody, PageBody, ReplayBody, ReplayResult, ReplaysBody};

use super::list_error;
use crate::Api;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::request::Call;

/// How many letters one call replays unless it says otherwise, and at most.
const DEFAULT_REPLAY: usize = 100;
const MAX_REPLAY: usize = 1_000;

pub(super) async fn list(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let query = &call.query;
    let page = query.page()?;
    let state = query
        .text("state")
        .map(|text| {
            LetterState::ALL
                .into_iter()
                .find(|state| state.as_str() == text)
                .ok_or_else(|| ApiError::parameter("state", "must be one of open, replayed, discarded"))
        })
        .transpose()?;
    let kind = match query.text("kind") {
        None => None,
        Some("event") => Some(LetterKind::Event),
        Some("timer") => Some(LetterKind::Timer),
        Some(_) => return Err(ApiError::parameter("kind", "must be one of event, timer")),
    };
    let filter = LetterFilter {
        state,
        kind,
        code: query.text("code").map(str::to_owned),
        campaign: query.parsed::<CampaignId>("campaignId")?,
        event_type: query.text("eventType").map(str::to_owned),
    };
    let found = api.dead_letters.list(call.tenant()?, &filter, &page).await.map_err(|error| list_error(call, error))?;
    let items = found.items.iter().map(LetterBody::from).collect();
    Reply::json(StatusCode::OK, &PageBody::<LetterBody> { items, next_cursor: found.next.map(|cursor| cursor.0) })
}

pub(super) async fn get(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let letter = api.dead_letters.get(call.tenant()?, call.letter()?).await?.ok_or_else(ApiError::unknown_letter)?;
    Reply::json(StatusCode::OK, &LetterBody::from(&letter))
}

pub(super) async fn replay(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let replayed = api.desk.replay(call.tenant()?, call.letter()?, &call.caller()?.actor).await?;
    Reply::json(StatusCode::OK, &result(replayed))
}

pub(super) async fn replay_many(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: ReplayBody = call.json()?;
    let limit = body.limit.map_or(DEFAULT_REPLAY, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if !(1..=MAX_REPLAY).contains(&limit) {
        let detail = format_args!("must be from 1 to {MAX_REPLAY}");
        return Err(ApiError::field(&wire::fields::Fault::of("limit", detail)));
    }
    let dry_run = body.dry_run;
    let filter = body.filter.into();
    let replayed = api.desk.replay_all(call.tenant()?, filter, limit, dry_run, &call.caller()?.actor).await?;
    let results = replayed.into_iter().map(result).collect();
    Reply::json(StatusCode::OK, &ReplaysBody { results })
}

pub(super) async fn discard(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: DiscardBody = call.json_or_default()?;
    let reason = match body.reason {
        Some(reason) => Some(reason.0),
        None => call.query.parsed::<Reason>("reason")?,
    };
    let Some(reason) = reason else {
        return Err(ApiError::field(&wire::fields::Fault::of("reason", "must say why the letter is given up")));
    };
    let letter = api.desk.discard(call.tenant()?, call.letter()?, &reason, &call.caller()?.actor).await?;
    Reply::json(StatusCode::OK, &LetterBody::from(&letter))
}

fn result(replayed: application::Replayed) -> ReplayResult {
    ReplayResult { id: replayed.id, outcome: replayed.outcome, message: replayed.message }
}
