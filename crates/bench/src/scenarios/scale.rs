//! One, two and three instances on the same servers. What a machine of two cores shows by it is what further instances
//! cost, not what further machines would give.

use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::process::Program;
use crate::readings;
use crate::scenarios::burst;

/// At most.
const INSTANCES: usize = 3;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let count = bench.scale.bursts[0];
    for instances in 1..=INSTANCES {
        for run in 1..=bench.scale.runs {
            bench
                .report
                .progress(&format!("scale {run}/{}: {instances} instances, {count} due at once", bench.scale.runs));
            let place = bench.servers().fresh()?;
            let program = Program::on_servers(&bench.binary, &place);
            program.run(&["migrate"])?;
            let mut services = Vec::new();
            for _ in 0..instances {
                services.push(program.serve().await?);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let burst = burst::measure(&place, &services[0], count, bench.profile).await?;
            for service in services {
                service.stop()?;
            }
            program.verify()?;
            bench.report.record(readings::scale_rate(instances, count), burst.rate);
            bench.report.record(readings::scale_lateness(instances, count), burst.p99);
        }
    }
    Ok(())
}
