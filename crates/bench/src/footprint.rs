//! What an idle service with very many pending timers needs: memory, and time until it is ready.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;

use crate::Scale;
use crate::engine::Engine;
use crate::fixtures;
use crate::process::Process;
use crate::report::Report;

pub(crate) async fn run(report: &mut Report, scale: Scale, binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let empty = Process::start(binary, &folder.path().join("empty.db")).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    report.add("footprint", "start to ready, empty store", "ms", empty.ready_after.as_secs_f64() * 1_000.0);
    report.add("footprint", "memory, empty store", "MiB", empty.memory()?);
    drop(empty);

    // A campaign that has not started has two timers.
    let campaigns = scale.pending / 2;
    report.progress(&format!("footprint: creating {campaigns} campaigns with {} pending timers", scale.pending));
    let store = folder.path().join("full.db");
    let engine = Engine::start(&store)?;
    let start = engine.clock.now() + TimeDelta::days(30);
    for first in (0..campaigns).step_by(1_000) {
        let requests = (first..first + 1_000).map(|n| fixtures::create(n, start)).collect::<Result<_>>()?;
        engine.apply(requests).await?;
    }
    engine.stop().await;
    let service = Process::start(binary, &store).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let what = format!("start to ready, {} pending timers", scale.pending);
    report.add("footprint", &what, "ms", service.ready_after.as_secs_f64() * 1_000.0);
    report.add("footprint", &format!("memory, {} pending timers", scale.pending), "MiB", service.memory()?);
    Ok(())
}
