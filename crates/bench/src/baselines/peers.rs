//! The programs of `bench/peers`: libraries that a team would pick instead, doing the same work.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::bench::Bench;
use crate::readings::{self, P50, P99, PEER_STEADY, PEERS, WORST};
use crate::report;

/// What a peer says at its end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    version: String,
    rate: f64,
    lateness_ms: Lateness,
    /// Whether its servers keep what they promise.
    durable: bool,
    /// Whether everything happened once.
    checked: bool,
}

#[derive(Deserialize)]
struct Lateness {
    p50: f64,
    p99: f64,
    max: f64,
}

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    installed(&bench.peers)?;
    if let Some(version) = report::node() {
        bench.report.version("Node.js", &version);
    }
    let count = bench.scale.peer_burst;
    for run in 1..=bench.scale.runs {
        for peer in PEERS {
            bench.report.progress(&format!("peers {run}/{}: {peer}, {count} timers due at once", bench.scale.runs));
            let burst = ask(bench, peer, &["--burst".to_owned(), count.to_string()]).await?;
            bench.report.version(peer, &burst.version);
            bench.report.record(readings::peer_rate(peer, count), burst.rate);
            bench.report.record(readings::peer_burst_lateness(peer, count), burst.lateness_ms.p99);
            if !bench.scale.quick {
                let seconds = bench.scale.steady_seconds.to_string();
                let steady = ask(bench, peer, &["--steady".to_owned(), PEER_STEADY.to_string(), seconds]).await?;
                for (which, value) in
                    [(P50, steady.lateness_ms.p50), (P99, steady.lateness_ms.p99), (WORST, steady.lateness_ms.max)]
                {
                    bench.report.record(readings::peer_lateness(peer, which), value);
                }
            }
        }
    }
    Ok(())
}

async fn ask(bench: &Bench, peer: &str, arguments: &[String]) -> Result<Said> {
    let place = bench.servers().fresh()?;
    let output = Command::new("node")
        .arg(bench.peers.join(format!("{peer}.mjs")))
        .args(arguments)
        .env("DATABASE_URL", place.database_url())
        .env("REDIS_URL", place.redis_url())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("node cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{peer} ended with {}: {text}", output.status);
    let said: Said = serde_json::from_str(text.trim()).with_context(|| format!("{peer} said {text}"))?;
    ensure!(said.durable && said.checked, "{peer} did other work than the service: {text}");
    Ok(said)
}

/// # Errors
/// When the packages are missing.
fn installed(peers: &Path) -> Result<()> {
    ensure!(peers.join("node_modules").is_dir(), "run `npm ci` in {} first; `cargo xtask bench` does", peers.display());
    Ok(())
}
