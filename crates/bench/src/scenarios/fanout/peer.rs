//! The same room on `ws` for Node.js: one message of about 600 bytes for each event, sent when it is made.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::generator::Generator;
use super::{Audience, SCENARIO};
use crate::bench::Bench;
use crate::load::live::{Heard, Ready};

#[derive(Deserialize)]
struct Listening {
    listening: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    version: String,
    rss_mi_b: f64,
    idle_rss_mi_b: f64,
}

/// What Node.js takes for itself: measured with no client but one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alone {
    idle_rss_mi_b: f64,
}

pub(super) async fn run(bench: &Bench, audience: Audience) -> Result<()> {
    let alone = Audience { clients: 1, events: 1, ..audience };
    let (_, _, Alone { idle_rss_mi_b: before }) = broadcast(bench, alone).await?;
    let (ready, heard, sent): (_, _, Sent) = broadcast(bench, audience).await?;
    bench.report.version("ws", &sent.version);
    let name = format!("ws, {}", audience.name());
    ensure!(heard.is_whole(), "{name}: something was lost or came twice: {heard:?}");
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let each = |mib: f64| (mib - before) * 1024.0 / audience.clients as f64;
    let add = |what: &str, unit, value| bench.report.add(SCENARIO, &format!("{name}: {what}"), unit, value);
    add("sent → received, p50", "ms", heard.due.p50);
    add("sent → received, p99", "ms", heard.due.p99);
    add("sent → received, worst", "ms", heard.due.max);
    add("memory a client, idle", "KiB", each(sent.idle_rss_mi_b));
    add("memory a client, at most", "KiB", each(sent.rss_mi_b));
    add("all connect at once", "s", ready.seconds);
    Ok(())
}

async fn broadcast<T: serde::de::DeserializeOwned>(bench: &Bench, audience: Audience) -> Result<(Ready, Heard, T)> {
    let script = bench.peers.join("ws-fanout.mjs");
    ensure!(
        bench.peers.join("node_modules/ws").exists(),
        "the peers are not installed: run `npm ci` in {}",
        bench.peers.display()
    );
    let mut command = Command::new("node");
    command.arg(script);
    for (name, value) in [("--clients", audience.clients), ("--messages", audience.events), ("--rate", audience.rate)] {
        command.args([name, &value.to_string()]);
    }
    let mut server = Generator::of(command).context("Node.js cannot be started")?;
    let Listening { listening } = server.line().await?;
    let mut generator = Generator::start(&format!("ws://127.0.0.1:{listening}/"), None, audience, &[])?;
    let ready: Ready = generator.line().await?;
    ensure!(ready.clients == audience.clients, "only {} clients got in: {:?}", ready.clients, ready.reason);
    let heard = generator.line().await?;
    Ok((ready, heard, server.line().await?))
}
