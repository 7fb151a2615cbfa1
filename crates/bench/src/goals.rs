//! What the service is meant to reach, as DESIGN says in "Numbers to reach", and whether it does.
//!
//! Takeover after a kill and healing after servers return are no readings: tests prove them.

use std::fmt;

use crate::bench::FULL;
use crate::bound::Bound::{self, AtLeast, AtMost};
use crate::ratios;
use crate::readings::{self as r, COMMITTED, GET_ONE, Named, P50, P99};
use crate::report::{Report, show};

/// The reading, and what it has to be.
type Goal = (Named, Bound);

/// For a machine of two cores that also runs the servers and the load.
fn goals() -> Vec<Goal> {
    let (burst, rate, pending) = (FULL.bursts[0], FULL.rates[0], FULL.pending);
    let full_load = FULL.bursts[FULL.bursts.len() - 1];
    vec![
        (r::burst_rate(burst), AtLeast(16_000.0)),
        (r::burst_lateness(burst), AtMost(1_500.0)),
        (r::burst_memory(full_load), AtMost(256.0)),
        (ratios::by_bare_sql(), AtLeast(40.0)),
        (ratios::by_best_peer(), AtLeast(5.0)),
        (r::lateness(rate, COMMITTED, P50), AtMost(2.0)),
        (r::lateness(rate, COMMITTED, P99), AtMost(5.0)),
        (ratios::backlog_rate(), AtLeast(80.0)),
        (ratios::backlog_burst_lateness(), AtMost(120.0)),
        (ratios::backlog_lateness(P50), AtMost(120.0)),
        (ratios::backlog_lateness(P99), AtMost(120.0)),
        (r::backlog_memory(pending), AtMost(40.0)),
        (r::backlog_ready(pending), AtMost(1_000.0)),
        (r::ingest_rate(), AtLeast(12_000.0)),
        (r::ingest_latency(r::INGEST_MODERATE, P99), AtMost(25.0)),
        (r::fanout_latency(8_000, P99), AtMost(60.0)),
        (r::fanout_memory(10_000), AtMost(10.0)),
        (r::get_rate(GET_ONE), AtLeast(10_000.0)),
        (r::get_latency(GET_ONE, P99), AtMost(5.0)),
        (r::recovery(FULL.overdue), AtMost(15.0)),
        (r::recovery_ready(), AtMost(1_000.0)),
        (r::embedded_memory(pending), AtMost(40.0)),
        (r::embedded_ready(pending), AtMost(500.0)),
        (r::soak_memory_at_end(), AtMost(256.0)),
    ]
}

/// Goals next to what was read.
#[derive(Debug)]
pub(crate) struct Judged(Vec<(Goal, Option<f64>)>);

/// Judges the goals of all scenarios that were run: with a scenario's goal but without its reading, somebody has renamed
/// one of them, and is told. Quick and unoptimised runs have no goals.
pub(crate) fn judge(report: &Report) -> Judged {
    if !report.is_full() {
        return Judged(Vec::new());
    }
    let ran = |scenario| report.readings().iter().any(|reading| reading.name.scenario == scenario);
    let judged = goals().into_iter().filter(|(name, _)| ran(name.scenario));
    Judged(
        judged
            .map(|(name, bound)| (report.median(&name), (name, bound)))
            .map(|(median, goal)| (goal, median))
            .collect(),
    )
}

impl Judged {
    /// What a reading was to be, and whether it is.
    pub(crate) fn of(&self, reading: &Named) -> Option<(Bound, bool)> {
        let ((_, bound), median) = self.0.iter().find(|((name, _), _)| name == reading)?;
        Some((*bound, median.is_some_and(|median| bound.holds(median))))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = self.0.iter().filter(|((_, bound), median)| median.is_some_and(|median| bound.holds(median)));
        write!(f, "goals reached: {} of {}", reached.count(), self.0.len())?;
        for ((name, bound), median) in &self.0 {
            match median {
                Some(median) if bound.holds(*median) => {}
                Some(median) => {
                    let (name, unit) = (format!("{}: {}", name.scenario, name.what), name.unit);
                    write!(f, "\n  missed: {name}: {} {unit}, goal {bound}", show(*median))?;
                }
                None => write!(f, "\n  not read: {}: {}", name.scenario, name.what)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::About;

    fn report(readings: &[(Named, f64)]) -> Report {
        let report = Report::new(About::full_for_tests());
        for (name, value) in readings {
            report.record(name.clone(), *value);
        }
        report
    }

    #[test]
    fn full_runs_measure_what_the_goals_are_about() {
        assert_eq!((FULL.bursts[0], FULL.rates[0]), (20_000, 300));
        assert_eq!((FULL.pending, FULL.overdue), (1_000_000, 100_000));
    }

    #[test]
    fn goals_of_scenarios_that_ran_are_judged() {
        let judged = judge(&report(&[(r::ingest_rate(), 12_000.0), (r::ingest_latency(2_000, P99), 25.1)]));
        assert_eq!(judged.0.len(), 2, "{judged}");
        assert!(judged.of(&r::ingest_rate()).is_some_and(|(_, reached)| reached));
        assert!(judged.of(&r::ingest_latency(2_000, P99)).is_some_and(|(_, reached)| !reached));
        assert!(judged.to_string().contains("missed: ingest: 2000 events/s"), "{judged}");
    }

    #[test]
    fn a_goal_whose_reading_was_renamed_is_told() {
        let renamed = Named { scenario: "recover", what: "another name".to_owned(), unit: "s" };
        let judged = judge(&report(&[(renamed, 1.0)]));
        assert!(judged.to_string().starts_with("goals reached: 0 of 2"), "{judged}");
        assert!(judged.to_string().contains("not read: recover: start → 100000 overdue"), "{judged}");
    }

    #[test]
    fn no_reading_has_two_goals() {
        let goals = goals();
        for (n, (name, _)) in goals.iter().enumerate() {
            assert!(goals[n + 1..].iter().all(|(other, _)| other != name), "{name:?}");
        }
    }
}
