//! Catching up on what came due while nobody was there: in order, throttled, and told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use domain::{JsonText, TenantId, Timestamp};
use ports::PortError;
use ports::clock::{Clock, Ids};
use ports::feed::Publisher;
use ports::inbound::Inbound;
use ports::journal::Actor;
use ports::query::Queries;
use uuid::Uuid;

use crate::fire_timers::Timers;
use crate::notices::Notices;

/// What a recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done.
    pub finished_at: Timestamp,
    /// Timers that were past due when it began (counted up to 10,000).
    pub overdue: u64,
    /// Due time of the oldest of them.
    pub oldest_overdue: Option<Timestamp>,
    /// Timers dealt with by it: fired, skipped or held.
    pub caught_up: u64,
    /// Facts that were committed and not yet published when it began.
    pub unpublished: u64,
    /// When the oldest inbound entry came that was not dealt with when it began.
    pub oldest_unread: Option<Timestamp>,
}

/// What recovery works with.
#[derive(Clone)]
pub struct RecoveryParts {
    /// Fires what is due.
    pub timers: Arc<Timers>,
    /// Knows what is overdue.
    pub queries: Arc<dyn Queries>,
    /// Knows what is published.
    pub publisher: Arc<dyn Publisher>,
    /// Knows what is unread.
    pub inbound: Arc<dyn Inbound>,
    /// Writes the report down.
    pub notices: Notices,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identity.
    pub ids: Arc<dyn Ids>,
    /// At most so many timers a second, so that an outage's backlog does not crowd out new commands.
    pub timers_per_second: u32,
}

/// Catches up.
pub struct Recovery {
    parts: RecoveryParts,
    last: Mutex<Option<RecoveryReport>>,
}

impl Recovery {
    /// A recovery that can be run any number of times.
    pub fn new(parts: RecoveryParts) -> Self {
        Self { parts, last: Mutex::new(None) }
    }

    /// The report of the last run.
    pub fn last(&self) -> Option<RecoveryReport> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Catches up now.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn run(&self, by: &Actor) -> Result<RecoveryReport, PortError> {
        let parts = &self.parts;
        let started_at = parts.clock.now();
        let status = parts.queries.status().await?;
        let published = parts.publisher.top().await?;
        let oldest_unread = parts.inbound.oldest_unread().await?;
        let caught_up = self.catch_up(status.overdue, started_at).await?;
        let report = RecoveryReport {
            id: parts.ids.next(),
            started_at,
            finished_at: parts.clock.now(),
            overdue: status.overdue,
            oldest_overdue: status.oldest_overdue,
            caught_up,
            unpublished: status.head.0.saturating_sub(published.0),
            oldest_unread,
        };
        tracing::info!(
            overdue = report.overdue,
            caught_up = report.caught_up,
            unpublished = report.unpublished,
            "recovery is complete"
        );
        parts
            .notices
            .write(TenantId::service(), by.clone(), "recovery.completed", &report.id.to_string(), detail(&report))
            .await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        Ok(report)
    }

    async fn catch_up(&self, overdue: u64, started_at: Timestamp) -> Result<u64, PortError> {
        let mut caught_up = 0_u64;
        if overdue == 0 {
            return Ok(0);
        }
        loop {
            // Beside each other, as the timer loop does when much is due.
            let timers = &self.parts.timers;
            let (one, other) = tokio::join!(timers.fire_due(), timers.fire_due());
            let (one, other) = (one?, other?);
            caught_up += (one.handled + other.handled) as u64;
            if !one.more && !other.more {
                return Ok(caught_up);
            }
            let millis = caught_up.saturating_mul(1_000) / u64::from(self.parts.timers_per_second.max(1));
            let pace = TimeDelta::from_std(Duration::from_millis(millis)).unwrap_or(TimeDelta::MAX);
            let earliest = started_at.checked_add_signed(pace).unwrap_or(started_at);
            if earliest > self.parts.clock.now() {
                self.parts.clock.sleep_until(earliest).await;
            }
        }
    }
}

fn detail(report: &RecoveryReport) -> JsonText {
    let text = serde_json::json!({
        "overdue": report.overdue,
        "oldestOverdue": report.oldest_overdue.map(rfc3339),
        "caughtUp": report.caught_up,
        "unpublished": report.unpublished,
        "oldestUnread": report.oldest_unread.map(rfc3339),
        "durationMs": (report.finished_at - report.started_at).num_milliseconds(),
    })
    .to_string();
    JsonText::new(&text).unwrap_or_else(|_| JsonText::empty())
}

fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
