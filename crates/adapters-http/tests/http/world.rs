//! All ports in memory, just enough for one process and one test.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::{
    CommandSettings, Commands, DeadLetterDesk, DeskParts, HealthSettings, Heartbeats, Notices, Policies, Reads,
    Recovery, RecoveryParts, System, SystemParts, TimerSettings, Timers,
};
use async_trait::async_trait;
use domain::{Campaign, CampaignKey, OwnerId, TenantId, TimerId, Timestamp};
use lifecycle_adapters_http::{Api, HttpSettings};
use ports::PortError;
use ports::auth::{AuthError, Authenticator, Principal, Role};
use ports::cache::Cache;
use ports::clock::{Clock, Ids};
use ports::dead_letters::{DeadLetters, Letter, LetterFilter, LetterState, NewLetter, Settlement};
use ports::feed::MockPublisher;
use ports::inbound::{Delivery, EntryId, Inbound, InboundEvent, RawEntry, Undecodable};
use ports::instances::{Instance, MockInstances};
use ports::journal::{Position, Record};
use ports::limits::{LimitKey, Permit, RateLimiter};
use ports::query::{
    CampaignFilter, Dossier, ForecastRow, Page, PageCursor, PageRequest, Queries, StatusCounts, StoreStatus,
    TimerFilter, TimerRow, TimerState,
};
use ports::store::{CommandKey, Decision, InboxEntry, Receipt, Scope, Store, View};
use ports::wakeups::MockWakeups;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// 2026-11-23T10:00:00Z.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_timestamp(1_795_428_000, 0).expect("in range")
}

/// What the ports remember, and what they are told to do.
#[derive(Default)]
pub(crate) struct World {
    campaigns: Mutex<Vec<Campaign>>,
    inbox: Mutex<Vec<(CommandKey, InboxEntry)>>,
    journal: Mutex<Vec<Record>>,
    pub(crate) entries: Mutex<Vec<RawEntry>>,
    pub(crate) letters: Mutex<Vec<Letter>>,
    ids: AtomicU64,
    /// How many more calls every key has.
    pub(crate) calls_left: AtomicU32,
    /// Which keys the limiter was asked about.
    pub(crate) limited: Mutex<Vec<LimitKey>>,
    /// Whether the store answers.
    pub(crate) store_is_down: std::sync::atomic::AtomicBool,
    /// Whether a question about a campaign is never answered.
    pub(crate) store_hangs: std::sync::atomic::AtomicBool,
    /// Whether a question about a campaign is a panic.
    pub(crate) store_panics: std::sync::atomic::AtomicBool,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let world = Self::default();
        world.calls_left.store(u32::MAX, Ordering::Relaxed);
        Arc::new(world)
    }

    fn check(&self) -> Result<(), PortError> {
        assert!(!self.store_panics.load(Ordering::Relaxed), "the store panics, as the test wants");
        if self.store_is_down.load(Ordering::Relaxed) {
            return Err(PortError::Unavailable { what: "the store", source: "no such file: /secret".into() });
        }
        Ok(())
    }

    /// The routes on this world. The command worker runs until the test's runtime ends.
    pub(crate) fn api(self: &Arc<Self>) -> Arc<Api> {
        let policies = Arc::new(Policies::default());
        let (commands, worker) = Commands::new(
            self.clone(),
            self.clone(),
            self.clone(),
            self.clone(),
            policies.clone(),
            CommandSettings::default(),
        );
        tokio::spawn(worker.run(CancellationToken::new()));
        let commands = Arc::new(commands);
        let heartbeats = Heartbeats::default();
        let notices = Notices::new(self.clone(), self.clone());
        let desk = DeadLetterDesk::new(DeskParts {
            letters: self.clone(),
            inbound: self.clone(),
            commands: commands.clone(),
            notices: notices.clone(),
            clock: self.clone(),
            ids: self.clone(),
            pause: Duration::ZERO,
        });
        Arc::new(Api {
            commands: commands.clone(),
            reads: Arc::new(Reads::new(self.clone(), self.clone())),
            desk: Arc::new(desk),
            dead_letters: self.clone(),
            system: Arc::new(self.system(commands, heartbeats, notices)),
            policies,
            inbound: self.clone(),
            auth: Arc::new(Names),
            limiter: self.clone(),
            clock: self.clone(),
            ids: self.clone(),
            metrics: Arc::new(|| "some_metric 1\n".to_owned()),
            settings: HttpSettings { token_burst: 200, address_burst: 20 },
        })
    }

    fn system(self: &Arc<Self>, commands: Arc<Commands>, heartbeats: Heartbeats, notices: Notices) -> System {
        let mut publisher = MockPublisher::new();
        publisher.expect_top().returning(|| Ok(Position::START));
        let publisher = Arc::new(publisher);
        let timers = Timers::new(
            self.clone(),
            self.clone(),
            self.clone(),
            Arc::new(MockWakeups::new()),
            TimerSettings::default(),
            heartbeats.register("timers"),
        );
        let recovery = Recovery::new(RecoveryParts {
            timers: Arc::new(timers),
            queries: self.clone(),
            publisher: publisher.clone(),
            inbound: self.clone(),
            notices,
            clock: self.clone(),
            ids: self.clone(),
            timers_per_second: 1_000,
        });
        let mut instances = MockInstances::new();
        instances.expect_alive().returning(|_| Ok(Vec::new()));
        System::new(SystemParts {
            instances: Arc::new(instances),
            instance: Instance { id: "test".to_owned(), version: "0".to_owned(), started_at: now() },
            queries: self.clone(),
            publisher,
            inbound: self.clone(),
            dead_letters: self.clone(),
            commands,
            heartbeats,
            recovery: Arc::new(recovery),
            usage: Arc::new(|| (None, None)),
            patrol: Arc::new(|| None),
            clock: self.clone(),
            settings: HealthSettings::default(),
        })
    }
}

