//! Housekeeping of one instance: keeps the gauges fresh, and tells when a threshold is crossed. What one instance does for
//! all lives in `upkeep`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{JsonText, TenantId};
use failpoints::Point;
use ports::PortError;
use ports::clock::Clock;
use ports::journal::Actor;
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heartbeat;
use crate::notices::Notices;
use crate::system::{System, SystemReport};

/// How often the gauges are set and the thresholds are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Keeps house.
pub struct Housekeeper {
    system: Arc<System>,
    notices: Notices,
    clock: Arc<dyn Clock>,
    heartbeat: Heartbeat,
}

impl Housekeeper {
    /// A housekeeper, not yet at work.
    pub fn new(system: Arc<System>, notices: Notices, clock: Arc<dyn Clock>, heartbeat: Heartbeat) -> Self {
        Self { system, notices, clock, heartbeat }
    }

    /// Keeps house until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut crossed = BTreeSet::new();
        loop {
            if let Err(error) = self.look(&mut crossed).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "housekeeping failed");
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self, crossed: &mut BTreeSet<&'static str>) -> Result<(), PortError> {
        failpoints::pass(Point::HousekeepingRound);
        let report = self.system.report().await?;
        set_gauges(&report);
        if report.store.failing {
            // While the service is not ready nobody else may try; the first commit that succeeds ends it.
            let name = "store.writable";
            self.notices.write(TenantId::service(), Actor::system(), name, "store", JsonText::empty()).await?;
        }
        self.tell_thresholds(&report, crossed).await?;
        self.heartbeat.beat(self.clock.now());
        Ok(())
    }

    async fn tell_thresholds(
        &self,
        report: &SystemReport,
        crossed: &mut BTreeSet<&'static str>,
    ) -> Result<(), PortError> {
        for advice in &report.advice {
            let name = match (advice.crossed, crossed.contains(advice.measure)) {
                (true, false) => "threshold.crossed",
                (false, true) => "threshold.cleared",
                _ => continue,
            };
            let detail = serde_json::json!({
                "value": advice.value,
                "unit": advice.unit,
                "threshold": advice.threshold,
                "action": advice.action,
                "instance": report.instance.id,
            });
            let detail = JsonText::new(&detail.to_string()).unwrap_or_else(|_| JsonText::empty());
            self.notices.write(TenantId::service(), Actor::system(), name, advice.measure, detail).await?;
            if advice.crossed {
                crossed.insert(advice.measure);
            } else {
                crossed.remove(advice.measure);
            }
        }
        Ok(())
    }
}

fn set_gauges(report: &SystemReport) {
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    let gauge = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
    gauge("lifecycle_overdue_timers", report.store.overdue);
    gauge("lifecycle_dead_letters_open", report.dead_letters);
    gauge("lifecycle_journal_head_position", report.store.head.0);
    gauge("lifecycle_unpublished_records", report.store.head.0.saturating_sub(report.published.0));
    for advice in &report.advice {
        match advice.measure {
            "timer_lag" => metrics::gauge!("lifecycle_oldest_overdue_timer_seconds").set(advice.value),
            "event_lag" => metrics::gauge!("lifecycle_oldest_unread_event_seconds").set(advice.value),
            "command_queue" => metrics::gauge!("lifecycle_command_queue_percent").set(advice.value),
            _ => {}
        }
    }
}
