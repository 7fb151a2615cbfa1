//! Many timers due at one instant: how many transitions a second, and how late the last ones are.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::Utc;

use crate::baselines::sql;
use crate::bench::Bench;
use crate::process::{Program, Service};
use crate::readings;
use crate::scenarios::firings::Firings;
use crate::seed;
use crate::servers::Place;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    baselines(bench).await?;
    for &count in bench.scale.bursts {
        let runs = bench.scale.runs;
        for run in 1..=runs {
            let progress = format!("burst {run}/{runs}: {count} timers due at once");
            bench.report.progress(&progress);
            let place = bench.servers().fresh()?;
            let program = Program::on_servers(&bench.binary, &place);
            program.run(&["migrate"])?;
            let service = program.serve().await?;
            let burst = measure(&place, &service, count, bench.profile).await?;
            let memory = service.memory("VmHWM")?;
            service.stop()?;
            program.verify()?;
            bench.report.record(readings::burst_rate(count), burst.rate);
            bench.report.record(readings::burst_lateness(count), burst.p99);
            bench.report.record(readings::burst_memory(count), memory);
        }
    }
    Ok(())
}

/// The limit of this machine's PostgreSQL, doing the same for so many timers.
async fn baselines(bench: &Bench) -> Result<()> {
    let (count, runs) = (bench.scale.bursts[0], bench.scale.runs);
    for run in 1..=runs {
        bench.report.progress(&format!("burst {run}/{runs}: bare SQL"));
        let place = bench.servers().fresh()?;
        let url = place.database_url();
        let batched = Box::pin(sql::batched(&url, count, 2, 500)).await?;
        bench.report.record(readings::bare_sql_batched(), batched);
        let single = Box::pin(sql::one_by_one(&url, count / 4, readings::BARE_SINGLE_CONNECTIONS.into())).await?;
        bench.report.record(readings::bare_sql_single(), single);
    }
    Ok(())
}

/// What a burst took.
pub(super) struct Burst {
    /// Transitions a second, from the due instant to the last commit.
    pub(super) rate: f64,
    /// Milliseconds.
    pub(super) p99: f64,
}

/// Lets `count` timers come due at once.
pub(super) async fn measure(place: &Place<'_>, service: &Service, count: usize, profile: bool) -> Result<Burst> {
    // Far enough ahead for everything to be created before.
    let due = Utc::now() + seed::lead(count)?;
    seed::create(service, count, move |_| due).await?;
    ensure!(Utc::now() < due, "the campaigns were not created in time");
    // What was created is told and written to its place, so that the burst stands alone.
    place.sql("CHECKPOINT");
    if profile {
        place.begin_profile();
    }
    let committed = Firings::from_here(place)?.wait(count, due, Duration::from_mins(3)).await?;
    if profile {
        eprintln!("{}", place.profile());
    }
    let latency = committed.latencies.percentiles();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rate = count as f64 / (latency.max / 1_000.0);
    Ok(Burst { rate, p99: latency.p99 })
}
