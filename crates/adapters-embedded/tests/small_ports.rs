//! The suites of the ports that need no file: clocks, ids, hints, the cache and rate limits.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use lifecycle_adapters_embedded::cache::LocalCache;
use lifecycle_adapters_embedded::clock::{ManualClock, SystemClock, SystemIds};
use lifecycle_adapters_embedded::limits::LocalRateLimiter;
use lifecycle_adapters_embedded::sole::Sole;
use lifecycle_adapters_embedded::wakeups::LocalWakeups;
use port_contracts::cache::CacheHarness;
use port_contracts::clock::{ClockHarness, IdsHarness};
use port_contracts::instances::InstancesHarness;
use port_contracts::leases::LeasesHarness;
use port_contracts::limits::LimitsHarness;
use port_contracts::wakeups::WakeupsHarness;
use ports::cache::Cache;
use ports::clock::{Clock, Ids};
use ports::instances::Instances;
use ports::leases::Leases;
use ports::limits::{LimitSettings, Rate, RateLimiter};
use ports::wakeups::Wakeups;

mod system_clock {
    port_contracts::clock_contract!(super::Machine);
    port_contracts::ids_contract!(super::Machine);
}

mod manual_clock {
    port_contracts::clock_contract!(super::Manual::new());
}

mod wakeups {
    port_contracts::wakeups_contract!(super::Hints::new());
}

mod cache {
    port_contracts::cache_contract!(super::AtHand::new());
}

mod instances {
    port_contracts::instances_contract!(super::Alone::new());
}

mod leases {
    port_contracts::leases_contract!(super::Alone::new());
}

mod limits {
    port_contracts::limits_contract!(super::Limited::new());
}

fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_timestamp(1_800_000_000, 0).expect("a date in 2027")))
}

/// The machine's own clock and randomness. One clock for all cases, as in the service.
struct Machine;

static MACHINE_CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(Arc::default);

#[async_trait]
impl ClockHarness for Machine {
    fn clock(&self) -> Arc<dyn Clock> {
        MACHINE_CLOCK.clone()
    }

    async fn let_pass(&self, by: TimeDelta) {
        tokio::time::sleep(by.to_std().expect("some time")).await;
    }
}

impl IdsHarness for Machine {
    fn ids(&self) -> Arc<dyn Ids> {
        Arc::new(SystemIds)
    }
}

struct Manual {
    clock: Arc<ManualClock>,
}

impl Manual {
    fn new() -> Self {
        Self { clock: manual_clock() }
    }
}

#[async_trait]
impl ClockHarness for Manual {
    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    async fn let_pass(&self, by: TimeDelta) {
        self.clock.advance(by);
    }
}

struct Hints {
    wakeups: Arc<LocalWakeups>,
}

impl Hints {
    fn new() -> Self {
        Self { wakeups: LocalWakeups::new() }
    }
}

impl WakeupsHarness for Hints {
    fn wakeups(&self) -> Arc<dyn Wakeups> {
        self.wakeups.clone()
    }
}

struct AtHand {
    cache: Arc<LocalCache>,
}

impl AtHand {
    const CAPACITY: u16 = 300;

    fn new() -> Self {
        let capacity = u64::from(Self::CAPACITY);
        Self { cache: Arc::new(LocalCache::new(capacity, capacity * 4_096)) }
    }
}

#[async_trait]
impl CacheHarness for AtHand {
    fn cache(&self) -> Arc<dyn Cache> {
        self.cache.clone()
    }

    fn capacity(&self) -> usize {
        usize::from(Self::CAPACITY)
    }

    async fn settle(&self) {
        self.cache.tidy();
    }
}

struct Limited {
    limiter: Arc<LocalRateLimiter>,
    clock: Arc<ManualClock>,
}

impl Limited {
    const RATE: Rate =
        Rate { per_second: NonZeroU32::new(20).expect("not zero"), burst: NonZeroU32::new(7).expect("not zero") };

    fn new() -> Self {
        let clock = manual_clock();
        let settings = LimitSettings { token: Self::RATE, address: Self::RATE };
        Self { limiter: Arc::new(LocalRateLimiter::new(&settings, clock.clone())), clock }
    }
}

#[async_trait]
impl LimitsHarness for Limited {
    fn limiter(&self) -> Arc<dyn RateLimiter> {
        self.limiter.clone()
    }

    fn burst(&self) -> u32 {
        Self::RATE.burst.get()
    }

    fn per_second(&self) -> u32 {
        Self::RATE.per_second.get()
    }

    async fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }
}

/// The only process, on a clock that stands still.
struct Alone {
    clock: Arc<ManualClock>,
    sole: Arc<Sole>,
}

impl Alone {
    fn new() -> Self {
        let clock = manual_clock();
        Self { sole: Sole::new(clock.clone()), clock }
    }
}

#[async_trait]
impl InstancesHarness for Alone {
    fn instances(&self) -> Arc<dyn Instances> {
        self.sole.clone()
    }

    async fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }
}

#[async_trait]
impl LeasesHarness for Alone {
    fn leases(&self) -> Arc<dyn Leases> {
        self.sole.clone()
    }

    async fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }
}
