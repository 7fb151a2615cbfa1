//! What one instance does for all: the read models made anew, months of the journal made ahead and taken away,
//! instances of long ago forgotten.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use ports::PortError;
use ports::feed::Publisher;
use ports::query::Queries;
use ports::upkeep::Upkeep;

use crate::partitions::OldMonths;
use crate::postgres::Postgres;

/// How often the journal's months are looked at.
const MONTHS_EVERY: Duration = Duration::from_hours(1);

impl Postgres {
    /// All upkeep of the database: read models every `refresh`, months of the journal that ended `keep_log` ago detached;
    /// kept for ever without it. What `publisher` was not told stays in any case.
    pub fn upkeep(
        self: &Arc<Self>,
        publisher: Arc<dyn Publisher>,
        refresh: Duration,
        keep_log: Option<Duration>,
    ) -> Vec<Arc<dyn Upkeep>> {
        vec![
            Arc::new(Months { postgres: Arc::clone(self), publisher, keep: keep_log }),
            Arc::new(ReadModels { postgres: Arc::clone(self), every: refresh }),
        ]
    }
}

struct ReadModels {
    postgres: Arc<Postgres>,
    every: Duration,
}

#[async_trait]
impl Upkeep for ReadModels {
    fn name(&self) -> &'static str {
        "postgres.read_models"
    }

    fn every(&self) -> Duration {
        self.every
    }

    async fn run(&self) -> Result<(), PortError> {
        self.postgres.refresh_read_models().await?;
        let summary = self.postgres.summary().await?;
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        let gauge = |value: u64| value as f64;
        for (status, count) in summary.campaigns {
            metrics::gauge!("lifecycle_campaigns", "status" => status.as_str()).set(gauge(count));
        }
        for (kind, count) in summary.pending_timers {
            metrics::gauge!("lifecycle_pending_timers", "kind" => kind).set(gauge(count));
        }
        Ok(())
    }
}

struct Months {
    postgres: Arc<Postgres>,
    publisher: Arc<dyn Publisher>,
    keep: Option<Duration>,
}

#[async_trait]
impl Upkeep for Months {
    fn name(&self) -> &'static str {
        "postgres.months"
    }

    fn every(&self) -> Duration {
        MONTHS_EVERY
    }

    async fn run(&self) -> Result<(), PortError> {
        self.postgres.make_months_ahead().await?;
        self.postgres.forget_instances().await?;
        let Some(keep) = self.keep else { return Ok(()) };
        let now = self.postgres.status().await?.now;
        let keep = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
        if let Some(before) = now.checked_sub_signed(keep) {
            let published = self.publisher.top().await?;
            self.postgres.take_months_away(before, published, OldMonths::Detach).await?;
        }
        Ok(())
    }
}
