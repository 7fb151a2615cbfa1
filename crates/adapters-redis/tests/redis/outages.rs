//! Servers that die, come back empty or with older data, connections that are cut or go silent.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port_contracts::fixtures::{key, seconds};
use ports::cache::Cache as _;
use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use ports::limits::{LimitKey, LimitSettings, Permit, Rate, RateLimiter};
use ports::store::View;

use crate::publishing::{assert_told, relay};
use crate::support::{Raw, World, event, eventually, instant, patient, records};

async fn world(server: &test_servers::Redis) -> World {
    let mut settings = patient(&server.url(), "one");
    settings.command_timeout = Duration::from_secs(1);
    World::with(settings, Raw::connect(&server.url()).await).await
}

/// After the server was started again, with everybody's connection.
async fn is_back(world: &mut World, server: &test_servers::Redis) {
    world.raw = Raw::connect(&server.url()).await;
    eventually("the publisher is back", async || world.redis.publisher().top().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_comes_back_with_what_it_had() {
    let server = test_servers::Redis::start_with(&["--appendfsync", "always"]);
    let mut world = world(&server).await;
    relay(&world, 50).await;
    let appended = world.redis.inbound().append(vec![event("e-1"), event("e-2")]).await.expect("appending");
    server.kill();
    let error = world.redis.publisher().publish(records(51..=52)).await.expect_err("nobody is there");
    assert!(error.may_retry(), "{error:?}");
    server.start_again();
    is_back(&mut world, &server).await;
    relay(&world, 60).await;
    assert_told(&world, 1..=60).await;
    let mut got = Vec::new();
    eventually("the events are read", async || {
        if let Ok(some) = world.redis.inbound().fetch("one", 1, 10, Duration::from_millis(100)).await {
            got.extend(some.into_iter().map(|delivery| delivery.id));
        }
        got.len() >= 2
    })
    .await;
    assert_eq!(got, appended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_is_told_everything_again() {
    let server = test_servers::Redis::start();
    let mut world = world(&server).await;
    relay(&world, 50).await;
    let mut marks = world.redis.marks();
    server.kill();
    server.start_again_empty();
    is_back(&mut world, &server).await;
    tokio::time::timeout(Duration::from_secs(10), marks.wait_for(|mark| mark.0 == 0))
        .await
        .expect("seen")
        .expect("kept");
    assert_eq!(relay(&world, 55).await, 0);
    assert_told(&world, 1..=55).await;
    let appended = world.redis.inbound().append(vec![event("e-1")]).await.expect("appending");
    let mut got = Vec::new();
    eventually("the group is back", async || {
        got = world.redis.inbound().fetch("one", 1, 10, Duration::from_millis(100)).await.unwrap_or_default();
        !got.is_empty()
    })
    .await;
    assert_eq!(got[0].id, appended[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_server_is_told_everything_again() {
    let server = test_servers::Redis::start();
    let world = world(&server).await;
    relay(&world, 50).await;
    world.raw.call(&["FLUSHALL"]).await;
    assert_eq!(relay(&world, 52).await, 0);
    assert_told(&world, 1..=52).await;
    // While positions are published, too: the batch after the flush is a gap, and told again from the top.
    world.raw.call(&["FLUSHALL"]).await;
    world.redis.publisher().publish(records(53..=54)).await.expect_err("there is a gap");
    relay(&world, 54).await;
    assert_told(&world, 1..=54).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_older_data_is_told_what_it_has_forgotten() {
    let server = test_servers::Redis::start_with(&["--appendonly", "no"]);
    let mut world = world(&server).await;
    relay(&world, 30).await;
    server.cli(&["SAVE"]);
    relay(&world, 50).await;
    server.kill();
    server.start_again();
    is_back(&mut world, &server).await;
    assert_eq!(relay(&world, 51).await, 30);
    assert_told(&world, 1..=51).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_made_anew() {
    let server = test_servers::Redis::start();
    let world = world(&server).await;
    for n in 1..=5 {
        world.raw.call(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        eventually("publishing works again", async || {
            let Ok(top) = world.redis.publisher().top().await else { return false };
            world.redis.publisher().publish(records(top.0 + 1..=n * 10)).await.is_ok()
        })
        .await;
    }
    assert_told(&world, 1..=50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_password_is_waited_for() {
    let server = test_servers::Redis::start();
    let world = world(&server).await;
    server.cli(&["CONFIG", "SET", "requirepass", "hunter2"]);
    server.cli(&["-a", "hunter2", "CLIENT", "KILL", "TYPE", "normal"]);
    eventually("it cannot work", async || world.redis.publisher().top().await.is_err()).await;
    server.cli(&["-a", "hunter2", "CONFIG", "SET", "requirepass", ""]);
    eventually("it works again", async || world.redis.publisher().top().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_an_error_in_time() {
    let server = test_servers::Redis::start();
    let world = world(&server).await;
    world.raw.call(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
    let began = tokio::time::Instant::now();
    let error = world.redis.publisher().publish(records(1..=2)).await.expect_err("no answer");
    assert!(error.may_retry() && began.elapsed() < Duration::from_secs(3), "{error:?}");
    eventually("it goes on", async || {
        let Ok(top) = world.redis.publisher().top().await else { return false };
        world.redis.publisher().publish(records(top.0 + 1..=3)).await.is_ok()
    })
    .await;
    assert_told(&world, 1..=3).await;
}

pub(crate) fn campaign(version: u64) -> Arc<domain::Campaign> {
    let view = View { now: instant(), ..View::default() };
    let order = port_contracts::orders::Order::create(&key("spring"), port_contracts::fixtures::definition(instant()));
    let made = port_contracts::orders::carry_out(&view, &[order]).campaigns.remove(0).campaign;
    Arc::new(domain::Campaign { version, updated_at: instant() + seconds(1), ..made })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_never_goes_back_after_an_outage() {
    let server = test_servers::Redis::start_with(&["--appendonly", "no"]);
    let mut world = world(&server).await;
    let cache = world.redis.cache();
    cache.put(vec![campaign(3)]).await;
    assert_eq!(cache.get(&key("spring")).await.map(|campaign| campaign.version), Some(3));
    server.cli(&["SAVE"]);
    cache.put(vec![campaign(4)]).await;
    server.kill();
    assert_eq!(cache.get(&key("spring")).await, None, "nobody answers");
    cache.outdated(vec![(key("spring"), 5)]).await.expect_err("nobody heard of it");
    server.start_again();
    is_back(&mut world, &server).await;
    // The server has version 3 still, and nobody is to see it.
    let stored = world.raw.text(&["HGET", "lifecycle:cache:acme/spring", "v"]).await;
    assert_eq!(stored, "3");
    assert_eq!(cache.get(&key("spring")).await, None);
    eventually("it is trusted again", async || {
        let told = cache.outdated(vec![(key("autumn"), 1)]).await;
        cache.put(vec![campaign(6)]).await;
        let got = cache.get(&key("spring")).await.map(|campaign| campaign.version);
        assert!(got.is_none_or(|version| version == 6), "{got:?}");
        told.is_ok() && got.is_some()
    })
    .await;
}

struct Alone;

#[async_trait]
impl RateLimiter for Alone {
    async fn take(&self, _: LimitKey) -> Permit {
        Permit::Denied { retry_after: Duration::from_secs(7) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_process_counts_by_itself() {
    let server = test_servers::Redis::start();
    let world = world(&server).await;
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(1_000).expect("some") };
    let limiter = world.redis.limiter(LimitSettings { token: rate, address: rate }, Arc::new(Alone));
    let key = || LimitKey::Token("acme/ada".to_owned());
    assert_eq!(limiter.take(key()).await, Permit::Granted);
    server.kill();
    assert_eq!(limiter.take(key()).await, Permit::Denied { retry_after: Duration::from_secs(7) });
    server.start_again();
    eventually("Redis counts again", async || limiter.take(key()).await == Permit::Granted).await;
}

/// A server that can be frozen: it is there, and does not answer.
struct Freezer(test_servers::Redis);

impl Freezer {
    /// And a process that soon takes silence for a lost connection.
    async fn start() -> (Self, World) {
        let server = test_servers::Redis::start();
        let mut settings = patient(&server.url(), "one");
        settings.silence = Duration::from_secs(1);
        let world = World::with(settings, Raw::connect(&server.url()).await).await;
        (Self(server), world)
    }

    /// Freezes it until its connection is given up; answers its process's number.
    async fn freeze(&self, world: &World) -> String {
        let about = self.0.cli(&["INFO", "server"]);
        let number = about.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its number").trim();
        signal(number, "STOP");
        let mut longest = Duration::ZERO;
        eventually("the connection is being replaced", async || {
            let silence = world.redis.silence();
            longest = longest.max(silence);
            longest >= Duration::from_secs(1) && silence < longest
        })
        .await;
        number.to_owned()
    }
}

fn signal(process: &str, signal: &str) {
    let sent = std::process::Command::new("kill").args([&format!("-{signal}"), process]).status();
    assert!(sent.expect("kill is there").success());
}

/// It was so once: whoever replaced the silent connection waited for the new one, and the end for him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_in_time_while_a_silent_connection_is_being_replaced() {
    let (server, world) = Freezer::start().await;
    let inbound = world.redis.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("one", 1, 10, Duration::from_mins(1)).await });
    let is_waiting = async || world.raw.text(&["CLIENT", "LIST"]).await.contains("cmd=xread");
    eventually("a reader waits", is_waiting).await;
    server.freeze(&world).await;
    let began = tokio::time::Instant::now();
    world.redis.close().await;
    assert!(began.elapsed() < Duration::from_secs(3), "closing took {:?}", began.elapsed());
    waiting.abort();
}

/// It was so once: the next connection was trusted until it stood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_is_not_believed_from_the_moment_that_its_connection_is_given_up() {
    let (server, world) = Freezer::start().await;
    let cache = world.redis.cache();
    cache.put(vec![campaign(3)]).await;
    assert_eq!(cache.get(&key("spring")).await.map(|campaign| campaign.version), Some(3));
    let process = server.freeze(&world).await;
    let spring = key("spring");
    let asked = tokio::time::timeout(Duration::from_millis(100), cache.get(&spring));
    assert_eq!(asked.await.expect("it is not even asked"), None);
    signal(&process, "CONT");
    eventually("it answers", async || world.redis.publisher().told().await.is_ok()).await;
    assert_eq!(cache.get(&key("spring")).await, None, "it is another connection");
}
