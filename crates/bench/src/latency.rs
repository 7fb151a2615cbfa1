//! Latencies: kept in an `HdrHistogram` of microseconds, told as percentiles in milliseconds. All are counted from the
//! instant at which something was due, and not from when a generator got to it, so none is left out by a stall.

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::readings::{P50, P99, P999, WORST};

/// Latencies as they come in.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new(3)?))
    }

    /// Adds one, in microseconds; what would be negative is an error of the program under test, or of the clock.
    pub(crate) fn add(&mut self, micros: i64) -> Result<()> {
        let micros = u64::try_from(micros).with_context(|| format!("{micros} µs: something came before it was due"))?;
        Ok(self.0.record(micros)?)
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |percent| millis(self.0.value_at_percentile(percent));
        Percentiles { count: self.0.len(), p50: at(50.0), p99: at(99.0), p999: at(99.9), max: millis(self.0.max()) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// What is told of latencies, in milliseconds. Load generators print it as JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// Each with what it is called.
    pub(crate) fn named(self) -> [(&'static str, f64); 4] {
        [(P50, self.p50), (P99, self.p99), (P999, self.p999), (WORST, self.max)]
    }
}

/// Microseconds since 1970, of a clock that all processes of this machine share.
pub(crate) fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
