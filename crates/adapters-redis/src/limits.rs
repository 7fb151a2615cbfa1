//! Rate limits that all processes share. While Redis does not answer, each process counts by itself, and one call a second
//! looks whether it does again; how a process counts does not live here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ports::clock::Clock;
use ports::limits::{LimitKey, LimitSettings, Permit, Rate, RateLimiter};
use tokio::time::Instant;

use crate::link::{Link, Script, lock};
use crate::names::{LIMIT, Names};
use crate::values::{arg, number};

static TAKE: Script = Script::new(include_str!("scripts/limit.lua"));

/// For how long nobody waits for Redis after somebody waited in vain.
const REST: Duration = Duration::from_secs(1);

/// [`RateLimiter`] in Redis.
pub struct RedisRateLimiter {
    link: Arc<Link>,
    names: Names,
    limits: LimitSettings,
    wait: Duration,
    /// Counts when Redis cannot.
    alone: Arc<dyn RateLimiter>,
    /// When to ask Redis again, which did not answer last time.
    resting: Mutex<Option<Instant>>,
    /// In whose time, if not in the server's.
    clock: Option<Arc<dyn Clock>>,
}

impl RedisRateLimiter {
    pub(crate) fn new(
        link: Arc<Link>,
        names: Names,
        limits: LimitSettings,
        wait: Duration,
        alone: Arc<dyn RateLimiter>,
    ) -> Self {
        Self { link, names, limits, wait, alone, resting: Mutex::default(), clock: None }
    }

    /// The same in the time of `clock` and not in the server's own: for tests, which cannot hold that one.
    pub fn in_time_of(&self, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            link: Arc::clone(&self.link),
            names: self.names.clone(),
            limits: self.limits,
            wait: self.wait,
            alone: Arc::clone(&self.alone),
            resting: Mutex::default(),
            clock: Some(clock),
        })
    }

    /// Whether Redis is asked. After a rest the first one asks, for all the others.
    fn asks(&self) -> bool {
        let now = Instant::now();
        let mut resting = lock(&self.resting);
        match *resting {
            Some(until) if now < until => false,
            Some(_) => {
                *resting = Some(now + REST);
                true
            }
            None => true,
        }
    }

    async fn take_alone(&self, key: LimitKey) -> Permit {
        metrics::counter!("lifecycle_limits_alone_total").increment(1);
        self.alone.take(key).await
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn take(&self, key: LimitKey) -> Permit {
        if !self.asks() {
            return self.take_alone(key).await;
        }
        let (rate, name) = match &key {
            LimitKey::Token(token) => (self.limits.token, format!("{LIMIT}token:{token}")),
            LimitKey::Address(address) => (self.limits.address, format!("{LIMIT}address:{address}")),
        };
        let now = self.clock.as_ref().map(|clock| wire::time::micros(clock.now()).to_string());
        let args = vec![arg(between(rate)), arg(rate.burst), now.unwrap_or_default().into()];
        let answer = self.link.run_within(self.wait, &TAKE, vec![self.names.of(&name)], args).await;
        let answer = answer.as_ref().ok().and_then(number);
        *lock(&self.resting) = answer.is_none().then(|| Instant::now() + REST);
        match answer {
            Some(0) => Permit::Granted,
            Some(micros) => Permit::Denied { retry_after: Duration::from_micros(micros) },
            None => self.take_alone(key).await,
        }
    }
}

/// The microseconds between two of a rate, at least one.
fn between(rate: Rate) -> u32 {
    (1_000_000 / rate.per_second.get()).max(1)
}
