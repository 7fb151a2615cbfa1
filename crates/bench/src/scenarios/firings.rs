//! When starts of campaigns were committed, by PostgreSQL's own record of its commits.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};

use crate::latency::Latencies;
use crate::servers::Place;

/// Starts of campaigns to wait for: those that are not in the log yet when this is made.
pub(crate) struct Firings<'a> {
    place: &'a Place<'a>,
    /// Where the log ended before.
    after: f64,
}

/// What became of them.
pub(crate) struct Committed {
    /// Due → committed, and flushed to the disk.
    pub(crate) latencies: Latencies,
    /// When the last one was committed.
    pub(crate) last: DateTime<Utc>,
}

/// The commit's instant is taken just before its flush, so the mean flush of the server is added.
const FLUSH: &str = "SELECT round(wal_sync_time / nullif(wal_sync, 0) * 1000) FROM pg_stat_wal";

impl<'a> Firings<'a> {
    pub(crate) fn from_here(place: &'a Place<'a>) -> Result<Self> {
        Ok(Self { place, after: place.number("SELECT position FROM journal_head")? })
    }

    /// Waits until all are committed that were due until `last_due`; there must be `count`.
    pub(crate) async fn wait(self, count: usize, last_due: DateTime<Utc>, patience: Duration) -> Result<Committed> {
        let place = self.place;
        if let Ok(ahead) = (last_due - Utc::now()).to_std() {
            tokio::time::sleep(ahead).await;
        }
        let begun = Instant::now();
        // Each start is one fact. One row is looked at, so that watching costs nothing.
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let all = self.after + count as f64;
        while place.number("SELECT position FROM journal_head")? < all {
            ensure!(begun.elapsed() < patience, "not all timers were fired in time");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        // Notices may have been among them.
        let started =
            format!("SELECT count(*) FROM journal WHERE position > {} AND kind = 'status_changed'", self.after);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        while place.number(&started)? < count as f64 {
            ensure!(begun.elapsed() < patience, "not all timers were fired in time");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let flush = place.number(FLUSH)?;
        let rows = place.sql(&format!(
            "SELECT round(extract(epoch FROM c.start_at) * 1000000), \
                    round(extract(epoch FROM pg_xact_commit_timestamp(j.xmin)) * 1000000 + {flush}) \
             FROM journal j JOIN campaigns c ON c.tenant = j.tenant AND c.id = j.campaign \
             WHERE j.position > {} AND j.kind = 'status_changed'",
            self.after
        ));
        let mut latencies = Latencies::new()?;
        let mut last = i64::MIN;
        for row in rows.lines() {
            let (due, committed) = row.split_once('|').unwrap_or_default();
            let (due, committed): (i64, i64) = (due.parse()?, committed.parse()?);
            latencies.add(committed - due)?;
            last = last.max(committed);
        }
        ensure!(latencies.len() == count as u64, "{} campaigns started, and {count} were due", latencies.len());
        Ok(Committed { latencies, last: DateTime::from_timestamp_micros(last).unwrap_or(last_due) })
    }
}
