//! Connections on which nothing comes any more, and that nobody has closed: a lost route, a firewall that forgets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use testkit::Proxy;

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
