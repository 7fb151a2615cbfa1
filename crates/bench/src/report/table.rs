//! The tables on the terminal: one for each scenario, with goals where there are any.

use std::fmt::Write as _;

use super::{Report, by_scenario, show};
use crate::goals;

pub(super) fn table(report: &Report) -> String {
    let mut out = String::new();
    for (name, value) in report.about() {
        let _ = writeln!(out, "{name:<16} {value}");
    }
    let judged = goals::judge(report);
    for (scenario, readings) in by_scenario(report.readings()) {
        let _ = writeln!(out, "\n{scenario:<64} {:>11} {:<4} {:>21}  goal", "median", "unit", "range");
        for reading in readings {
            let goal = match judged.of(&reading.name) {
                Some((bound, true)) => format!("{bound}: reached"),
                Some((bound, false)) => format!("{bound}: MISSED"),
                None => String::new(),
            };
            let (median, range) = (show(reading.median()), reading.range());
            let row = format!("  {:<62} {median:>11} {:<4} {range:>21}  {goal}", reading.name.what, reading.name.unit);
            let _ = writeln!(out, "{}", row.trim_end());
        }
    }
    if !judged.is_empty() {
        let _ = writeln!(out, "\n{judged}");
    }
    out
}
