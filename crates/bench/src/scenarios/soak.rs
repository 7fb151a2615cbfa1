//! Everything at once and for long: timers, events and queries at moderate rates, while memory, open handles and tables are
//! looked at again and again. What grows here without end ends a service some night.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, MissedTickBehavior};

use crate::bench::Bench;
use crate::load::{Answered, Generator, Heard, Sent, arguments};
use crate::process::{Program, Service};
use crate::readings::{self, COMMITTED, ON_STREAM, P50, P99, WORST};
use crate::scenarios::firings::Firings;
use crate::scenarios::steady::STARTED;
use crate::seed;
use crate::servers::Place;

/// A second, each.
const TIMERS: usize = 200;
const EVENTS: usize = 200;
const QUERIES: usize = 100;
/// So many campaigns are asked for in turn.
const PAGES: usize = 1_000;
/// Campaigns are created for so many seconds at a time, and so long before the first of them starts.
const SLICE: usize = 5;
const AHEAD: TimeDelta = TimeDelta::seconds(10);

const TABLES: [&str; 4] = ["campaigns", "timers", "journal", "inbox"];

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let (seconds, every) = (bench.scale.soak_seconds, bench.scale.soak_every);
    bench.report.progress(&format!("soak: {seconds} s of timers, events and queries"));
    let place = bench.servers().fresh()?;
    let program = Program::on_servers(&bench.binary, &place);
    program.run(&["migrate"])?;
    let service = program.serve().await?;
    let later = Utc::now() + TimeDelta::days(30);
    seed::create(&service, PAGES, move |_| later).await?;

    let firings = Firings::from_here(&place)?;
    let count = TIMERS * seconds;
    let redis = place.redis_url();
    let listener =
        Generator::start(arguments!["listen", "--redis", redis, "--event", STARTED, "--count", count]).await?;
    let events = arguments!["produce", "--redis", redis, "--count", EVENTS * seconds, "--rate", EVENTS];
    let producer = Generator::start(events).await?;
    let queries = queries(&service, later, seconds).await?;
    let first = Utc::now() + AHEAD;
    let (last_due, samples) =
        tokio::try_join!(timers(&service, first, seconds), look(bench, &place, &service, seconds, every))?;

    let committed = firings.wait(count, last_due, Duration::from_mins(1)).await?.latencies.percentiles();
    let heard: Heard = listener.result().await?;
    ensure!(heard.doubled == 0, "{} events were doubled", heard.doubled);
    let _: Sent = producer.result().await?;
    let answered: Answered = queries.result().await?;
    report(bench, &samples);
    for (end, latency) in [(COMMITTED, committed), (ON_STREAM, heard.latency)] {
        for (which, value) in latency.named() {
            bench.report.add("soak", &format!("{TIMERS} timers/s: due → {end}, {which}"), "ms", value);
        }
    }
    for (which, value) in [(P50, answered.latency.p50), (P99, answered.latency.p99), (WORST, answered.latency.max)] {
        bench.report.add("soak", &format!("GET one at {QUERIES}/s: {which}"), "ms", value);
    }
    tables_at_end(bench, &place)?;
    let wanted = PAGES + count + EVENTS * seconds;
    wait_for_campaigns(&place, wanted).await?;
    service.stop()?;
    bench.report.progress("soak: verifying all of it");
    program.verify()
}

/// Creates campaigns a little before they start, so that tables grow and change as in real life. Gives when the last starts.
async fn timers(service: &Service, first: DateTime<Utc>, seconds: usize) -> Result<DateTime<Utc>> {
    let due =
        move |n: usize| first + TimeDelta::microseconds(i64::try_from(n * 1_000_000 / TIMERS).unwrap_or(i64::MAX));
    let mut created = 0;
    while created < seconds {
        let slice = SLICE.min(seconds - created);
        let from = created * TIMERS;
        if let Ok(early) = (due(from) - AHEAD - Utc::now()).to_std() {
            tokio::time::sleep(early).await;
        }
        seed::create(service, slice * TIMERS, move |n| due(from + n)).await?;
        ensure!(Utc::now() < due(from), "the campaigns were not created in time");
        created += slice;
    }
    Ok(due(seconds * TIMERS - 1))
}

async fn queries(service: &Service, later: DateTime<Utc>, seconds: usize) -> Result<Generator> {
    let path = format!("/api/v1/campaigns/{{n}}-{}", later.timestamp_micros());
    Generator::start(arguments![
        "get",
        "--address",
        service.url.trim_start_matches("http://"),
        "--path",
        path,
        "--paths",
        PAGES,
        "--token",
        service.token,
        "--connections",
        4,
        "--seconds",
        seconds,
        "--rate",
        QUERIES,
    ])
    .await
}

