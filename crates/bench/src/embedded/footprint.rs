//! What an idle service with very many pending timers needs: memory, and time until it is ready.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;

use crate::bench::Bench;
use crate::embedded::engine::Engine;
use crate::embedded::fixtures;
use crate::process::Program;
use crate::readings;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let (report, scale) = (&bench.report, bench.scale);
    let folder = tempfile::tempdir()?;
    let empty = Program::embedded(&bench.binary, &folder.path().join("empty.db")).serve().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    report.add("embedded", "start to ready, empty store", "ms", empty.ready_after.as_secs_f64() * 1_000.0);
    report.add("embedded", "memory, empty store", "MiB", empty.memory("VmRSS")?);
    drop(empty);

    // A campaign that has not started has two timers.
    let campaigns = scale.pending / 2;
    report
        .progress(&format!("embedded footprint: creating {campaigns} campaigns with {} pending timers", scale.pending));
    let store = folder.path().join("full.db");
    let engine = Engine::start(&store)?;
    let start = engine.clock.now() + TimeDelta::days(30);
    for first in (0..campaigns).step_by(1_000) {
        let requests = (first..first + 1_000).map(|n| fixtures::create(n, start)).collect::<Result<_>>()?;
        engine.apply(requests).await?;
    }
    engine.stop().await;
    let service = Program::embedded(&bench.binary, &store).serve().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    report.record(readings::embedded_ready(scale.pending), service.ready_after.as_secs_f64() * 1_000.0);
    report.record(readings::embedded_memory(scale.pending), service.memory("VmRSS")?);
    Ok(())
}
