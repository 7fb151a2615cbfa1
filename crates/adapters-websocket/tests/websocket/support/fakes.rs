//! A feed, queries, an authenticator and a clock in memory, told what to say by the tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    Campaign, CampaignKey, Definition, Event, JsonText, LifecycleTimer, OwnerId, Phase, Policy, PolicyOverrides,
    Status, Step, TenantId, Timer, TimerId, TimerKind, Timestamp, Trigger, Window,
};
use ports::PortError;
use ports::auth::{AuthError, Authenticator, Principal, Role};
use ports::clock::Clock;
use ports::feed::{Channel, Feed, Live, LiveFeed};
use ports::journal::{Actor, CampaignStep, Cause, Entry, Fact, Position, Record};
use ports::query::{
    CampaignFilter, Dossier, ForecastRow, Page, PageRequest, Queries, StatusCounts, StoreStatus, TimerFilter, TimerRow,
};
use tokio::sync::broadcast;
use uuid::Uuid;

/// The instant at which every test begins.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000, 0).expect("in range")
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant")
}

/// The whole store: a journal, how much of it is published, and the campaigns.
pub(crate) struct World {
    state: Mutex<State>,
    live: broadcast::Sender<Arc<Record>>,
    /// How often the feed was read.
    pub(crate) reads: AtomicU64,
    /// Whether reads fail.
    pub(crate) broken: AtomicBool,
}

#[derive(Default)]
struct State {
    journal: Vec<Arc<Record>>,
    published: usize,
    floor: u64,
    campaigns: HashMap<CampaignKey, Campaign>,
}

impl World {
    /// A world whose live feed holds `buffer` records for a subscriber.
    pub(crate) fn new(buffer: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            live: broadcast::channel(buffer).0,
            reads: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        })
    }

    /// Makes a campaign known to queries, without a record.
    pub(crate) fn add_campaign(&self, tenant_name: &str, id: &str, owner: Option<&str>) -> CampaignKey {
        let key = CampaignKey { tenant: tenant(tenant_name), id: id.parse().expect("an id") };
        let campaign = Campaign {
            key: key.clone(),
            version: 1,
            phase: Phase::Running { started_at: start() },
            definition: Definition {
                window: Window::new(start(), start() + TimeDelta::hours(1)).expect("a window"),
                auto_close: true,
                rewards_enabled: true,
                target_engagements: None,
                close_on_target: false,
                owner: owner.map(|o| OwnerId::parse(o).expect("an owner")),
                policy: PolicyOverrides::default(),
                metadata: JsonText::empty(),
            },
            original: None,
            policy: Policy::default(),
            engagements: 0,
            target_reached: false,
            generation: 1,
            planned_at: start(),
            settled: std::collections::BTreeSet::new(),
            timers: Vec::new(),
            held: std::collections::BTreeSet::new(),
            created_at: start(),
            updated_at: start(),
        };
        self.state.lock().expect("not poisoned").campaigns.insert(key.clone(), campaign);
        key
    }

    /// Commits a change of status of the campaign, one frame; nobody is told yet.
    pub(crate) fn commit(&self, key: &CampaignKey) -> Position {
        self.commit_arming(key, 0)
    }

    /// Commits a change of status that arms so many timers, a frame more for each; nobody is told yet.
    pub(crate) fn commit_arming(&self, key: &CampaignKey, timers: u32) -> Position {
        let mut state = self.state.lock().expect("not poisoned");
        let position = state.journal.len() as u64 + 1;
        let campaign = state.campaigns.get_mut(key).expect("a known campaign");
        campaign.version += 1;
        let entry = Entry::Step(Box::new(CampaignStep {
            campaign: key.id.clone(),
            owner: campaign.definition.owner.clone(),
            status: Status::Running,
            step: Step {
                sequence: campaign.version,
                at: start(),
                event: Event::StatusChanged {
                    from: Status::Created,
                    to: Status::Running,
                    trigger: Trigger::Operator,
                    reason: None,
                    timer: None,
                },
                armed: (0..timers).map(timer).collect(),
            },
            cancelled: Vec::new(),
            metadata: None,
        }));
        let record = record(
            position,
            key.tenant.clone(),
            Actor { kind: ports::journal::ActorKind::Operator, subject: "ops".to_owned() },
            entry,
        );
        state.journal.push(record);
        Position(position)
    }

    /// Commits a notice of a tenant, or of the service.
    pub(crate) fn commit_notice(&self, tenant: &TenantId, name: &str) -> Position {
        let mut state = self.state.lock().expect("not poisoned");
        let position = state.journal.len() as u64 + 1;
        let entry = Entry::Notice {
            name: name.to_owned(),
            campaign: None,
            subject: "this".to_owned(),
            detail: JsonText::empty(),
        };
        state.journal.push(record(position, tenant.clone(), Actor::system(), entry));
        Position(position)
    }

    /// Publishes everything that is committed.
    pub(crate) fn publish(&self) {
        let mut state = self.state.lock().expect("not poisoned");
        for at in state.published..state.journal.len() {
            // Nobody may listen.
            let _ = self.live.send(Arc::clone(&state.journal[at]));
        }
        state.published = state.journal.len();
    }

    /// Commits and publishes a change of the campaign.
    pub(crate) fn change(&self, key: &CampaignKey) -> Position {
        let position = self.commit(key);
        self.publish();
        position
    }

    /// Forgets everything up to `floor`.
    pub(crate) fn trim(&self, floor: Position) {
        self.state.lock().expect("not poisoned").floor = floor.0;
    }

    fn head(&self) -> Position {
        Position(self.state.lock().expect("not poisoned").journal.len() as u64)
    }

    fn check(&self) -> Result<(), PortError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(PortError::Unavailable { what: "the store", source: "broken by the test".into() });
        }
        Ok(())
    }
}

