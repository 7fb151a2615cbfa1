//! Timers that come due one after the other: how late each is committed.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;

use crate::bench::Bench;
use crate::embedded::burst::percentile;
use crate::embedded::engine::Engine;
use crate::embedded::fixtures;
use crate::readings::{self, P50, P99, P999, WORST};
use crate::seed;

/// Timers a second.
const RATE: usize = 300;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let (report, scale) = (&bench.report, bench.scale);
    let count = RATE * scale.steady_seconds;
    for run in 1..=scale.runs {
        report.progress(&format!(
            "embedded steady {run}/{}: {RATE} timers a second for {} s",
            scale.runs, scale.steady_seconds
        ));
        let folder = tempfile::tempdir()?;
        let engine = Engine::start(&folder.path().join("bench.db"))?;
        let first = engine.clock.now() + seed::lead(count)?;
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
        for (name, percent) in [(P50, 50.0), (P99, 99.0), (P999, 99.9), (WORST, 100.0)] {
            report.record(readings::embedded_lateness(RATE, name), percentile(&firings, percent)?);
        }
    }
    Ok(())
}
