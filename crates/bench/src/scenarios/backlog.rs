//! Pending timers that wait for another day: what they cost while others come due, and what they cost in memory and at a
//! start. The store is filled step by step, so the readings show how cost grows.

use std::time::Duration;

use anyhow::Result;
use chrono::{TimeDelta, Utc};

use crate::bench::Bench;
use crate::process::Program;
use crate::readings;
use crate::scenarios::{burst, steady};
use crate::seed;

/// A campaign that has not started has two.
const TIMERS_EACH: usize = 2;

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let scale = bench.scale;
    let place = bench.servers().fresh()?;
    let program = Program::on_servers(&bench.binary, &place);
    program.run(&["migrate"])?;
    let mut stored = 0;
    for pending in [0, scale.pending / 50, scale.pending / 5, scale.pending] {
        bench.report.progress(&format!("backlog: {pending} pending timers"));
        let mut service = program.serve().await?;
        let wanted = pending / TIMERS_EACH;
        if wanted > stored {
            // Every instant once, so that ids differ from those before.
            let later = Utc::now() + TimeDelta::days(30);
            let missing = wanted - stored;
            seed::create(&service, missing, move |n| later + TimeDelta::microseconds(n.try_into().unwrap_or(0)))
                .await?;
            stored = wanted;
            service.stop()?;
            place.sql("VACUUM ANALYZE");
            place.sql("CHECKPOINT");
            service = program.serve().await?;
        }
        bench.report.record(readings::backlog_ready(pending), service.ready_after.as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_secs(3)).await;
        bench.report.record(readings::backlog_memory(pending), service.memory("VmRSS")?);
        let next_due = place.number(NEXT_DUE)?;
        let query = format!("{pending} pending timers: the query for the next timer");
        bench.report.add("backlog", &query, "ms", next_due);
        for _ in 0..scale.runs {
            let count = scale.bursts[0];
            let burst = burst::measure(&place, &service, count, bench.profile).await?;
            bench.report.record(readings::backlog_rate(pending, count), burst.rate);
            bench.report.record(readings::backlog_burst_lateness(pending, count), burst.p99);
        }
        if pending == 0 || pending == scale.pending {
            for _ in 0..scale.runs {
                let rate = scale.rates[0];
                let steady = steady::measure(&place, &service, rate, rate * scale.steady_seconds).await?;
                for (which, value) in steady.committed.named() {
                    bench.report.record(readings::backlog_lateness(pending, rate, which), value);
                }
            }
        }
        service.stop()?;
    }
    bench.report.progress("backlog: verifying all of it");
    program.verify()
}

/// Milliseconds that PostgreSQL needs for it, once it is warm.
const NEXT_DUE: &str = "\
    CREATE FUNCTION pg_temp.next_due() RETURNS double precision LANGUAGE plpgsql AS $$
    DECLARE begun timestamptz; found timestamptz;
    BEGIN
        FOR n IN 1 .. 2 LOOP
            begun := clock_timestamp();
            SELECT min(fire_at) INTO found FROM timers WHERE fire_at IS NOT NULL;
        END LOOP;
        RETURN extract(epoch FROM clock_timestamp() - begun) * 1000;
    END $$;
    SELECT pg_temp.next_due()";
