//! The scaling table: what is measured, from where on something should be done, and what.

use std::time::Duration;

/// What the table looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measures {
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_percent: Option<f64>,
    pub(crate) timer_lag: Duration,
    pub(crate) unread_lag: Duration,
    pub(crate) queue_percent: f64,
    pub(crate) dead_letters: u64,
}

/// A row of the scaling table as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// What is measured.
    pub measure: &'static str,
    /// What it is.
    pub value: f64,
    /// In which unit.
    pub unit: &'static str,
    /// From where on something should be done.
    pub threshold: f64,
    /// Whether it is crossed.
    pub crossed: bool,
    /// What to do then.
    pub action: &'static str,
}

/// The table (architecture overview, "Scaling metrics & thresholds"), for what is measured.
pub(crate) fn advise(measures: &Measures) -> Vec<Advice> {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 dead letters")]
    let dead_letters = measures.dead_letters as f64;
    let rows = [
        ("cpu", measures.cpu_percent, "percent", 70.0, "add an instance"),
        ("memory", measures.memory_percent, "percent", 80.0, "add an instance, or memory"),
        ("timer_lag", Some(measures.timer_lag.as_secs_f64()), "seconds", 300.0, "scale up: timers fire late"),
        ("event_lag", Some(measures.unread_lag.as_secs_f64()), "seconds", 300.0, "scale up: events wait"),
        ("command_queue", Some(measures.queue_percent), "percent", 80.0, "add an instance: commands wait"),
        ("dead_letters", Some(dead_letters), "letters", 1.0, "look at the dead-letter queue"),
    ];
    rows.into_iter()
        .filter_map(|(measure, value, unit, threshold, action)| {
            value.map(|value| Advice { measure, value, unit, threshold, crossed: value >= threshold, action })
        })
        .collect()
}
