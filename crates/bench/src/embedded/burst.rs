//! Many timers due at one instant: how many transitions a second, and how late the last ones are.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;
use hdrhistogram::Histogram;

use crate::bench::Bench;
use crate::embedded::engine::{Engine, Firing};
use crate::embedded::fixtures;
use crate::{readings, seed};

pub(crate) async fn run(bench: &Bench) -> Result<()> {
    let (report, scale) = (&bench.report, bench.scale);
    let count = scale.bursts[0];
    for run in 1..=scale.runs {
        report.progress(&format!("embedded burst {run}/{}: {} timers due at once", scale.runs, count));
        let folder = tempfile::tempdir()?;
        let engine = Engine::start(&folder.path().join("bench.db"))?;
        // Far enough ahead for everything to be created before.
        let due = engine.clock.now() + seed::lead(count)?;
        let mut number = 0;
        while number < count {
            let end = count.min(number + 500);
            let requests = (number..end).map(|n| fixtures::create(n, due)).collect::<Result<_>>()?;
            engine.apply(requests).await?;
            number = end;
        }
        anyhow::ensure!(engine.clock.now() < due, "the campaigns were not created in time");
        let firings = engine.wait_for(count, Duration::from_mins(2)).await?;
        engine.stop().await;
        let last = firings.iter().map(|f| f.committed).max().unwrap_or(due);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let rate = count as f64 / seconds(last - due);
        report.record(readings::embedded_rate(), rate);
        report.add("embedded", "lateness p99", "ms", percentile(&firings, 99.0)?);
    }
    Ok(())
}

fn seconds(delta: TimeDelta) -> f64 {
    delta.to_std().unwrap_or_default().as_secs_f64()
}

/// A percentile of due → committed, in milliseconds.
pub(crate) fn percentile(firings: &[Firing], percent: f64) -> Result<f64> {
    let mut histogram = Histogram::<u64>::new(3)?;
    for firing in firings {
        let late = (firing.committed - firing.due).num_microseconds().unwrap_or(i64::MAX);
        histogram.record(u64::try_from(late)?)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds of seconds")]
    let millis = histogram.value_at_percentile(percent) as f64 / 1_000.0;
    Ok(millis)
}
