//! What is asked for, chosen by chance: campaigns with short lives, and commands for them.

use chrono::TimeDelta;
use domain::{
    CampaignId, CampaignKey, Changes, Command, Definition, Firing, JsonText, Misfire, MisfireRules, OwnerId,
    PolicyOverrides, Requester, Status, TenantId, TimerName, Timestamp, Window, WindowChange, WindowEnd,
};

use crate::fault::Fault;
use crate::model::store::{CURSE, Database, POISON};
use crate::plan::Plan;
use crate::rng::Rng;

const TENANTS: [&str; 2] = ["default", "acme"];

/// One of the campaigns of this world.
pub(super) fn campaign(plan: &Plan, rng: &mut Rng) -> (u64, CampaignKey) {
    let number = rng.below(plan.campaigns);
    (number, key(number))
}

/// The key of the campaign with this number.
pub(super) fn key(number: u64) -> CampaignKey {
    let tenant = TENANTS[usize::from(number % 5 == 4)];
    let parse = |tenant, id: String| Some((TenantId::parse(tenant).ok()?, CampaignId::parse(&id).ok()?));
    let (tenant, id) = parse(tenant, format!("c-{number}")).expect("short names of letters and digits");
    CampaignKey { tenant, id }
}

/// One of those whose campaigns they are.
pub(super) fn owner(rng: &mut Rng) -> Option<OwnerId> {
    OwnerId::parse(&format!("o-{}", rng.below(3))).ok()
}

/// A definition; the same campaign always gets one that depends on its number and a little chance.
pub(super) fn definition(plan: &Plan, rng: &mut Rng, number: u64, now: Timestamp) -> Definition {
    let start = now + TimeDelta::milliseconds(i64::try_from(rng.between(0, 30_000)).unwrap_or(0));
    let length = TimeDelta::milliseconds(i64::try_from(rng.between(1_000, 60_000)).unwrap_or(1_000));
    let seconds = |rng: &mut Rng, most| Some(u32::try_from(rng.between(0, most)).unwrap_or(0));
    let rule = |rng: &mut Rng| rng.pick(&[None, None, Some(Misfire::Fire), Some(Misfire::Skip), Some(Misfire::Hold)]);
    let metadata = match (plan.rates.of(Fault::Poison), rng.below(1_000)) {
        (rate, chance) if chance < u64::from(rate) => format!(r#"{{"n":0,"x":"{POISON}"}}"#),
        (rate, chance) if chance < u64::from(rate) * 3 => format!(r#"{{"n":0,"x":"{CURSE}"}}"#),
        _ => r#"{"n":0}"#.to_owned(),
    };
    Definition {
        window: Window::new(start, start + length).expect("a window of a second or more"),
        auto_close: rng.chance(800),
        rewards_enabled: rng.chance(700),
        target_engagements: Some(rng.between(1, 50)),
        close_on_target: rng.chance(400),
        owner: OwnerId::parse(&format!("o-{}", number % 3)).ok(),
        policy: PolicyOverrides {
            created_expiry_seconds: seconds(rng, 60),
            running_expiry_seconds: seconds(rng, 60),
            reward_claim_delay_seconds: seconds(rng, 15),
            closed_expiry_seconds: seconds(rng, 90),
            reward_claim_seconds: seconds(rng, 90),
            reminder_lead_seconds: seconds(rng, 20),
            reminder_max_late_seconds: rng.pick(&[None, Some(1), Some(10), Some(600)]),
            misfire: MisfireRules {
                start: rule(rng),
                close: rule(rng),
                open_reward_claim: rule(rng),
                reward_reminder: rule(rng),
                expire: None,
                custom: rule(rng),
            },
        },
        metadata: JsonText::new(&metadata).expect("a small object"),
    }
}

/// Metadata that tells which operation, or which event, set it.
pub(super) fn metadata(number: u64) -> JsonText {
    JsonText::new(&format!(r#"{{"n":{number}}}"#)).expect("a small object")
}

/// A command that somebody may give for the campaign.
pub(super) fn command(plan: &Plan, rng: &mut Rng, db: &Database, number: u64, now: Timestamp) -> Command {
    let soon = |rng: &mut Rng, most| now + TimeDelta::milliseconds(i64::try_from(rng.between(1, most)).unwrap_or(1));
    let known = db.campaign(&key(number)).map(|stored| &stored.campaign);
    if known.is_none() && rng.chance(700) {
        return Command::Create { definition: definition(plan, rng, number, now) };
    }
    match rng.below(100) {
        0..4 => Command::Create { definition: definition(plan, rng, number, now) },
        4..20 => {
            let n = rng.next() >> 40;
            let changes = Changes { metadata: Some(metadata(n)), ..Changes::default() };
            Command::Update { changes, reason: None }
        }
        20..38 => {
            let start = rng.chance(400).then(|| soon(rng, 20_000));
            let ends = if rng.chance(800) { vec![WindowEnd::At(soon(rng, 60_000))] } else { Vec::new() };
            let changes = Changes { window: WindowChange { start, ends }, ..Changes::default() };
            Command::Update { changes, reason: None }
        }
        38..42 => {
            let flip = Some(rng.chance(500));
            let changes = Changes { auto_close: flip, rewards_enabled: Some(rng.chance(500)), ..Changes::default() };
            Command::Update { changes, reason: None }
        }
        42..44 => Command::Cancel { by: Requester::Operator, reason: None },
        44..58 => {
            let to = rng.pick(&[Status::Running, Status::Closed, Status::RewardClaim, Status::Running]);
            Command::ChangeStatus { to, reason: None }
        }
        58..76 => {
            let name = TimerName::parse(&format!("r-{}", rng.below(6))).expect("a short name");
            Command::ScheduleReminder { name, at: soon(rng, 30_000), payload: None }
        }
        76..88 => {
            let timers = known.map(|campaign| campaign.timers.as_slice()).unwrap_or_default();
            if timers.is_empty() {
                return Command::RecordEngagements { total: rng.between(1, 60) };
            }
            let id = timers[rng.index(timers.len())].id;
            if rng.chance(500) { Command::CancelTimer { id } } else { Command::FireTimer { id, by: Firing::Operator } }
        }
        _ => Command::RecordEngagements { total: rng.between(1, 60) },
    }
}
