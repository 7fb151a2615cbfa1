//! An outage: timers that came due while nothing ran, at the next start.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::Utc;

use crate::bench::Bench;
use crate::process::Program;
use crate::readings;
use crate::scenarios::firings::Firings;
use crate::seed;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let count = bench.scale.overdue;
    for run in 1..=bench.scale.runs {
        bench.report.progress(&format!("recover {run}/{}: {count} timers overdue at the start", bench.scale.runs));
        let place = bench.servers().fresh()?;
        let program = Program::on_servers(&bench.binary, &place);
        program.run(&["migrate"])?;
        let service = program.serve().await?;
        let due = Utc::now() + seed::lead(count)?;
        seed::create(&service, count, move |_| due).await?;
        service.stop()?;
        let firings = Firings::from_here(&place)?;
        ensure!(Utc::now() < due, "the campaigns were not created in time");
        place.sql("CHECKPOINT");
        tokio::time::sleep((due - Utc::now()).to_std()? + Duration::from_millis(100)).await;

        let begun = Utc::now();
        let service = program.serve().await?;
        let committed = firings.wait(count, due, Duration::from_mins(3)).await?;
        let seconds = (committed.last - begun).to_std()?.as_secs_f64();
        bench.report.record(readings::recovery(count), seconds);
        bench.report.record(readings::recovery_ready(), service.ready_after.as_secs_f64() * 1_000.0);
        service.stop()?;
        program.verify()?;
    }
    Ok(())
}
