//! Fixtures for unit tests of the application: values, and a clock that follows tokio's virtual time.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    Campaign, CampaignId, CampaignKey, Command, CommandId, Definition, JsonText, Policy, PolicyOverrides, Step,
    TenantId, TimerId, Timestamp, Window, advance, decide,
};
use ports::clock::{Clock, Ids};
use ports::journal::{Actor, ActorKind};
use uuid::Uuid;

/// 2026-01-01T00:00:00Z.
pub(crate) fn epoch() -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600, 0).expect("a valid instant")
}

pub(crate) fn key(id: &str) -> CampaignKey {
    CampaignKey { tenant: TenantId::default_tenant(), id: CampaignId::parse(id).expect("a valid id") }
}

/// A campaign of one hour that starts a minute after [`epoch`].
pub(crate) fn definition() -> Definition {
    let start = epoch() + TimeDelta::minutes(1);
    Definition {
        window: Window::new(start, start + TimeDelta::hours(1)).expect("a valid window"),
        auto_close: true,
        rewards_enabled: true,
        target_engagements: None,
        close_on_target: false,
        owner: None,
        policy: PolicyOverrides::default(),
        metadata: JsonText::empty(),
    }
}

/// A campaign just created.
pub(crate) fn campaign(id: &str) -> Campaign {
    created(id).0
}

/// A campaign just created, and its first step.
pub(crate) fn created(id: &str) -> (Campaign, Step) {
    let create = Command::Create { definition: definition() };
    let mut events = decide(None, &create, None, &Policy::default(), epoch()).expect("a valid campaign");
    let mut next = 0;
    let mut new_id = || {
        next += 1;
        TimerId(Uuid::from_u128(next))
    };
    advance(&key(id), None, events.remove(0), epoch(), &mut new_id).expect("a first step")
}

pub(crate) fn request(id: &str, command_id: &str, command: Command) -> lifecycle_application::CommandRequest {
    lifecycle_application::CommandRequest {
        key: key(id),
        id: CommandId::parse(command_id).expect("a valid id"),
        remember: true,
        fingerprint: [7; 32],
        command,
        expected_version: None,
        actor: Actor { kind: ActorKind::Operator, subject: "olga".to_owned() },
        correlation: None,
    }
}

/// Ids that count up.
#[derive(Default)]
pub(crate) struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1_000)
    }
}

/// Tells tokio's time, which tests pause and move.
pub(crate) struct VirtualClock(tokio::time::Instant);

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        epoch() + TimeDelta::from_std(self.0.elapsed()).expect("tests are short")
    }

    async fn sleep_until(&self, until: Timestamp) {
        tokio::time::sleep((until - self.now()).to_std().unwrap_or_default()).await;
    }
}
