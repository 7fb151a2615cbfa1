//! The limit of Redis: bare XADD of entries as large as the service's events, and nothing else.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, KeysInterface as _, StreamsInterface as _};
use fred::types::Builder;
use fred::types::config::Config;
use tokio::task::JoinSet;

const KEY: &str = "bench-bare-xadd";
/// Bytes of an event.
const EVENT: usize = 600;
/// Commands a pipeline.
const PIPELINE: usize = 256;

/// Entries a second on one connection, in pipelines of 256, each sent when the one before it was answered.
pub(crate) async fn xadd_pipelined(url: &str, count: usize) -> Result<f64> {
    let client = connect(url).await?;
    let event = "x".repeat(EVENT);
    // Boxed, for it is large: it holds a command.
    let work = Box::pin(async {
        for begin in (0..count).step_by(PIPELINE) {
            let pipeline = client.pipeline();
            for _ in begin..count.min(begin + PIPELINE) {
                let () = pipeline.xadd(KEY, false, None::<()>, "*", ("data", event.as_str())).await?;
            }
            let _: Vec<String> = pipeline.all().await?;
        }
        Ok(())
    });
    let rate = measure(&client, count, work).await;
    client.quit().await?;
    rate
}

/// Entries a second on so many connections, each of which waits for the answer before it sends the next.
pub(crate) async fn xadd_connections(url: &str, count: usize, connections: usize) -> Result<f64> {
    ensure!(connections > 0, "no connections");
    let admin = connect(url).await?;
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(connect(url).await?);
    }
    let rate = measure(&admin, count, async {
        let mut running = JoinSet::new();
        for (first, client) in clients.iter().cloned().enumerate() {
            running.spawn(async move {
                let event = "x".repeat(EVENT);
                for _ in (first..count).step_by(connections) {
                    let _: String = client.xadd(KEY, false, None::<()>, "*", ("data", event.as_str())).await?;
                }
                Ok::<_, fred::error::Error>(())
            });
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    })
    .await;
    for client in clients.iter().chain([&admin]) {
        client.quit().await?;
    }
    rate
}

/// How many of the `count` entries `work` adds a second to a stream that is empty before and gone afterwards.
async fn measure(client: &Client, count: usize, work: impl Future<Output = Result<()>>) -> Result<f64> {
    let () = client.del(KEY).await?;
    let begun = Instant::now();
    let worked = work.await;
    let elapsed = begun.elapsed();
    let length: usize = client.xlen(KEY).await?;
    let () = client.del(KEY).await?;
    worked?;
    ensure!(length == count, "the stream has {length} entries instead of {count}");
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rate = count as f64 / elapsed.as_secs_f64();
    Ok(rate)
}

async fn connect(url: &str) -> Result<Client> {
    let config = Config::from_url(url).context("the URL of Redis")?;
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    Ok(client)
}
