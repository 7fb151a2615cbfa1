//! Connections on which nothing comes any more, and that nobody has closed: a lost route, a firewall that forgets, a server
//! that is slow.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ports::cache::Cache as _;
use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use ports::limits::{LimitKey, LimitSettings, Permit, Rate, RateLimiter};
use testkit::Proxy;
use tokio::time::Instant;

use crate::outages::campaign;
use crate::publishing::{assert_told, relay};
use crate::support::{Raw, World, event, eventually, patient, records};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_replaced_also_while_a_reader_waits() {
    let server = test_servers::Redis::start();
    let proxy = Proxy::to(&[SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))], 0).await.expect("a free port");
    let mut settings = patient(&format!("redis://{}", proxy.address()), "one");
    settings.silence = Duration::from_secs(2);
    settings.command_timeout = Duration::from_secs(1);
    let world = World::with(settings, Raw::connect(&server.url()).await).await;
    relay(&world, 10).await;
    let inbound = world.redis.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("one", 1, 10, Duration::from_secs(30)).await });
    let is_waiting = async || world.raw.text(&["CLIENT", "LIST"]).await.contains("cmd=xread");
    eventually("the reader waits", is_waiting).await;
    proxy.silence();
    let error = world.redis.publisher().publish(records(11..=12)).await.expect_err("no answer comes");
    assert!(error.may_retry(), "{error:?}");
    waiting.await.expect("no panic").expect_err("the wait ends long before it was over");
    eventually("publishing works again", async || {
        let Ok(top) = world.redis.publisher().top().await else { return false };
        world.redis.publisher().publish(records(top.0 + 1..=20)).await.is_ok()
    })
    .await;
    assert_told(&world, 1..=20).await;
    let mut ids = Vec::new();
    eventually("appending works again", async || {
        ids = world.redis.inbound().append(vec![event("e-1")]).await.unwrap_or_default();
        !ids.is_empty()
    })
    .await;
    let mut got = Vec::new();
    eventually("reading works again", async || {
        let some = world.redis.inbound().fetch("one", 1, 10, Duration::from_secs(1)).await.unwrap_or_default();
        got.extend(some.into_iter().map(|delivery| delivery.id));
        got.contains(&ids[0])
    })
    .await;
}

/// It was so once: each call waited for its limit, and each commit for the cache, as long as Redis was slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waited_for_redis_in_vain_does_not_wait_again_for_the_next_one() {
    let server = test_servers::Redis::start();
    let mut settings = patient(&server.url(), "one");
    (settings.cache_write_wait, settings.limit_wait) = (Duration::from_secs(1), Duration::from_secs(1));
    let world = World::with(settings, Raw::connect(&server.url()).await).await;
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(1_000).expect("some") };
    let limiter = world.redis.limiter(LimitSettings { token: rate, address: rate }, Arc::new(Open));
    let cache = world.redis.cache();
    let take = async || {
        let began = Instant::now();
        limiter.take(LimitKey::Token("acme/ada".to_owned())).await;
        began.elapsed()
    };
    let put = async || {
        let began = Instant::now();
        cache.put(vec![campaign(1)]).await;
        began.elapsed()
    };
    world.raw.call(&["CLIENT", "PAUSE", "10000", "ALL"]).await;
    let (first, second) = (take().await, take().await);
    assert!(first >= Duration::from_secs(1) && second < first / 2, "{first:?}, then {second:?}");
    let (first, second) = (put().await, put().await);
    assert!(first >= Duration::from_secs(1) && second < first / 2, "{first:?}, then {second:?}");
}

struct Open;

#[async_trait]
impl RateLimiter for Open {
    async fn take(&self, _: LimitKey) -> Permit {
        Permit::Granted
    }
}