#[async_trait]
impl Store for World {
    async fn transact(&self, scope: Scope, decision: Arc<dyn Decision>) -> Result<Receipt, PortError> {
        self.check()?;
        let mut view = View { now: now(), ..View::default() };
        if let Scope::Campaigns { keys, commands } = scope {
            let campaigns = self.campaigns.lock().expect("no test panics with it");
            view.campaigns =
                campaigns.iter().filter(|c| keys.contains(&c.key)).map(|c| (c.key.clone(), c.clone())).collect();
            let inbox = self.inbox.lock().expect("no test panics with it");
            view.inbox = inbox.iter().filter(|(key, _)| commands.contains(key)).cloned().collect();
        }
        let changes = decision.decide(&view);
        let mut campaigns = self.campaigns.lock().expect("no test panics with it");
        for write in changes.campaigns {
            campaigns.retain(|other| other.key != write.campaign.key);
            campaigns.push(write.campaign);
        }
        let mut journal = self.journal.lock().expect("no test panics with it");
        let first = journal.len() as u64 + 1;
        for (position, fact) in (first..).zip(changes.facts) {
            journal.push(Record { position: Position(position), fact });
        }
        self.inbox.lock().expect("no test panics with it").extend(changes.inbox);
        Ok(Receipt { now: now(), first_position: Some(Position(first)), due: 0, next_due: None })
    }

    async fn forget_commands(&self, _before: Timestamp) -> Result<u64, PortError> {
        Ok(0)
    }
}

#[async_trait]
impl Queries for World {
    async fn campaign(&self, key: &CampaignKey) -> Result<Option<Campaign>, PortError> {
        if self.store_hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.check()?;
        Ok(self.campaigns.lock().expect("no test panics with it").iter().find(|c| c.key == *key).cloned())
    }

    async fn dossier(&self, key: &CampaignKey) -> Result<Option<Dossier>, PortError> {
        let Some(campaign) = self.campaign(key).await? else { return Ok(None) };
        let timers = campaign.timers.iter().map(|timer| TimerRow {
            key: key.clone(),
            timer: timer.clone(),
            state: TimerState::Pending,
            held: false,
            attempts: 0,
            retry_at: None,
            error: None,
            completed_at: None,
        });
        let timers = timers.collect();
        Ok(Some(Dossier { campaign, timers, head: Position(1) }))
    }

    async fn campaigns(
        &self,
        tenant: &TenantId,
        filter: &CampaignFilter,
        page: &PageRequest,
    ) -> Result<Page<Campaign>, PortError> {
        self.check()?;
        let refused = |_| PortError::Refused { what: "the store", detail: "no cursor".to_owned() };
        let skip: usize = page.after.as_ref().map_or(Ok(0), |cursor| cursor.0.parse()).map_err(refused)?;
        let campaigns = self.campaigns.lock().expect("no test panics with it");
        let matching = campaigns.iter().rev().filter(|c| {
            c.key.tenant == *tenant
                && (filter.statuses.is_empty() || filter.statuses.contains(&c.status()))
                && (filter.owner.is_none() || filter.owner == c.definition.owner)
                && filter.id_prefix.as_ref().is_none_or(|prefix| c.key.id.as_str().starts_with(prefix))
        });
        let items: Vec<Campaign> = matching.skip(skip).take(page.limit + 1).cloned().collect();
        let next = (items.len() > page.limit).then(|| PageCursor((skip + page.limit).to_string()));
        Ok(Page { items: items.into_iter().take(page.limit).collect(), next })
    }

    async fn history(&self, key: &CampaignKey, after: Position, limit: usize) -> Result<Vec<Record>, PortError> {
        let journal = self.journal.lock().expect("no test panics with it");
        let of_campaign = journal.iter().filter(|record| {
            record.position > after && record.fact.tenant == key.tenant && record.fact.entry.campaign() == Some(&key.id)
        });
        Ok(of_campaign.take(limit).cloned().collect())
    }

    async fn timer(&self, _: &TenantId, _: TimerId) -> Result<Option<TimerRow>, PortError> {
        Ok(None)
    }

