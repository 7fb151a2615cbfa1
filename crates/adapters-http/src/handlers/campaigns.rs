//! Questions about campaigns.

use application::Timeline;
use domain::Status;
use http::StatusCode;
use ports::feed::MAX_READ;
use ports::journal::{Position, Record};
use ports::query::{CampaignFilter, PageCursor};
use wire::http::{CampaignBody, LifecycleBody, PageBody, TimerBody, TransitionBody};

use super::{check_visible, key, list_error, next_events, visible_campaign};
use crate::Api;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::request::{Call, invalid_cursor};

/// How many entries of one campaign's journal are looked through for one page of transitions: refused commands stand
/// between them, and anybody can cause those.
const MAX_LOOKED_THROUGH: usize = 10 * MAX_READ;

pub(super) async fn list(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let query = &call.query;
    let page = query.page()?;
    let mut statuses = Vec::new();
    for name in query.text("status").into_iter().flat_map(|names| names.split(',')) {
        let status: Status = name.trim().parse().map_err(|error| ApiError::parameter("status", error))?;
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    let asked_owner = query.owner("owner")?;
    let id_prefix = query.parsed::<domain::CampaignId>("q")?.map(|id| id.as_str().to_owned());
    let (from, to) = (query.instant("from")?, query.instant("to")?);
    let owner = match (call.caller()?.scope(), asked_owner) {
        (Some(own), Some(asked)) if *own != asked => {
            return Reply::json(StatusCode::OK, &PageBody::<CampaignBody> { items: Vec::new(), next_cursor: None });
        }
        (Some(own), _) => Some(own.clone()),
        (None, asked) => asked,
    };
    let filter = CampaignFilter { statuses, owner, from, to, id_prefix };
    let found =
        api.reads.queries().campaigns(call.tenant()?, &filter, &page).await.map_err(|error| list_error(call, error))?;
    let items = found.items.iter().map(CampaignBody::from).collect();
    Reply::json(StatusCode::OK, &PageBody { items, next_cursor: found.next.map(|cursor| cursor.0) })
}

pub(super) async fn get(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let campaign = visible_campaign(api, call).await?;
    let reply = if call.has_version(campaign.version) {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        Reply::json(StatusCode::OK, &CampaignBody::from(campaign.as_ref()))?
    };
    Ok(reply.with_version(campaign.version))
}

pub(super) async fn timers(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let key = key(call, call.campaign()?)?;
    let dossier = api.reads.queries().dossier(&key).await?.ok_or_else(ApiError::unknown_campaign)?;
    check_visible(call, &dossier.campaign)?;
    let items = dossier.timers.iter().map(TimerBody::from).collect();
    Reply::json(StatusCode::OK, &PageBody::<TimerBody> { items, next_cursor: None })
}

pub(super) async fn transitions(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let campaign = visible_campaign(api, call).await?;
    let page = call.query.page()?;
    let after = match page.after {
        None => Position::START,
        Some(PageCursor(text)) => Position(text.parse().map_err(|_| invalid_cursor())?),
    };
    let (items, next) = transitions_after(api, &campaign.key, after, page.limit).await?;
    let next_cursor = next.map(|position| position.to_string());
    Reply::json(StatusCode::OK, &PageBody { items, next_cursor })
}

pub(super) async fn lifecycle(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let key = key(call, call.campaign()?)?;
    let dossier = api.reads.queries().dossier(&key).await?.ok_or_else(ApiError::unknown_campaign)?;
    check_visible(call, &dossier.campaign)?;
    // A life has at most a handful of transitions: one page holds them all.
    let (history, _) = transitions_after(api, &key, Position::START, ports::query::MAX_PAGE).await?;
    let timeline = Timeline::of(dossier.campaign.clone());
    Reply::json(StatusCode::OK, &LifecycleBody::new(&dossier, history, next_events(&timeline)))
}

/// At most `limit` transitions after `after`, and where the next page begins if there may be one.
async fn transitions_after(
    api: &Api,
    key: &domain::CampaignKey,
    after: Position,
    limit: usize,
) -> Result<(Vec<TransitionBody>, Option<Position>), ApiError> {
    let mut items = Vec::new();
    let mut last = after;
    let mut looked_through = 0;
    loop {
        let records: Vec<Record> = api.reads.queries().history(key, last, MAX_READ).await?;
        let is_end = records.len() < MAX_READ;
        looked_through += records.len();
        for record in &records {
            if items.len() == limit {
                return Ok((items, Some(last)));
            }
            last = record.position;
            items.extend(TransitionBody::of(record));
        }
        if is_end {
            return Ok((items, None));
        }
        if looked_through >= MAX_LOOKED_THROUGH {
            return Ok((items, Some(last)));
        }
    }
}
