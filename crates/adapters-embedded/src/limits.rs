//! Rate limits of this process. Limits shared by several instances do not live here.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use domain::Timestamp;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter as Governor};
use ports::clock::Clock;
use ports::limits::{LimitKey, LimitSettings, Permit, Rate, RateLimiter};

/// How often keys that were quiet are forgotten.
const HOUSEKEEPING_NANOS: u64 = 60_000_000_000;

/// [`RateLimiter`] in this process. Keys that were quiet long enough to have their whole burst again are forgotten by
/// the way, so that its size follows the traffic.
pub struct LocalRateLimiter {
    tokens: Keyed<String>,
    addresses: Keyed<IpAddr>,
    ticks: Ticks,
    tidied_at: AtomicU64,
}

type Keyed<K> = Governor<K, DashMapStateStore<K>, Ticks, NoOpMiddleware<Nanos>>;

impl LocalRateLimiter {
    /// Limits by `settings`, in the time of `clock`.
    pub fn new(settings: &LimitSettings, clock: Arc<dyn Clock>) -> Self {
        let ticks = Ticks { started: clock.now(), clock };
        Self {
            tokens: keyed(settings.token, &ticks),
            addresses: keyed(settings.address, &ticks),
            ticks,
            tidied_at: AtomicU64::new(0),
        }
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.tokens.len() + self.addresses.len()
    }

    fn tidy_now_and_then(&self) {
        let now = self.ticks.now().as_u64();
        let last = self.tidied_at.load(Ordering::Relaxed);
        let is_time = now.saturating_sub(last) >= HOUSEKEEPING_NANOS;
        // Only the one who moves the mark tidies.
        if is_time && self.tidied_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            forget_quiet_keys(&self.tokens);
            forget_quiet_keys(&self.addresses);
        }
    }
}

#[async_trait]
impl RateLimiter for LocalRateLimiter {
    async fn take(&self, key: LimitKey) -> Permit {
        self.tidy_now_and_then();
        match key {
            LimitKey::Token(token) => take(&self.tokens, &token, &self.ticks),
            LimitKey::Address(address) => take(&self.addresses, &address, &self.ticks),
        }
    }
}

fn keyed<K: Hash + Eq + Clone>(rate: Rate, ticks: &Ticks) -> Keyed<K> {
    let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
    Governor::new(quota, DashMapStateStore::default(), ticks.clone())
}

fn take<K: Hash + Eq + Clone>(limiter: &Keyed<K>, key: &K, ticks: &Ticks) -> Permit {
    match limiter.check_key(key) {
        Ok(()) => Permit::Granted,
        Err(denied) => Permit::Denied { retry_after: denied.wait_time_from(ticks.now()) },
    }
}

fn forget_quiet_keys<K: Hash + Eq + Clone>(limiter: &Keyed<K>) {
    limiter.retain_recent();
    limiter.shrink_to_fit();
}

/// Our clock, as the limiter wants it: nanoseconds since it was made.
#[derive(Clone)]
struct Ticks {
    clock: Arc<dyn Clock>,
    started: Timestamp,
}

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        (self.clock.now() - self.started).to_std().unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn keys_that_were_quiet_are_forgotten() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let limiter = LocalRateLimiter::new(&LimitSettings { token: rate, address: rate }, clock.clone());
        for n in 0..1_000 {
            limiter.take(LimitKey::Token(format!("acme/{n}"))).await;
        }
        assert_eq!(limiter.keys(), 1_000);
        clock.advance(chrono::TimeDelta::seconds(61));
        limiter.take(LimitKey::Token("acme/late".to_owned())).await;
        assert!(limiter.keys() <= 1, "{} keys are still known", limiter.keys());
    }
}
