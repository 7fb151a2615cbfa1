//! Connections on which nothing comes any more, and that nobody has closed: a lost route, a firewall that forgets.

use std::sync::Arc;
use std::time::Duration;

use ports::feed::Publisher as _;
use ports::inbound::Inbound as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::publishing::{assert_told, relay};
use crate::support::{Raw, World, event, eventually, patient, records};

/// Passes everything on to a server, until it falls silent; later connections are passed on again.
struct Proxy {
    port: u16,
    generation: Arc<watch::Sender<u32>>,
}

impl Proxy {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let generation = Arc::new(watch::Sender::new(0));
        let generations = Arc::clone(&generation);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, server, generations.subscribe()));
            }
        });
        Self { port, generation }
    }

    fn fall_silent(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

async fn pass_on(mut client: TcpStream, server: u16, mut generation: watch::Receiver<u32>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    generation.mark_unchanged();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        Ok(()) = generation.changed() => {
            // Neither end hears that it is over.
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_replaced_also_while_a_reader_waits() {
    let server = test_servers::Redis::start();
    let proxy = Proxy::to(server.port()).await;
    let mut settings = patient(&format!("redis://127.0.0.1:{}", proxy.port), "one");
    settings.silence = Duration::from_secs(2);
    settings.command_timeout = Duration::from_secs(1);
    let world = World::with(settings, Raw::connect(&server.url()).await).await;
    relay(&world, 10).await;
    let inbound = world.redis.inbound();
    let waiting = tokio::spawn(async move { inbound.fetch("one", 1, 10, Duration::from_secs(30)).await });
    let is_waiting = async || world.raw.text(&["CLIENT", "LIST"]).await.contains("cmd=xread");
    eventually("the reader waits", is_waiting).await;
    proxy.fall_silent();
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