fn timer(nth: u32) -> Timer {
    Timer {
        id: TimerId(Uuid::from_u128(u128::from(nth))),
        kind: TimerKind::Lifecycle(LifecycleTimer::Close),
        due: start(),
        generation: 1,
        payload: None,
    }
}

fn record(position: u64, tenant: TenantId, actor: Actor, entry: Entry) -> Arc<Record> {
    let fact =
        Fact { id: Uuid::from_u128(u128::from(position)), at: start(), tenant, actor, cause: Cause::default(), entry };
    Arc::new(Record { position: Position(position), fact })
}

struct Subscription(broadcast::Receiver<Arc<Record>>);

#[async_trait]
impl LiveFeed for Subscription {
    async fn next(&mut self) -> Live {
        match self.0.recv().await {
            Ok(record) => Live::Records(Arc::from([record])),
            Err(broadcast::error::RecvError::Lagged(_)) => Live::Lagged,
            Err(broadcast::error::RecvError::Closed) => Live::Closed,
        }
    }
}

#[async_trait]
impl Feed for World {
    fn top(&self) -> Position {
        Position(self.state.lock().expect("not poisoned").published as u64)
    }

    async fn floor(&self) -> Result<Position, PortError> {
        self.check()?;
        Ok(Position(self.state.lock().expect("not poisoned").floor))
    }

    async fn read(
        &self,
        channel: &Channel,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, PortError> {
        self.check()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let state = self.state.lock().expect("not poisoned");
        let records = state.journal[..state.published].iter();
        let wanted = records
            .filter(|r| r.position > after && r.position <= up_to && r.position.0 > state.floor && channel.has(r));
        Ok(wanted.take(limit).cloned().collect())
    }

    fn subscribe(&self) -> Box<dyn LiveFeed> {
        Box::new(Subscription(self.live.subscribe()))
    }
}

#[async_trait]
impl Queries for World {
    async fn campaign(&self, key: &CampaignKey) -> Result<Option<Campaign>, PortError> {
        self.check()?;
        Ok(self.state.lock().expect("not poisoned").campaigns.get(key).cloned())
    }