    async fn timers(
        &self,
        _: &TenantId,
        _: Option<OwnerId>,
        _: TimerFilter,
        _: &PageRequest,
    ) -> Result<Page<TimerRow>, PortError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn forecast(
        &self,
        _: &TenantId,
        from: Timestamp,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<ForecastRow>, PortError> {
        Ok(vec![ForecastRow { bucket: from, kind: "START_CAMPAIGN".to_owned(), count: 3 }])
    }

    async fn counts(&self, _: &TenantId, _: Option<OwnerId>) -> Result<(StatusCounts, Position), PortError> {
        Ok((Vec::new(), Position::START))
    }

    async fn status(&self) -> Result<StoreStatus, PortError> {
        self.check()?;
        Ok(StoreStatus { now: now(), ..StoreStatus::default() })
    }
}

#[async_trait]
impl Inbound for World {
    async fn append(&self, entries: Vec<RawEntry>) -> Result<Vec<EntryId>, PortError> {
        self.check()?;
        let ids = entries.iter().map(|_| EntryId("7".to_owned())).collect();
        self.entries.lock().expect("no test panics with it").extend(entries);
        Ok(ids)
    }

    async fn fetch(&self, _: &str, _: u64, _: usize, _: Duration) -> Result<Vec<Delivery>, PortError> {
        Ok(Vec::new())
    }

    async fn reclaim(&self, _: &str, _: u64, _: Duration, _: usize) -> Result<Vec<Delivery>, PortError> {
        Ok(Vec::new())
    }

    async fn acknowledge(&self, _: u64, _: &[EntryId]) -> Result<(), PortError> {
        Ok(())
    }

    fn decode(&self, raw: &RawEntry) -> Result<InboundEvent, Undecodable> {
        wire::inbound::decode(raw)
    }

    async fn oldest_unread(&self) -> Result<Option<Timestamp>, PortError> {
        Ok(None)
    }
}

#[async_trait]
impl DeadLetters for World {
    async fn add(&self, _: Vec<NewLetter>) -> Result<(), PortError> {
        Ok(())
    }

    async fn list(&self, tenant: &TenantId, filter: &LetterFilter, _: &PageRequest) -> Result<Page<Letter>, PortError> {
        let letters = self.letters.lock().expect("no test panics with it");
        let matching = letters.iter().rev().filter(|letter| {
            letter.letter.tenant == *tenant
                && filter.state.is_none_or(|state| letter.state == state)
                && filter.code.as_ref().is_none_or(|code| letter.letter.code == *code)
        });
        Ok(Page { items: matching.cloned().collect(), next: None })
    }

    async fn get(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Letter>, PortError> {
        let letters = self.letters.lock().expect("no test panics with it");
        Ok(letters.iter().find(|letter| letter.letter.tenant == *tenant && letter.letter.id == id).cloned())
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        id: Uuid,
        state: LetterState,
        settlement: Settlement,
    ) -> Result<bool, PortError> {
        let mut letters = self.letters.lock().expect("no test panics with it");
        let open = letters.iter_mut().find(|letter| {
            letter.letter.tenant == *tenant && letter.letter.id == id && letter.state == LetterState::Open
        });
        let Some(letter) = open else { return Ok(false) };
        letter.state = state;
        letter.settled = Some(settlement);
        Ok(true)
    }

    async fn open_count(&self) -> Result<u64, PortError> {
        Ok(0)
    }
}

#[async_trait]
impl Cache for World {
    async fn get(&self, _: &CampaignKey) -> Option<Arc<Campaign>> {
        None
    }

    async fn put(&self, _: Vec<Arc<Campaign>>) {}

    async fn outdated(&self, _: Vec<(CampaignKey, u64)>) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

impl Ids for World {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

#[async_trait]
impl RateLimiter for World {
    async fn take(&self, key: LimitKey) -> Permit {
        self.limited.lock().expect("no test panics with it").push(key);
        let take_one = |left: u32| left.checked_sub(1);
        match self.calls_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one) {
            Ok(_) => Permit::Granted,
            Err(_) => Permit::Denied { retry_after: Duration::from_millis(1_500) },
        }
    }
}

/// Takes a token for what it says: `tenant/role` or `tenant/role/owner`.
struct Names;

#[async_trait]
impl Authenticator for Names {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let mut parts = token.split('/');
        let (Some(tenant), Some(role)) = (parts.next(), parts.next()) else { return Err(AuthError::Malformed) };
        if tenant == "expired" {
            return Err(AuthError::Expired);
        }
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or(AuthError::BadSignature)?;
        Ok(Principal {
            subject: format!("the-{}", role.as_str()),
            tenant: TenantId::parse(tenant).map_err(|_| AuthError::Claim { claim: "tenant" })?,
            roles: vec![role],
            owner: parts.next().map(|owner| OwnerId::parse(owner).expect("an owner")),
            expires_at: now() + chrono::TimeDelta::hours(1),
        })
    }
}

/// The address that tests call from.
pub(crate) fn home() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}
