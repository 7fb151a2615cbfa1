//! The tables of a document, between two markers: what stands there is replaced, all else stays.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::{Report, by_scenario, show};
use crate::goals;

const BEGIN: &str = "<!-- readings: begin -->";
const END: &str = "<!-- readings: end -->";

pub(super) fn write(report: &Report, path: &Path) -> Result<()> {
    let document = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let document = replace(&document, &tables(report)).with_context(|| path.display().to_string())?;
    std::fs::write(path, document).with_context(|| format!("{} cannot be written", path.display()))
}

/// The document with `text` between the markers.
fn replace(document: &str, text: &str) -> Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else { bail!("there are no lines `{BEGIN}` and `{END}` after it") };
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

fn tables(report: &Report) -> String {
    let about: Vec<String> = report.about().iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut out = format!("Measured by `cargo xtask bench`: {}.\n", about.join("; "));
    let judged = goals::judge(report);
    for (scenario, readings) in by_scenario(report.readings()) {
        let _ = writeln!(out, "\n| {scenario} | goal | median | range |\n|---|---|---|---|");
        for reading in readings {
            let unit = reading.name.unit;
            let goal = match judged.of(&reading.name) {
                Some((bound, true)) => format!("{bound} {unit}"),
                Some((bound, false)) => format!("{bound} {unit}, missed"),
                None => String::new(),
            };
            let what = reading.name.what.replace('|', "\\|");
            let _ = writeln!(out, "| {what} | {goal} | **{} {unit}** | {} |", show(reading.median()), reading.range());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings;
    use crate::report::About;

    #[test]
    fn what_stands_between_the_markers_is_replaced_and_nothing_else() {
        let document = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let once = replace(&document, "new\n").expect("it has markers");
        assert_eq!(once, format!("# Title\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert_eq!(replace(&once, "new").expect("it has markers"), once);
    }

    #[test]
    fn a_document_without_markers_is_left_alone() {
        assert!(replace("# Title\n", "new").is_err());
        assert!(replace(&format!("{END}\n{BEGIN}\n"), "new").is_err());
    }

    #[test]
    fn readings_are_told_with_their_goals() {
        let report = Report::new(About::full_for_tests());
        for value in [9.0, 10.0, 20.0] {
            report.record(readings::recovery(100_000), value);
        }
        report.record(readings::recovery_ready(), 1_200.0);
        let text = tables(&report);
        assert!(
            text.contains("| start → 100000 overdue timers committed | ≤ 15 s | **10.0 s** | 9.00 … 20.0 |"),
            "{text}"
        );
        assert!(text.contains("| start to ready | ≤ 1,000 ms, missed | **1,200 ms** | one value |"), "{text}");
    }
}
