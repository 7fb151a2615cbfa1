//! What was read: readings with a value a run, and what they were read on. How they are shown has a file each.

mod about;
mod json;
mod markdown;
mod progress;
mod table;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

pub(crate) use about::{About, node};
use progress::Progress;

use crate::readings::Named;

/// All readings of one run of the program.
pub(crate) struct Report {
    about: About,
    readings: Mutex<Vec<Reading>>,
    versions: Mutex<Vec<(String, String)>>,
    progress: Progress,
}

/// A reading: a value for each run.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) name: Named,
    pub(crate) values: Vec<f64>,
}

impl Report {
    pub(crate) fn new(about: About) -> Self {
        Self { about, readings: Mutex::default(), versions: Mutex::default(), progress: Progress::new() }
    }

    /// From here on progress tells that this is the `number`th scenario `of` so many.
    pub(crate) fn begin(&self, number: usize, of: usize) {
        self.progress.begin(number, of);
    }

    /// Tells what is going on, since scenarios take their time.
    pub(crate) fn progress(&self, text: &str) {
        self.progress.tell(text);
    }

    /// Adds one value of a run; values of the same name belong together.
    pub(crate) fn add(&self, scenario: &'static str, what: &str, unit: &'static str, value: f64) {
        self.record(Named { scenario, what: what.to_owned(), unit }, value);
    }

    /// The same for a reading that is looked for elsewhere.
    pub(crate) fn record(&self, name: Named, value: f64) {
        let mut readings = self.lock();
        match readings.iter_mut().find(|reading| reading.name == name) {
            Some(reading) => reading.values.push(value),
            None => readings.push(Reading { name, values: vec![value] }),
        }
    }

    /// Which version of something was measured.
    pub(crate) fn version(&self, of: &str, version: &str) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.iter().all(|(known, _)| known != of) {
            versions.push((of.to_owned(), version.to_owned()));
        }
    }

    /// What was read so far.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        self.lock().clone()
    }

    /// The median of a reading, if it was read.
    pub(crate) fn median(&self, name: &Named) -> Option<f64> {
        self.lock().iter().find(|reading| reading.name == *name).map(Reading::median)
    }

    /// Whether figures mean anything by themselves, or only next to each other.
    pub(crate) fn is_optimised(&self) -> bool {
        self.about.optimised
    }

    /// Whether it is as large as a run that has goals.
    pub(crate) fn is_full(&self) -> bool {
        self.about.optimised && !self.about.scale.quick
    }

    /// The tables for people.
    pub(crate) fn print(&self) {
        print!("{}", table::table(self));
    }

    /// All of it for programs.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        json::write(self, path)
    }

    /// Puts the tables into a document, between its markers.
    pub(crate) fn write_markdown(&self, path: &Path) -> Result<()> {
        markdown::write(self, path)
    }

    /// What it was read on, a name and a value each.
    fn about(&self) -> Vec<(String, String)> {
        let mut about = self.about.lines();
        about.extend(self.versions.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        about
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reading>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.get(middle) {
            // Between the two in the middle: half of an even number of runs must not count for more than the other.
            Some(upper) if sorted.len().is_multiple_of(2) => f64::midpoint(sorted[middle - 1], *upper),
            Some(value) => *value,
            None => f64::NAN,
        }
    }

    /// From the lowest to the highest value.
    fn range(&self) -> String {
        match self.sorted().as_slice() {
            [low, .., high] => format!("{} … {}", show(*low), show(*high)),
            _ => "one value".to_owned(),
        }
    }
}

/// Scenarios in the order in which they were run, each with its readings.
fn by_scenario(readings: Vec<Reading>) -> Vec<(&'static str, Vec<Reading>)> {
    let mut groups: Vec<(&'static str, Vec<Reading>)> = Vec::new();
    for reading in readings {
        match groups.iter_mut().find(|(scenario, _)| *scenario == reading.name.scenario) {
            Some((_, group)) => group.push(reading),
            None => groups.push((reading.name.scenario, vec![reading])),
        }
    }
    groups
}

/// A number as people read it, with as many digits as it deserves.
pub(crate) fn show(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        let digits = format!("{value:.0}");
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        format!("{sign}{grouped}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(values: &[f64]) -> Reading {
        let name = Named { scenario: "burst", what: "rate".to_owned(), unit: "1/s" };
        Reading { name, values: values.to_vec() }
    }

    #[test]
    fn the_median_of_an_even_number_of_runs_lies_between_the_two_in_the_middle() {
        assert_eq!(show(reading(&[4.0, 1.0, 2.0, 9.0]).median()), "3.00");
        assert_eq!(show(reading(&[4.0, 1.0, 2.0]).median()), "2.00");
    }

    #[test]
    fn a_range_is_told_for_more_than_one_value() {
        assert_eq!(reading(&[20.0, 3.0]).range(), "3.00 … 20.0");
        assert_eq!(reading(&[20.0]).range(), "one value");
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(show(1_234_567.4), "1,234,567");
        assert_eq!(show(-1_000.0), "-1,000");
        assert_eq!(show(999.94), "999.9");
        assert_eq!(show(1.5), "1.50");
    }
}
