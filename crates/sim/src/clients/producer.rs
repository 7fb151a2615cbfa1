//! A producer: it appends events to the stream until it knows that they are there, and sends again what the bus lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{CampaignKey, Command, CommandId, Definition, Misfire, Timestamp, WindowEnd};
use ports::inbound::RawEntry;
use ports::store::CommandKey;
use ports::wakeups::{Hint, Wakeups};
use wire::inbound::Envelope;

use super::choice;
use crate::audit::OpId;
use crate::fault::Fault;
use crate::world::World;

/// What all producers sent, by operation.
pub(crate) type Sent = Arc<Mutex<BTreeMap<OpId, RawEntry>>>;

/// Sends `count` events as the producer `name`.
pub(crate) async fn run(world: Arc<World>, name: u64, count: u64, gap: Duration, sent: Sent) {
    let most = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX) * 2;
    for number in 1..=count {
        let pause = world.between(0, if world.is_calm() { 20 } else { most });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let (op, entry) = event(&world, name, number);
        sent.lock().unwrap_or_else(PoisonError::into_inner).insert(op, entry.clone());
        send(&world, op, &entry).await;
        if world.strikes(Fault::Duplicate, name) {
            send(&world, op, &entry).await;
        }
    }
}

/// Sends again what the bus has lost, as whoever sees no outcome does.
pub(crate) async fn send_again(world: &World, sent: &Sent) {
    let unseen = world.audit(|audit, db, _| audit.unseen_events(db));
    let entries: Vec<_> = {
        // Once: nothing is lost any more.
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        unseen.into_iter().filter_map(|op| Some((op, sent.remove(&op)?))).collect()
    };
    for (op, entry) in entries {
        send(world, op, &entry).await;
    }
}

