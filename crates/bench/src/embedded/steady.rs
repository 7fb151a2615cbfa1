//! Timers that come due one after the other: how late each is committed.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;

use crate::bench::Bench;
use crate::embedded::burst::percentile;
use crate::embedded::engine::Engine;
use crate::embedded::fixtures;

/// Timers a second.
const RATE: usize = 300;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let (report, scale) = (&bench.report, bench.scale);
    let count = RATE * scale.steady_seconds;
    for run in 1..=scale.runs {
        report.progress(&format!("steady {run}/{}: {RATE} timers a second for {} s", scale.runs, scale.steady_seconds));
        let folder = tempfile::tempdir()?;
        let engine = Engine::start(&folder.path().join("bench.db"))?;
        let first = engine.clock.now() + TimeDelta::seconds(4);
        for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
            let requests = chunk
                .iter()
                .map(|n| {
                    // A due time that does not fall on a round millisecond, as in real life.
                    let micros = i64::try_from(n * 1_000_000 / RATE)?;
                    fixtures::create(*n, first + TimeDelta::microseconds(micros))
                })
                .collect::<Result<_>>()?;
            engine.apply(requests).await?;
        }
        anyhow::ensure!(engine.clock.now() < first, "the campaigns were not created in time");
        let patience = Duration::from_secs(30 + scale.steady_seconds as u64);
        let firings = engine.wait_for(count, patience).await?;
        engine.stop().await;
        anyhow::ensure!(firings.iter().all(|f| f.committed >= f.due), "a timer fired early");
        for (name, percent) in [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("worst", 100.0)] {
            let what = format!("lateness {name} at {RATE}/s, due → committed");
            report.add("embedded", &what, "ms", percentile(&firings, percent)?);
        }
    }
    Ok(())
}
