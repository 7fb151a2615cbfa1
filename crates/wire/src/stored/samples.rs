//! Values for tests: one of everything, and strategies for any of it.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    Campaign, CampaignId, CampaignKey, Definition, Event, Firing, JsonText, LifecycleTimer, Misfire, MisfireRules,
    OwnerId, Phase, Policy, PolicyOverrides, Reason, SkipReason, Status, Step, TenantId, Timer, TimerId, TimerKind,
    TimerName, Timestamp, Trigger, Window,
};
use ports::journal::{CampaignStep, Entry};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::time;

pub(crate) fn at(text: &str) -> Timestamp {
    time::parse(text).expect("a valid time")
}

pub(crate) fn key() -> CampaignKey {
    CampaignKey { tenant: TenantId::default_tenant(), id: CampaignId::parse("summer-1").expect("valid") }
}

fn text(json: &str) -> JsonText {
    JsonText::new(json).expect("small")
}

pub(crate) fn start_timer() -> Timer {
    Timer {
        id: TimerId(Uuid::from_u128(1)),
        kind: TimerKind::Lifecycle(LifecycleTimer::Start),
        due: at("2026-11-23T10:00:00Z"),
        generation: 1,
        payload: None,
    }
}

pub(crate) fn reminder() -> Timer {
    Timer {
        id: TimerId(Uuid::from_u128(2)),
        kind: TimerKind::Custom(TimerName::parse("call-bob").expect("valid")),
        due: at("2026-11-23T10:30:00Z"),
        generation: 3,
        payload: Some(text(r#"{"to":"bob"}"#)),
    }
}

pub(crate) fn plain_definition() -> Definition {
    Definition {
        window: Window::new(at("2026-11-23T10:00:00Z"), at("2026-11-23T11:00:00Z")).expect("in order"),
        auto_close: true,
        rewards_enabled: true,
        target_engagements: None,
        close_on_target: false,
        owner: None,
        policy: PolicyOverrides::default(),
        metadata: text(r#"{ "a": 1 }"#),
    }
}

pub(crate) fn plain_campaign() -> Campaign {
    let created_at = at("2026-11-23T09:00:00Z");
    Campaign {
        key: key(),
        version: 1,
        phase: Phase::Created,
        definition: plain_definition(),
        original: None,
        policy: Policy::default(),
        engagements: 0,
        target_reached: false,
        generation: 1,
        planned_at: created_at,
        settled: BTreeSet::new(),
        timers: vec![start_timer()],
        held: BTreeSet::new(),
        created_at,
        updated_at: created_at,
    }
}

pub(crate) fn step_of(event: Event, status: Status) -> CampaignStep {
    CampaignStep {
        campaign: key().id,
        owner: Some(OwnerId::parse("alice").expect("valid")),
        status,
        step: Step { sequence: 4, at: at("2026-11-23T10:00:00.250Z"), event, armed: vec![reminder()] },
        cancelled: vec![start_timer()],
        metadata: Some(text("{}")),
    }
}

/// One event of every kind, with the status after it.
pub(crate) fn every_event() -> Vec<(Event, Status)> {
    let window = plain_definition().window;
    let timer = reminder();
    vec![
        (Event::Initialized { definition: plain_definition(), policy: Policy::default() }, Status::Created),
        (
            Event::StatusChanged {
                from: Status::Created,
                to: Status::Running,
                trigger: Trigger::StartTimer,
                reason: None,
                timer: Some(start_timer()),
            },
            Status::Running,
        ),
        (
            Event::StatusChanged {
                from: Status::Running,
                to: Status::Closed,
                trigger: Trigger::Operator,
                reason: Some(Reason::parse("\"enough\" – said é").expect("valid")),
                timer: None,
            },
            Status::Closed,
        ),
        (
            Event::Updated {
                window: Some(window),
                auto_close: Some(false),
                rewards_enabled: None,
                metadata: Some(text(r#"{"b":[1,2.50]}"#)),
                reason: None,
            },
            Status::Running,
        ),
        (Event::EngagementsRecorded { total: Definition::MAX_ENGAGEMENTS }, Status::Running),
        (Event::TargetReached { total: 12, target: 10 }, Status::Running),
        (
            Event::ReminderScheduled {
                name: TimerName::parse("call-bob").expect("valid"),
                at: timer.due,
                payload: timer.payload.clone(),
            },
            Status::Running,
        ),
        (Event::ReminderCancelled { timer: timer.clone() }, Status::Running),
        (Event::ReminderFired { timer: timer.clone(), by: Firing::Clock }, Status::Running),
        (Event::ReminderFired { timer: timer.clone(), by: Firing::Operator }, Status::Running),
        (Event::TimerSkipped { timer: start_timer(), reason: SkipReason::WindowOver }, Status::Created),
        (Event::TimerSkipped { timer: timer.clone(), reason: SkipReason::TooLate }, Status::Running),
        (Event::TimerHeld { timer }, Status::Running),
    ]
}

/// One entry of every kind.
pub(crate) fn every_entry() -> Vec<Entry> {
    let mut entries: Vec<_> =
        every_event().into_iter().map(|(event, status)| Entry::Step(Box::new(step_of(event, status)))).collect();
    entries.push(Entry::Rejected {
        campaign: key().id,
        command: "update".to_owned(),
        code: "field_is_fixed".to_owned(),
        message: "\"no\"".to_owned(),
    });
    entries.push(Entry::TimerFailed {
        campaign: key().id,
        owner: None,
        timer: start_timer(),
        attempts: 5,
        error: "the store refused the data".to_owned(),
    });
    entries.push(Entry::Notice {
        name: "recovery.completed".to_owned(),
        campaign: None,
        subject: "instance-1".to_owned(),
        detail: text(r#"{"caughtUp":3}"#),
    });
    entries
}

/// A record of `entry` at position 42.
pub(crate) fn record(entry: Entry) -> ports::journal::Record {
    use ports::journal::{Actor, Cause, Fact, Position, Record};
    Record {
        position: Position(42),
        fact: Fact {
            id: Uuid::from_u128(7),
            at: at("2026-11-23T10:00:00.250Z"),
            tenant: TenantId::default_tenant(),
            actor: Actor::timer(),
            cause: Cause {
                command: Some(domain::CommandId::parse("cmd-1").expect("valid")),
                correlation: Some("corr-1".to_owned()),
            },
            entry,
        },
    }
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000_000_000).prop_map(|micros| time::from_micros(micros).expect("in range"))
}

fn window() -> impl Strategy<Value = Window> {
    (instant(), 1_000_000_i64..86_400_000_000)
        .prop_map(|(start, length)| Window::new(start, start + TimeDelta::microseconds(length)).expect("in order"))
}

fn id() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.:-]{1,64}"
}

fn json_text() -> impl Strategy<Value = JsonText> {
    ".{0,40}".prop_map(|text| JsonText::new(&text).expect("small"))
}

fn reason() -> impl Strategy<Value = Reason> {
    "[^\\p{Cc}]{1,40}".prop_map(|text| Reason::parse(&text).expect("printable"))
}

fn misfire() -> impl Strategy<Value = MisfireRules> {
    let rule = || option::of(prop_oneof![Just(Misfire::Fire), Just(Misfire::Skip), Just(Misfire::Hold)]);
    (rule(), rule(), rule(), rule(), rule(), rule()).prop_map(|(a, b, c, d, e, f)| MisfireRules {
        start: a,
        close: b,
        open_reward_claim: c,
        reward_reminder: d,
        expire: e,
        custom: f,
    })
}

fn overrides() -> impl Strategy<Value = PolicyOverrides> {
    (proptest::collection::vec(option::of(any::<u32>()), 7), misfire()).prop_map(|(v, misfire)| PolicyOverrides {
        created_expiry_seconds: v[0],
        running_expiry_seconds: v[1],
        reward_claim_delay_seconds: v[2],
        closed_expiry_seconds: v[3],
        reward_claim_seconds: v[4],
        reminder_lead_seconds: v[5],
        reminder_max_late_seconds: v[6],
        misfire,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (overrides(), 0_i64..10_000_000).prop_map(|(overrides, odd)| Policy {
        reward_claim_delay: TimeDelta::microseconds(odd),
        ..Policy::default().with(&overrides)
    })
}

fn definition() -> impl Strategy<Value = Definition> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (window(), flags, option::of(any::<u64>()), option::of(id()), overrides(), json_text()).prop_map(
        |(window, (auto_close, rewards_enabled, close_on_target), target_engagements, owner, policy, metadata)| {
            Definition {
                window,
                auto_close,
                rewards_enabled,
                target_engagements,
                close_on_target,
                owner: owner.map(|owner| OwnerId::parse(&owner).expect("valid")),
                policy,
                metadata,
            }
        },
    )
}

pub(crate) fn timer() -> impl Strategy<Value = Timer> {
    let lifecycle = proptest::sample::select(&LifecycleTimer::ALL[..]).prop_map(TimerKind::Lifecycle);
    let custom = id().prop_map(|name| TimerKind::Custom(TimerName::parse(&name).expect("valid")));
    (any::<u128>(), prop_oneof![lifecycle, custom], instant(), any::<u64>(), option::of(json_text())).prop_map(
        |(id, kind, due, generation, payload)| Timer {
            id: TimerId(Uuid::from_u128(id)),
            kind,
            due,
            generation,
            payload,
        },
    )
}

fn timers() -> impl Strategy<Value = Vec<Timer>> {
    proptest::collection::vec(timer(), 0..4)
}

fn phase() -> impl Strategy<Value = Phase> {
    (0..6, instant()).prop_map(|(kind, at)| match kind {
        0 => Phase::Created,
        1 => Phase::Running { started_at: at },
        2 => Phase::Closed { closed_at: at },
        3 => Phase::RewardClaim { opened_at: at },
        4 => Phase::Expired,
        _ => Phase::Cancelled,
    })
}

pub(crate) fn campaign() -> impl Strategy<Value = Campaign> {
    let counts = (any::<u64>(), any::<u64>(), any::<bool>(), any::<u64>());
    let settled = proptest::collection::btree_set(proptest::sample::select(&LifecycleTimer::ALL[..]), 0..5);
    let held = proptest::collection::btree_set(any::<u128>().prop_map(|id| TimerId(Uuid::from_u128(id))), 0..3);
    let definitions = (definition(), option::of(definition().prop_map(Box::new)));
    (counts, phase(), definitions, policy(), settled, timers(), held, (instant(), instant(), instant())).prop_map(
        |(counts, phase, (definition, original), policy, settled, timers, held, instants)| {
            let (created_at, planned_at, updated_at) = instants;
            let (version, engagements, target_reached, generation) = counts;
            Campaign {
                key: key(),
                version,
                phase,
                definition,
                original,
                policy,
                engagements,
                target_reached,
                generation,
                planned_at,
                settled,
                timers,
                held,
                created_at,
                updated_at,
            }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let status = || proptest::sample::select(&Status::ALL[..]);
    let trigger = proptest::sample::select(&Trigger::ALL[..]);
    let skip = prop_oneof![Just(SkipReason::TooLate), Just(SkipReason::WindowOver)];
    prop_oneof![
        (definition(), policy()).prop_map(|(definition, policy)| Event::Initialized { definition, policy }),
        (status(), status(), trigger, option::of(reason()), option::of(timer()))
            .prop_map(|(from, to, trigger, reason, timer)| Event::StatusChanged { from, to, trigger, reason, timer }),
        (
            option::of(window()),
            option::of(any::<bool>()),
            option::of(any::<bool>()),
            option::of(json_text()),
            option::of(reason())
        )
            .prop_map(|(window, auto_close, rewards_enabled, metadata, reason)| Event::Updated {
                window,
                auto_close,
                rewards_enabled,
                metadata,
                reason
            }),
        (id(), instant(), option::of(json_text())).prop_map(|(name, at, payload)| Event::ReminderScheduled {
            name: TimerName::parse(&name).expect("valid"),
            at,
            payload
        }),
        (timer(), skip).prop_map(|(timer, reason)| Event::TimerSkipped { timer, reason }),
        proptest::sample::select(every_event()).prop_map(|(event, _)| event),
    ]
}

/// Any entry.
pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let step = (event(), any::<u64>(), instant(), timers(), timers(), option::of(json_text()), option::of(id()));
    let step = step.prop_map(|(event, sequence, at, armed, cancelled, metadata, owner)| {
        Entry::Step(Box::new(CampaignStep {
            campaign: key().id,
            owner: owner.map(|owner| OwnerId::parse(&owner).expect("valid")),
            status: Status::Running,
            step: Step { sequence, at, event, armed },
            cancelled,
            metadata,
        }))
    });
    let failed = (timer(), any::<u32>(), any::<String>()).prop_map(|(timer, attempts, error)| Entry::TimerFailed {
        campaign: key().id,
        owner: None,
        timer,
        attempts,
        error,
    });
    let rejected = (any::<String>(), any::<String>(), any::<String>())
        .prop_map(|(command, code, message)| Entry::Rejected { campaign: key().id, command, code, message });
    let notice = (any::<String>(), any::<bool>(), any::<String>(), json_text()).prop_map(
        |(name, of_campaign, subject, detail)| Entry::Notice {
            name,
            campaign: of_campaign.then(|| key().id),
            subject,
            detail,
        },
    );
    prop_oneof![6 => step, 1 => failed, 1 => rejected, 1 => notice]
}
