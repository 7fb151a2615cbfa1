//! Many timers due at one instant: how many transitions a second, and how late the last ones are.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{TimeDelta, Utc};

use crate::bench::Bench;
use crate::process::Program;
use crate::scenarios::firings::Firings;
use crate::seed;

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    for count in bench.scale.bursts {
        for run in 1..=bench.scale.runs {
            let progress = format!("burst {run}/{}: {count} timers due at once", bench.scale.runs);
            bench.report.progress(&progress);
            let place = bench.servers().fresh()?;
            let program = Program::on_servers(&bench.binary, &place);
            program.run(&["migrate"])?;
            let service = program.serve().await?;
            // Far enough ahead for everything to be created before.
            let due = Utc::now() + TimeDelta::seconds(5 + i64::try_from(count / 1_500)?);
            seed::create(&service, *count, move |_| due).await?;
            ensure!(Utc::now() < due, "the campaigns were not created in time");
            let firings = Firings::wait_for(&place, *count, Duration::from_mins(3)).await?;
            service.stop()?;
            program.verify()?;
            let last = firings.latencies.percentiles();
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
            let rate = *count as f64 / (last.max / 1_000.0);
            let name = format!("{count} timers due at once");
            drop(place);
            bench.report.add("burst", &format!("{name}: transitions, due → committed"), "1/s", rate);
            bench.report.add("burst", &format!("{name}: lateness p99"), "ms", last.p99);
        }
    }
    Ok(())
}
