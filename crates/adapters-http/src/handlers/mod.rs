//! What each operation does: reads its inputs, asks the application, shapes the answer.

mod campaigns;
mod commands;
mod dead_letters;
mod service;
mod timers;

use std::sync::Arc;

use application::Timeline;
use domain::{Campaign, CampaignId, CampaignKey, Definition};
use ports::PortError;
use wire::http::TimelineEntryBody;

use crate::Api;
use crate::gate::forbidden;
use crate::operation::Operation;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::request::{Call, invalid_cursor};

/// Carries out `call`.
pub(crate) async fn run(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    match call.operation {
        Operation::CreateCampaign => commands::create(api, call).await,
        Operation::CreateCampaigns => commands::create_many(api, call).await,
        Operation::ListCampaigns => campaigns::list(api, call).await,
        Operation::GetCampaign => campaigns::get(api, call).await,
        Operation::GetLifecycle => campaigns::lifecycle(api, call).await,
        Operation::ListTransitions => campaigns::transitions(api, call).await,
        Operation::UpdateCampaign => commands::update(api, call).await,
        Operation::CancelCampaign => commands::cancel(api, call).await,
        Operation::ChangeStatus => commands::change_status(api, call).await,
        Operation::ListCampaignTimers => campaigns::timers(api, call).await,
        Operation::ScheduleTimer => commands::schedule_timer(api, call).await,
        Operation::ExecuteTimer => commands::execute_timer(api, call).await,
        Operation::CancelTimer => commands::cancel_timer(api, call).await,
        Operation::ListTimers => timers::list(api, call).await,
        Operation::Forecast => timers::forecast(api, call).await,
        Operation::AppendEvent => service::append_event(api, call).await,
        Operation::ListDeadLetters => dead_letters::list(api, call).await,
        Operation::GetDeadLetter => dead_letters::get(api, call).await,
        Operation::ReplayDeadLetter => dead_letters::replay(api, call).await,
        Operation::ReplayDeadLetters => dead_letters::replay_many(api, call).await,
        Operation::DiscardDeadLetter => dead_letters::discard(api, call).await,
        Operation::GetSystem => service::system(api).await,
        Operation::RunRecovery => service::recover(api, call).await,
        Operation::Livez => service::livez(),
        Operation::Readyz => service::readyz(api, call).await,
        Operation::Metrics => Ok(service::metrics(api)),
        Operation::Index => service::index(),
        Operation::OpenApi => Ok(service::openapi()),
        Operation::Docs => Ok(crate::docs_page::page()),
        Operation::DocsFile => crate::docs_page::file(call.file()),
    }
}

/// The key of a campaign of the caller's tenant.
fn key(call: &Call, id: CampaignId) -> Result<CampaignKey, ApiError> {
    Ok(CampaignKey { tenant: call.tenant()?.clone(), id })
}

/// The campaign in the path, if the caller may see it.
async fn visible_campaign(api: &Api, call: &Call) -> Result<Arc<Campaign>, ApiError> {
    let key = key(call, call.campaign()?)?;
    let campaign = api.reads.campaign(&key).await?.ok_or_else(ApiError::unknown_campaign)?;
    check_visible(call, &campaign)?;
    Ok(campaign)
}

/// A campaign that the caller may not see is like one that is not there.
fn check_visible(call: &Call, campaign: &Campaign) -> Result<(), ApiError> {
    match call.caller()?.scope() {
        Some(owner) if campaign.definition.owner.as_ref() != Some(owner) => Err(ApiError::unknown_campaign()),
        _ => Ok(()),
    }
}

/// Whoever is bound to an owner creates only campaigns of that owner.
fn check_owner(call: &Call, definition: &Definition) -> Result<(), ApiError> {
    match call.caller()?.scope() {
        Some(owner) if definition.owner.as_ref() != Some(owner) => {
            Err(forbidden("the token is bound to one owner, and the campaign would be of another, or of none"))
        }
        _ => Ok(()),
    }
}

/// What is going to happen, as it is told.
fn next_events(timeline: &Timeline) -> Vec<TimelineEntryBody> {
    timeline.entries.iter().map(|entry| TimelineEntryBody::new(entry.at, &entry.timer, entry.status)).collect()
}

/// An error of a list: where the caller gave a cursor, what the store refuses is the cursor.
fn list_error(call: &Call, error: PortError) -> ApiError {
    match error {
        PortError::Refused { .. } if call.query.text("cursor").is_some() => invalid_cursor(),
        error => error.into(),
    }
}