    async fn dossier(&self, key: &CampaignKey) -> Result<Option<Dossier>, PortError> {
        self.check()?;
        let dossier = {
            let state = self.state.lock().expect("not poisoned");
            let head = Position(state.journal.len() as u64);
            let campaign = state.campaigns.get(key).cloned();
            campaign.map(|campaign| Dossier { campaign, timers: Vec::new(), head })
        };
        // Answers take their time, and meanwhile the world goes on.
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(dossier)
    }

    async fn campaigns(&self, _: &TenantId, _: &CampaignFilter, _: &PageRequest) -> Result<Page<Campaign>, PortError> {
        unreachable!("the hub does not list")
    }

    async fn history(&self, _: &CampaignKey, _: Position, _: usize) -> Result<Vec<Record>, PortError> {
        unreachable!("the hub does not read histories")
    }

    async fn timer(&self, _: &TenantId, _: TimerId) -> Result<Option<TimerRow>, PortError> {
        unreachable!("the hub does not read timers")
    }

    async fn timers(
        &self,
        _: &TenantId,
        _: Option<OwnerId>,
        _: TimerFilter,
        _: &PageRequest,
    ) -> Result<Page<TimerRow>, PortError> {
        unreachable!("the hub does not list timers")
    }

    async fn forecast(&self, _: &TenantId, _: Timestamp, _: Timestamp, _: u32) -> Result<Vec<ForecastRow>, PortError> {
        unreachable!("the hub does not forecast")
    }

    async fn counts(&self, tenant: &TenantId, owner: Option<OwnerId>) -> Result<(StatusCounts, Position), PortError> {
        self.check()?;
        tokio::task::yield_now().await;
        let state = self.state.lock().expect("not poisoned");
        let all = state.campaigns.values();
        let count = all.filter(|c| c.key.tenant == *tenant && (owner.is_none() || c.definition.owner == owner)).count();
        Ok((vec![(Status::Running, count as u64)], Position(state.journal.len() as u64)))
    }

    async fn status(&self) -> Result<StoreStatus, PortError> {
        self.check()?;
        Ok(StoreStatus { now: start(), head: self.head(), ..StoreStatus::default() })
    }
}

/// Takes everybody for an operator of the tenant `acme`, with or without a token.
pub(crate) struct NoTokens;

#[async_trait]
impl Authenticator for NoTokens {
    async fn authenticate(&self, _: &str) -> Result<Principal, AuthError> {
        PlainTokens.authenticate("anybody_acme_operator__3600").await
    }
}

/// Reads tokens of the form `subject_tenant_role.role_owner_seconds` (owner may be empty), valid for so many seconds
/// after [`start`].
pub(crate) struct PlainTokens;

#[async_trait]
impl Authenticator for PlainTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let parts: Vec<&str> = token.split('_').collect();
        let [subject, tenant_name, roles, owner, seconds] = parts[..] else { return Err(AuthError::Malformed) };
        let roles = roles.split('.').filter_map(|name| Role::ALL.into_iter().find(|role| role.as_str() == name));
        let roles: Vec<Role> = roles.collect();
        if roles.is_empty() {
            return Err(AuthError::Claim { claim: "roles" });
        }
        let seconds: i64 = seconds.parse().map_err(|_| AuthError::Malformed)?;
        Ok(Principal {
            subject: subject.to_owned(),
            tenant: tenant(tenant_name),
            roles,
            owner: (!owner.is_empty()).then(|| OwnerId::parse(owner).expect("an owner")),
            expires_at: start() + TimeDelta::seconds(seconds),
        })
    }
}

/// A clock that starts at [`start`] and runs with the machine's.
pub(crate) struct RunningClock {
    began: Instant,
}

impl RunningClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now() })
    }
}

#[async_trait]
impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        start() + TimeDelta::from_std(self.began.elapsed()).expect("a short test")
    }

    async fn sleep_until(&self, until: Timestamp) {
        let left = (until - self.now()).to_std().unwrap_or(Duration::ZERO);
        tokio::time::sleep(left).await;
    }
}
