//! Commands to campaigns: from the request to the application and back.

use std::sync::Arc;

use application::{Answer, CommandRequest, SubmitError, Timeline};
use domain::{Campaign, CampaignId, Command, CommandId, Firing, Requester, TimerName};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use ports::store::Outcome;
use serde::Deserialize;
use serde_json::value::RawValue;
use wire::fields::Fault;
use wire::http::{
    BatchOutcome, BatchResult, BatchResults, CampaignBody, CancelBody, ChangeStatusBody, CreateCampaign,
    ScheduleTimerBody, TimelineBody, TimerBody, UpdateCampaign,
};

use super::{check_owner, key, next_events, visible_campaign};
use crate::Api;
use crate::operation::{Effect, MAX_BATCH};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::request::{Call, IDEMPOTENCY_KEY, read_json};

/// A command that was not refused.
struct Done {
    /// Whether it changed something.
    changed: bool,
    /// The campaign after it.
    campaign: Arc<Campaign>,
    /// Whether it came again.
    replayed: bool,
}

pub(super) async fn create(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: CreateCampaign = call.json()?;
    let (id, definition) = body.into_definition().map_err(|fault| ApiError::field(&fault))?;
    check_owner(call, &definition)?;
    if call.query.flag("dryRun")? {
        let key = key(call, id)?;
        let timeline = Timeline::of_new(&key, &definition, &api.policies.of(&key.tenant), api.clock.now())
            .map_err(|rejection| ApiError::rejected(rejection.code(), &rejection.to_string()))?;
        return Reply::json(StatusCode::OK, &TimelineBody::new(&timeline.campaign, next_events(&timeline)));
    }
    let done = submit(api, call, id, Command::Create { definition }).await?;
    let reply = campaign_reply(if done.changed { StatusCode::CREATED } else { StatusCode::OK }, &done)?;
    // What an id may hold, a path may hold as it is.
    match HeaderValue::try_from(format!("/api/v1/campaigns/{}", done.campaign.key.id)) {
        Ok(location) => Ok(reply.with(LOCATION, location)),
        Err(error) => Err(ApiError::internal(&error)),
    }
}

/// A batch whose items are read one by one, so that a bad one spoils only itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    campaigns: Vec<Box<RawValue>>,
}

pub(super) async fn create_many(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let batch: Batch = call.json()?;
    if batch.campaigns.is_empty() || batch.campaigns.len() > MAX_BATCH {
        let detail = format_args!("must hold 1 to {MAX_BATCH} campaigns, not {}", batch.campaigns.len());
        return Err(ApiError::field(&Fault::of("campaigns", detail)));
    }
    let idempotency_key = call.idempotency_key()?;
    let mut results: Vec<Option<BatchResult>> = Vec::with_capacity(batch.campaigns.len());
    let mut requests = Vec::with_capacity(batch.campaigns.len());
    for (index, item) in batch.campaigns.iter().enumerate() {
        let read = read_json::<CreateCampaign>(item.get())
            .and_then(|body| body.into_definition().map_err(|fault| ApiError::field(&fault)))
            .and_then(|(id, definition)| check_owner(call, &definition).map(|()| (id, definition)));
        match read {
            Ok((id, definition)) => {
                let command_id = idempotency_key.as_ref().map(|key| item_key(key, index)).transpose()?;
                requests.push(request(api, call, command_id, id, Command::Create { definition })?);
                results.push(None);
            }
            Err(error) => results.push(Some(refused(campaign_id(item), error))),
        }
    }
    let ids: Vec<CampaignId> = requests.iter().map(|request| request.key.id.clone()).collect();
    let mut answers = ids.into_iter().zip(api.commands.submit_all(requests).await);
    let results = results.into_iter().filter_map(|known| known.or_else(|| answers.next().map(batch_result))).collect();
    Reply::json(StatusCode::OK, &BatchResults { results })
}

/// The id of one item's command, from the batch's key and the item's place.
fn item_key(key: &CommandId, index: usize) -> Result<CommandId, ApiError> {
    CommandId::parse(&format!("{key}/{index}"))
        .map_err(|_| ApiError::header(&IDEMPOTENCY_KEY, "must leave room for the number of each campaign of a batch"))
}

/// The id that an item names, as far as it can be read.
fn campaign_id(item: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        campaign_id: wire::fields::Id<CampaignId>,
    }
    wire::fields::read::<Named>(item.get()).ok().map(|named| named.campaign_id.0.to_string())
}

fn batch_result((id, answer): (CampaignId, Result<Answer, SubmitError>)) -> BatchResult {
    let campaign_id = Some(id.to_string());
    let outcome = match answer {
        Ok(Answer { replayed: true, outcome: Outcome::Applied { .. } | Outcome::Unchanged { .. }, .. }) => {
            BatchOutcome::Duplicate
        }
        Ok(Answer { outcome: Outcome::Applied { .. }, .. }) => BatchOutcome::Created,
        Ok(Answer { outcome: Outcome::Unchanged { .. }, .. }) => BatchOutcome::Unchanged,
        Ok(Answer { outcome: Outcome::Rejected { code, message }, .. }) => {
            return refused(campaign_id, ApiError::rejected(&code, &message));
        }
        Err(error) => return refused(campaign_id, error.into()),
    };
    BatchResult { campaign_id, outcome, problem: None }
}