/// Appends the entry until that is known to be done.
async fn send(world: &World, op: OpId, entry: &RawEntry) {
    loop {
        let fails = world.is_bus_away() || world.strikes(Fault::BusDown, 0);
        if !fails {
            let at = world.now();
            let id = world.state().bus.inbound.append(entry.clone(), at);
            world.appended.notify_waiters();
            world.tell("event", [op.0 as u64, 0], || format!("{} is entry {}", op.correlation(), id.0));
            let wakeups = world.state().wakeups.first().and_then(std::sync::Weak::upgrade);
            if let Some(wakeups) = wakeups {
                wakeups.announce(Hint::Appended);
            }
            if !world.strikes(Fault::BusUnheard, 0) {
                return;
            }
        }
        let pause = world.between(1, 300);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn event(world: &World, name: u64, number: u64) -> (OpId, RawEntry) {
    let now = world.now();
    let mut state = world.state();
    let state = &mut *state;
    // Each campaign has its producer, so that there is an order in which its events were sent.
    let producers = world.plan.producers as u64;
    let campaign = state.rng.below(world.plan.campaigns.div_ceil(producers)) * producers + name;
    let key = choice::key(campaign);
    let is_known = state.db.campaign(&key).is_some();
    let is_garbage = world.plan.rates.of(Fault::Poison) > 0 && state.rng.chance(50);
    let op = state.audit.plans(key.clone(), true);
    let (event_type, data) = if is_garbage {
        ("campaign.created", "{".to_owned())
    } else if !is_known && state.rng.chance(600) {
        created(&key, &choice::definition(&world.plan, &mut state.rng, campaign, now))
    } else if state.rng.chance(500) {
        ("campaign.updated", format!(r#"{{"campaignId":"{}","changes":{{"metadata":{{"n":{number}}}}}}}"#, key.id))
    } else {
        let command = choice::command(&world.plan, &mut state.rng, &state.db, campaign, now);
        data_of(&key, &command).unwrap_or_else(|| {
            ("campaign.metric.recorded", format!(r#"{{"campaignId":"{}","engagements":{number}}}"#, key.id))
        })
    };
    let (id, source) = (format!("e-{}", op.0), format!("producer-{name}"));
    let entry = wire::inbound::encode(&Envelope {
        event_id: &id,
        event_type,
        timestamp: now,
        source: &source,
        tenant: key.tenant.as_str(),
        correlation: Some(&op.correlation()),
        causation: None,
        data: &data,
    });
    let sender = format!("event/{source}");
    let command = CommandKey { tenant: key.tenant, sender, id: CommandId::parse(&id).expect("a short name") };
    state.audit.asks(op, Some(command));
    (op, entry)
}

/// The event that asks for `command`, where there is one.
fn data_of(key: &CampaignKey, command: &Command) -> Option<(&'static str, String)> {
    let id = &key.id;
    Some(match command {
        Command::Create { definition } => created(key, definition),
        Command::Update { changes, .. } => {
            let mut fields = Vec::new();
            fields.extend(changes.window.start.map(|at| format!(r#""startTime":"{}""#, text(at))));
            if let Some(WindowEnd::At(at)) = changes.window.ends.first() {
                fields.push(format!(r#""endTime":"{}""#, text(*at)));
            }
            fields.extend(changes.auto_close.map(|flag| format!(r#""autoClose":{flag}"#)));
            fields.extend(changes.rewards_enabled.map(|flag| format!(r#""rewardsEnabled":{flag}"#)));
            ("campaign.updated", format!(r#"{{"campaignId":"{id}","changes":{{{}}}}}"#, fields.join(",")))
        }
        Command::Cancel { .. } => ("campaign.cancelled", format!(r#"{{"campaignId":"{id}"}}"#)),
        Command::ChangeStatus { to, .. } => {
            ("campaign.status.requested", format!(r#"{{"campaignId":"{id}","to":"{to}"}}"#))
        }
        Command::ScheduleReminder { name, at, .. } => {
            let at = text(*at);
            ("campaign.timer.requested", format!(r#"{{"campaignId":"{id}","name":"{name}","at":"{at}"}}"#))
        }
        Command::RecordEngagements { total } => {
            ("campaign.metric.recorded", format!(r#"{{"campaignId":"{id}","engagements":{total}}}"#))
        }
        Command::CancelTimer { .. } | Command::FireTimer { .. } => return None,
    })
}

fn created(key: &CampaignKey, definition: &Definition) -> (&'static str, String) {
    let policy = &definition.policy;
    let rule = |rule: Option<Misfire>| match rule {
        None => "null",
        Some(Misfire::Fire) => r#""fire""#,
        Some(Misfire::Skip) => r#""skip""#,
        Some(Misfire::Hold) => r#""hold""#,
    };
    let data = format!(
        concat!(
            r#"{{"campaignId":"{}","startTime":"{}","endTime":"{}","autoClose":{},"rewardsEnabled":{},"#,
            r#""closeOnTarget":{},"targetEngagements":{},"ownerId":"o-1","policy":{{"createdExpirySeconds":{},"#,
            r#""runningExpirySeconds":{},"rewardClaimDelaySeconds":{},"closedExpirySeconds":{},"#,
            r#""rewardClaimSeconds":{},"reminderLeadSeconds":{},"misfire":{{"CLOSE_CAMPAIGN":{},"CUSTOM":{}}}}},"#,
            r#""metadata":{}}}"#
        ),
        key.id,
        text(definition.window.start()),
        text(definition.window.end()),
        definition.auto_close,
        definition.rewards_enabled,
        definition.close_on_target,
        definition.target_engagements.unwrap_or(1),
        policy.created_expiry_seconds.unwrap_or(9),
        policy.running_expiry_seconds.unwrap_or(9),
        policy.reward_claim_delay_seconds.unwrap_or(9),
        policy.closed_expiry_seconds.unwrap_or(9),
        policy.reward_claim_seconds.unwrap_or(9),
        policy.reminder_lead_seconds.unwrap_or(9),
        rule(policy.misfire.close),
        rule(policy.misfire.custom),
        definition.metadata.as_str(),
    );
    ("campaign.created", data)
}

fn text(at: Timestamp) -> String {
    wire::time::format(at)
}
