//! When starts of campaigns were committed, by PostgreSQL's own record of its commits.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::latency::Latencies;
use crate::servers::Place;

/// Starts that were committed.
pub(crate) struct Firings {
    /// Due → committed, and flushed to the disk.
    pub(crate) latencies: Latencies,
}

/// The commit's instant is taken just before its flush, so the mean flush of the run is added.
const FLUSH: &str = "SELECT (wal_sync_time / nullif(wal_sync, 0) * 1000)::bigint FROM pg_stat_wal";

impl Firings {
    /// Waits until `count` campaigns have started.
    pub(crate) async fn wait_for(place: &Place<'_>, count: usize, patience: Duration) -> Result<Self> {
        let begun = Instant::now();
        // The index answers this, without getting in the way much.
        while place.number("SELECT count(*) FROM campaigns WHERE tenant = 'default' AND status = 'CREATED'")? > 0.0 {
            if begun.elapsed() > patience {
                bail!("not all of {count} campaigns started in time");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let flush = place.number(FLUSH)? as i64;
        let rows = place.sql(
            "SELECT round(extract(epoch FROM pg_xact_commit_timestamp(j.xmin) - c.start_at) * 1000000)::bigint \
             FROM journal j JOIN campaigns c ON c.tenant = j.tenant AND c.id = j.campaign WHERE j.kind = 'status_changed'",
        );
        let mut latencies = Latencies::new()?;
        for row in rows.lines() {
            latencies.add(row.parse::<i64>()? + flush)?;
        }
        if latencies.len() != count as u64 {
            bail!("{} campaigns started, and {count} were due", latencies.len());
        }
        Ok(Self { latencies })
    }
}