/// What was seen at one instant.
struct Sample {
    /// Seconds since the load began.
    at: f64,
    memory: f64,
    handles: f64,
    /// MiB.
    redis: f64,
}

/// Looks at it as long as the load lasts.
async fn look(
    bench: &Bench,
    place: &Place<'_>,
    service: &Service,
    seconds: usize,
    every: usize,
) -> Result<Vec<Sample>> {
    let begun = Instant::now();
    let mut samples = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(every as u64));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once.
    ticks.tick().await;
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        ticks.tick().await;
        let handles = u32::try_from(service.handles()?)?;
        samples.push(Sample {
            at: begun.elapsed().as_secs_f64(),
            memory: service.memory("VmRSS")?,
            handles: handles.into(),
            redis: redis_memory(place)?,
        });
        for table in TABLES {
            let size =
                place.number(&format!("SELECT sum(pg_total_relation_size(relid)) / 1048576.0 {}", parts(table)))?;
            bench.report.add("soak", &format!("size of {table}, each {every} s"), "MiB", size);
        }
    }
    Ok(samples)
}

/// The rows of `pg_stat_user_tables` that make up a table, which may have partitions.
fn parts(table: &str) -> String {
    format!(
        "FROM pg_stat_user_tables WHERE relid IN (SELECT relid FROM pg_partition_tree('{table}') UNION SELECT '{table}'::regclass)"
    )
}

fn redis_memory(place: &Place<'_>) -> Result<f64> {
    let info = place.redis(&["info", "memory"]);
    let bytes = info.lines().find_map(|line| line.strip_prefix("used_memory:")).context("no used_memory")?;
    Ok(bytes.trim().parse::<f64>()? / 1_048_576.0)
}

fn report(bench: &Bench, samples: &[Sample]) {
    let report = &bench.report;
    let every = bench.scale.soak_every;
    for sample in samples {
        report.add("soak", &format!("memory, each {every} s"), "MiB", sample.memory);
        report.add("soak", &format!("open files and sockets, each {every} s"), "", sample.handles);
        report.add("soak", &format!("memory of Redis, each {every} s"), "MiB", sample.redis);
    }
    // Until then caches fill and pools open.
    let warm = bench.scale.soak_seconds / 10;
    #[expect(clippy::cast_precision_loss, reason = "minutes")]
    let settled: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= warm as f64).collect();
    let (Some(begin), Some(end)) = (settled.first(), settled.last()) else { return };
    report.add("soak", &format!("memory after {warm} s"), "MiB", begin.memory);
    report.record(readings::soak_memory_at_end(), end.memory);
    let growth = |of: fn(&Sample) -> f64| {
        3_600.0 * slope(&settled.iter().map(|sample| (sample.at, of(sample))).collect::<Vec<_>>())
    };
    report.add("soak", &format!("growth of memory in an hour, as after {warm} s"), "MiB", growth(|s| s.memory));
    let what = format!("growth of open files and sockets in an hour, as after {warm} s");
    report.add("soak", &what, "", growth(|s| s.handles));
}

/// The slope of the line that lies nearest to all points.
fn slope(points: &[(f64, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let above: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let below: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    if below == 0.0 { 0.0 } else { above / below }
}

fn tables_at_end(bench: &Bench, place: &Place<'_>) -> Result<()> {
    for table in TABLES {
        let share = "SELECT 100.0 * sum(n_dead_tup) / greatest(sum(n_live_tup), 1)";
        let dead = place.number(&format!("{share} {}", parts(table)))?;
        bench.report.add("soak", &format!("dead rows of {table} at the end, of the live ones"), "%", dead);
    }
    Ok(())
}

/// Nothing that was sent is missing: the last events are taken when all queries have ended.
async fn wait_for_campaigns(place: &Place<'_>, wanted: usize) -> Result<()> {
    let begun = Instant::now();
    let wanted = f64::from(u32::try_from(wanted)?);
    loop {
        let campaigns = place.number("SELECT count(*) FROM campaigns")?;
        if campaigns >= wanted {
            ensure!(campaigns <= wanted, "there are {campaigns} campaigns, and {wanted} were created");
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(30), "only {campaigns} of {wanted} campaigns were created");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn growth_is_the_slope_of_the_nearest_line() {
        let close = |value: f64, wanted: f64| (value - wanted).abs() < 1e-9;
        assert!(close(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), 2.0));
        assert!(close(slope(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)]), 0.0));
        assert!(close(slope(&[(7.0, 1.0)]), 0.0), "one look tells nothing");
    }
}
