//! Readings, and how they are shown: median and range of the runs.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

/// All readings of one run of the program.
pub(crate) struct Report {
    readings: Mutex<Vec<Reading>>,
}

struct Reading {
    scenario: &'static str,
    what: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { readings: Mutex::default() }
    }

    /// Tells what is going on, since scenarios take their time.
    #[expect(clippy::unused_self, reason = "progress belongs to the report as its readers see it")]
    pub(crate) fn progress(&self, text: &str) {
        eprintln!("  … {text}");
    }

    /// Adds one value of a run; values of the same name belong together.
    pub(crate) fn add(&self, scenario: &'static str, what: &str, unit: &'static str, value: f64) {
        let mut readings = self.readings();
        match readings.iter_mut().find(|r| r.scenario == scenario && r.what == what) {
            Some(reading) => reading.values.push(value),
            None => readings.push(Reading { scenario, what: what.to_owned(), unit, values: vec![value] }),
        }
    }

    fn readings(&self) -> MutexGuard<'_, Vec<Reading>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table.
    pub(crate) fn print(&self) {
        println!("{:<10} {:<52} {:>12} {:>23}  unit", "scenario", "what", "median", "range");
        for reading in self.readings().iter() {
            let sorted = reading.sorted();
            let range = match (sorted.first(), sorted.last()) {
                (Some(low), Some(high)) if sorted.len() > 1 => format!("{} … {}", show(*low), show(*high)),
                _ => "one run".to_owned(),
            };
            println!(
                "{:<10} {:<52} {:>12} {:>23}  {}",
                reading.scenario,
                reading.what,
                show(reading.median()),
                range,
                reading.unit
            );
        }
    }

    /// The same for programs.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let readings: Vec<_> = self
            .readings()
            .iter()
            .map(|r| {
                serde_json::json!({
                    "scenario": r.scenario, "what": r.what, "unit": r.unit,
                    "median": r.median(), "values": r.values,
                })
            })
            .collect();
        std::fs::write(path, serde_json::to_string_pretty(&readings)?)?;
        Ok(())
    }
}

impl Reading {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        self.sorted().get(self.values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn show(value: f64) -> String {
    if value >= 1_000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
