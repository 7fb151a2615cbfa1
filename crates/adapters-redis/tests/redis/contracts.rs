//! The suites of the ports.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use port_contracts::cache::CacheHarness;
use port_contracts::inbound::InboundHarness;
use port_contracts::limits::LimitsHarness;
use port_contracts::wakeups::WakeupsHarness;
use ports::cache::Cache;
use ports::clock::Clock;
use ports::inbound::Inbound;
use ports::limits::{LimitKey, LimitSettings, Permit, Rate, RateLimiter};
use ports::wakeups::Wakeups;

use crate::hints::LocalHints;
use crate::support::World;

mod inbound {
    port_contracts::inbound_contract!(super::Events(crate::support::World::fresh().await));
}

mod wakeups {
    port_contracts::wakeups_contract!(super::Hints::fresh().await);
}

mod cache {
    port_contracts::cache_contract!(super::AtHand::fresh().await);
}

mod limits {
    port_contracts::limits_contract!(super::Limited::fresh().await);
}

struct Events(World);

#[async_trait]
impl InboundHarness for Events {
    fn inbound(&self) -> Arc<dyn Inbound> {
        self.0.redis.inbound()
    }

    /// The server's clock is the machine's: there is nothing to do but wait.
    async fn advance(&self, by: TimeDelta) {
        tokio::time::sleep(by.to_std().expect("some time") + Duration::from_millis(2)).await;
    }

    async fn reopen(&mut self) {
        self.0.reopen().await;
    }
}

struct Hints {
    wakeups: Arc<dyn Wakeups>,
    _world: World,
}

impl Hints {
    async fn fresh() -> Self {
        let world = World::fresh().await;
        let local = LocalHints::new();
        let wakeups = world.redis.wakeups(local);
        Self { wakeups, _world: world }
    }
}

impl WakeupsHarness for Hints {
    fn wakeups(&self) -> Arc<dyn Wakeups> {
        Arc::clone(&self.wakeups)
    }
}

struct AtHand {
    cache: Arc<dyn Cache>,
    _world: World,
}

impl AtHand {
    const CAPACITY: u16 = 300;

    async fn fresh() -> Self {
        let mut world = World::fresh().await;
        world.settings.cache_campaigns = Self::CAPACITY.into();
        world.reopen().await;
        Self { cache: world.redis.cache(), _world: world }
    }
}

#[async_trait]
impl CacheHarness for AtHand {
    fn cache(&self) -> Arc<dyn Cache> {
        Arc::clone(&self.cache)
    }

    fn capacity(&self) -> usize {
        Self::CAPACITY.into()
    }

    async fn settle(&self) {}
}

/// Never asked while Redis answers.
struct Nobody;

#[async_trait]
impl RateLimiter for Nobody {
    async fn take(&self, _: LimitKey) -> Permit {
        panic!("Redis has to count")
    }
}

/// Stands still unless it is moved: the server's own time goes on while a case runs on a busy machine.
struct Held(AtomicI64);

#[async_trait]
impl Clock for Held {
    fn now(&self) -> Timestamp {
        wire::time::from_micros(self.0.load(Ordering::Relaxed)).expect("in range")
    }

    async fn sleep_until(&self, _: Timestamp) {
        unreachable!("nobody sleeps")
    }
}

struct Limited {
    limiter: Arc<dyn RateLimiter>,
    clock: Arc<Held>,
    _world: World,
}

impl Limited {
    const RATE: Rate =
        Rate { per_second: NonZeroU32::new(50).expect("some"), burst: NonZeroU32::new(20).expect("some") };

    async fn fresh() -> Self {
        let world = World::fresh().await;
        let limits = LimitSettings { token: Self::RATE, address: Self::RATE };
        let clock = Arc::new(Held(AtomicI64::new(1_800_000_000_000_000)));
        let limiter = world.redis.limiter(limits, Arc::new(Nobody)).in_time_of(clock.clone());
        Self { limiter, clock, _world: world }
    }
}

#[async_trait]
impl LimitsHarness for Limited {
    fn limiter(&self) -> Arc<dyn RateLimiter> {
        Arc::clone(&self.limiter)
    }

    fn burst(&self) -> u32 {
        Self::RATE.burst.get()
    }

    fn per_second(&self) -> u32 {
        Self::RATE.per_second.get()
    }

    async fn advance(&self, by: TimeDelta) {
        self.clock.0.fetch_add(by.num_microseconds().expect("short"), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn in_the_server_s_own_time_a_burst_is_granted_and_comes_back() {
    let world = World::fresh().await;
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(2).expect("some") };
    let limiter = world.redis.limiter(LimitSettings { token: rate, address: rate }, Arc::new(Nobody));
    let take = || limiter.take(LimitKey::Token("acme/ada".to_owned()));
    assert_eq!((take().await, take().await), (Permit::Granted, Permit::Granted));
    if let Permit::Denied { retry_after } = take().await {
        assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
        tokio::time::sleep(retry_after + Duration::from_millis(1)).await;
        assert_eq!(take().await, Permit::Granted);
    }
    let key = world.key("lifecycle:limit:token:acme/ada");
    let left: i64 = world.raw.call(&["PTTL", &key]).await.convert().expect("a number");
    assert!((1..=2_000).contains(&left), "it is forgotten when it is at rest: {left} ms");
}
