//! Timers that come due one after the other: how late each is, in the database and on the stream.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};

use crate::baselines::sql;
use crate::bench::Bench;
use crate::latency::Percentiles;
use crate::load::{Generator, Heard, arguments};
use crate::process::{Program, Service};
use crate::readings::{self, COMMITTED, ON_STREAM};
use crate::scenarios::firings::Firings;
use crate::seed;
use crate::servers::Place;

/// How many transitions tell what one takes.
const BARE: usize = 2_000;

/// What a start of a campaign is called on the stream.
pub(super) const STARTED: &str = "campaign.status.changed";

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    for run in 1..=bench.scale.runs {
        bench.report.progress(&format!("steady {run}/{}: bare SQL", bench.scale.runs));
        let place = bench.servers().fresh()?;
        let rate = Box::pin(sql::one_by_one(&place.database_url(), BARE, 1)).await?;
        let name = "baseline: bare SQL, one transition after the other on one connection, mean";
        bench.report.add("steady", name, "ms", 1_000.0 / rate);
    }
    for &rate in bench.scale.rates {
        for run in 1..=bench.scale.runs {
            let progress = format!("steady {run}/{}: {rate} timers/s", bench.scale.runs);
            bench.report.progress(&progress);
            let place = bench.servers().fresh()?;
            let program = Program::on_servers(&bench.binary, &place);
            program.run(&["migrate"])?;
            let service = program.serve().await?;
            let steady = measure(&place, &service, rate, rate * bench.scale.steady_seconds).await?;
            service.stop()?;
            program.verify()?;
            for (end, latency) in [(COMMITTED, steady.committed), (ON_STREAM, steady.heard)] {
                for (which, value) in latency.named() {
                    bench.report.record(readings::lateness(rate, end, which), value);
                }
            }
        }
    }
    Ok(())
}

/// How late timers were.
pub(super) struct Steady {
    pub(super) committed: Percentiles,
    pub(super) heard: Percentiles,
}

/// Lets `count` timers come due, `rate` a second.
pub(super) async fn measure(place: &Place<'_>, service: &Service, rate: usize, count: usize) -> Result<Steady> {
    let first = Utc::now() + seed::lead(count)?;
    seed::create(service, count, move |n| due(first, n, rate)).await?;
    ensure!(Utc::now() < first, "the campaigns were not created in time");
    let firings = Firings::from_here(place)?;
    let listener =
        Generator::start(arguments!["listen", "--redis", place.redis_url(), "--event", STARTED, "--count", count])
            .await?;
    let committed = firings.wait(count, due(first, count - 1, rate), Duration::from_mins(1)).await?;
    let heard: Heard = listener.result().await?;
    ensure!(heard.doubled == 0, "{} events were doubled", heard.doubled);
    Ok(Steady { committed: committed.latencies.percentiles(), heard: heard.latency })
}

/// An instant that does not fall on a round millisecond, as in real life.
fn due(first: DateTime<Utc>, number: usize, rate: usize) -> DateTime<Utc> {
    first + TimeDelta::microseconds(i64::try_from(number * 1_000_000 / rate).unwrap_or(i64::MAX))
}