fn refused(campaign_id: Option<String>, error: ApiError) -> BatchResult {
    BatchResult { campaign_id, outcome: BatchOutcome::Rejected, problem: Some(error.into_problem(None).0) }
}

pub(super) async fn update(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: UpdateCampaign = call.json()?;
    let (changes, reason) = body.into_changes();
    act(api, call, Command::Update { changes, reason }).await
}

pub(super) async fn cancel(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: CancelBody = call.json_or_default()?;
    let reason = body.reason.map(|reason| reason.0);
    act(api, call, Command::Cancel { by: Requester::Operator, reason }).await
}

pub(super) async fn change_status(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: ChangeStatusBody = call.json()?;
    let reason = body.reason.map(|reason| reason.0);
    act(api, call, Command::ChangeStatus { to: body.to.0, reason }).await
}

pub(super) async fn schedule_timer(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let body: ScheduleTimerBody = call.json()?;
    let name = body.name.0;
    let payload = body.payload.map(|payload| payload.0);
    let command = Command::ScheduleReminder { name: name.clone(), at: body.at.0, payload };
    let done = submit(api, call, call.campaign()?, command).await?;
    let timer = reminder(&done.campaign, &name)?;
    let status = if done.changed { StatusCode::CREATED } else { StatusCode::OK };
    let reply = Reply::json(status, &timer)?;
    Ok(reply.with_version(done.campaign.version).with_replayed(done.replayed))
}

fn reminder(campaign: &Campaign, name: &TimerName) -> Result<TimerBody, ApiError> {
    campaign
        .timers
        .iter()
        .find(|timer| timer.kind.name() == Some(name))
        .map(|timer| TimerBody::pending(&campaign.key.id, timer))
        .ok_or_else(|| ApiError::internal(&std::io::Error::other("a scheduled timer is not in its campaign")))
}

pub(super) async fn execute_timer(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let id = call.timer()?;
    act(api, call, Command::FireTimer { id, by: Firing::Operator }).await
}

pub(super) async fn cancel_timer(api: &Api, call: &Call) -> Result<Reply, ApiError> {
    let id = call.timer()?;
    act(api, call, Command::CancelTimer { id }).await
}

/// Sends a command to the campaign in the path; answers the campaign after it.
async fn act(api: &Api, call: &Call, command: Command) -> Result<Reply, ApiError> {
    let done = submit(api, call, call.campaign()?, command).await?;
    campaign_reply(StatusCode::OK, &done)
}

fn campaign_reply(status: StatusCode, done: &Done) -> Result<Reply, ApiError> {
    let reply = Reply::json(status, &CampaignBody::from(done.campaign.as_ref()))?;
    Ok(reply.with_version(done.campaign.version).with_replayed(done.replayed))
}

async fn submit(api: &Api, call: &Call, id: CampaignId, command: Command) -> Result<Done, ApiError> {
    if !matches!(command, Command::Create { .. }) && call.caller()?.scope().is_some() {
        // A campaign stays with its owner, so what holds now holds when the command is decided.
        visible_campaign(api, call).await?;
    }
    let request = request(api, call, call.idempotency_key()?, id, command)?;
    let Answer { outcome, campaign, replayed } = api.commands.submit(request).await?;
    let changed = match outcome {
        Outcome::Applied { .. } => true,
        Outcome::Unchanged { .. } => false,
        Outcome::Rejected { code, message } => return Err(ApiError::rejected(&code, &message).replayed(replayed)),
    };
    let campaign = campaign.ok_or_else(|| ApiError::internal(&std::io::Error::other("an answer has no campaign")))?;
    Ok(Done { changed, campaign, replayed })
}

fn request(
    api: &Api,
    call: &Call,
    command_id: Option<CommandId>,
    id: CampaignId,
    command: Command,
) -> Result<CommandRequest, ApiError> {
    let expected_version = match call.operation.spec().effect {
        Effect::Command { if_match: true } => call.expected_version()?,
        Effect::Command { if_match: false } | Effect::Read | Effect::Action => None,
    };
    let remember = command_id.is_some();
    let made_here = || CommandId::parse(&api.ids.next().to_string()).map_err(|error| ApiError::internal(&error));
    Ok(CommandRequest {
        key: key(call, id)?,
        id: command_id.map_or_else(made_here, Ok)?,
        remember,
        fingerprint: call.fingerprint(),
        command,
        expected_version,
        actor: call.caller()?.actor.clone(),
        correlation: Some(call.correlation.clone()),
    })
}
