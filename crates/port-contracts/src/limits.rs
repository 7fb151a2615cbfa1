//! The suite of rate limits (L1, L2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use ports::limits::{LimitKey, Permit, RateLimiter};

/// A limiter of its own for one case, with the same limit for tokens and addresses.
#[async_trait]
pub trait LimitsHarness: Send + Sync {
    /// The limiter.
    fn limiter(&self) -> Arc<dyn RateLimiter>;

    /// How many it grants at once, after a rest; more than 2.
    fn burst(&self) -> u32;

    /// How many it grants a second, for ever; at least 10.
    fn per_second(&self) -> u32;

    /// Lets its clock move on by `by` or a little more; where time cannot be moved, waits.
    async fn advance(&self, by: TimeDelta);
}

/// One test per case of rate limits; `$make` gives a fresh [`LimitsHarness`].
#[macro_export]
macro_rules! limits_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            limits {
                a_burst_is_granted_and_no_more,
                who_waits_as_told_is_granted,
                a_rest_gives_the_burst_back_and_no_more,
                in_any_window_no_more_than_burst_and_rate_is_granted,
                many_at_once_share_one_burst,
                keys_do_not_influence_each_other,
            }
        }
    };
}

fn token(name: &str) -> LimitKey {
    LimitKey::Token(name.to_owned())
}

async fn takes(h: &impl LimitsHarness, key: &LimitKey) -> bool {
    h.limiter().take(key.clone()).await == Permit::Granted
}

/// Takes until it is refused; answers how many it got, at most `most`.
async fn exhaust(h: &impl LimitsHarness, key: &LimitKey, most: u32) -> u32 {
    for taken in 0..most {
        if !takes(h, key).await {
            return taken;
        }
    }
    most
}

/// L1: after a rest, the burst is granted, and then refused with a time to wait that is not zero.
pub async fn a_burst_is_granted_and_no_more(h: &mut impl LimitsHarness) {
    let key = token("acme/ada");
    // A clock that cannot be held gives a few more while the case runs.
    let got = exhaust(h, &key, h.burst() + h.per_second()).await;
    assert!((h.burst()..h.burst() + h.per_second()).contains(&got), "{got}");
    match h.limiter().take(key).await {
        Permit::Denied { retry_after } => assert!(retry_after.as_nanos() > 0 && retry_after.as_secs() < 2),
        Permit::Granted => panic!("the burst was used up"),
    }
}

/// L1: who waits as long as told is granted the next one.
pub async fn who_waits_as_told_is_granted(h: &mut impl LimitsHarness) {
    let key = token("acme/ada");
    exhaust(h, &key, h.burst() * 2).await;
    for _ in 0..3 {
        if let Permit::Denied { retry_after } = h.limiter().take(key.clone()).await {
            // Clocks are in whole microseconds.
            h.advance(TimeDelta::from_std(retry_after).expect("short") + TimeDelta::microseconds(1)).await;
        }
        assert!(takes(h, &key).await);
    }
}

/// L1: a long rest gives the whole burst back, but saves up no more.
pub async fn a_rest_gives_the_burst_back_and_no_more(h: &mut impl LimitsHarness) {
    let key = token("acme/ada");
    exhaust(h, &key, h.burst() * 2).await;
    h.advance(TimeDelta::seconds(i64::from(h.burst() / h.per_second()) + 2)).await;
    let got = exhaust(h, &key, h.burst() + h.per_second()).await;
    assert!((h.burst()..h.burst() + h.per_second()).contains(&got), "{got}");
}

/// L1: in no window are more granted than the burst and the rate times the window.
pub async fn in_any_window_no_more_than_burst_and_rate_is_granted(h: &mut impl LimitsHarness) {
    let key = token("acme/ada");
    let mut granted = exhaust(h, &key, h.burst() * 2).await;
    for tenth in 1..=20_u32 {
        h.advance(TimeDelta::milliseconds(100)).await;
        granted += exhaust(h, &key, h.burst() * 2).await;
        let fair = h.burst() + h.per_second() * tenth / 10;
        assert!(granted <= fair + h.per_second(), "{granted} after {tenth} tenths of a second");
        assert!(granted + 1 >= fair, "only {granted} after {tenth} tenths of a second");
    }
}

/// L1: many who use one key at once share its burst.
pub async fn many_at_once_share_one_burst(h: &mut impl LimitsHarness) {
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (limiter, tries) = (h.limiter(), h.burst());
        callers.spawn(async move {
            let mut granted = 0;
            for _ in 0..tries {
                granted += u32::from(limiter.take(token("acme/ada")).await == Permit::Granted);
            }
            granted
        });
    }
    let mut granted = 0;
    while let Some(ended) = callers.join_next().await {
        granted += ended.expect("no panic");
    }
    assert!((h.burst()..h.burst() + h.per_second()).contains(&granted), "{granted}");
}

/// L2: a key that is used up leaves every other key its own.
pub async fn keys_do_not_influence_each_other(h: &mut impl LimitsHarness) {
    let keys = [
        token("acme/ada"),
        token("acme/bob"),
        token("globex/ada"),
        token("127.0.0.1"),
        LimitKey::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        LimitKey::Address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))),
        LimitKey::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    for key in &keys {
        let got = exhaust(h, key, h.burst()).await;
        assert_eq!(got, h.burst(), "{key:?} has its own");
    }
}
