//! What every change is held to by a quick run: ratios within the run, with margins that an unoptimised build on a busy
//! machine keeps. They catch what is broken (polling in place of waking, a commit for each timer), not what is a bit slower.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::bench::Scale;
use crate::bound::Bound::{self, AtLeast, AtMost};
use crate::ratios;
use crate::readings::{self as r, COMMITTED, GET_ONE, ON_STREAM, P50};
use crate::report::{Report, show};

struct Check {
    what: String,
    unit: &'static str,
    bound: Bound,
    /// Missing when a part of it was not read.
    seen: Option<f64>,
}

fn checks(report: &Report, scale: &Scale) -> Vec<Check> {
    let read = |name| report.median(&name);
    let (burst, rate) = (read(r::burst_rate(scale.bursts[0])), scale.rates[0]);
    let ratio = |part: Option<f64>, whole: Option<f64>| Some(part? / whole?);
    let of = |name: r::Named, bound| Check { seen: read(name.clone()), what: name.what, unit: name.unit, bound };
    let times = |what: &str, bound, seen| Check { what: what.to_owned(), unit: "×", bound, seen };

    // How long one bare transaction takes when as many are under way as the baseline has connections.
    let bare = read(r::bare_sql_single()).map(|rate| f64::from(r::BARE_SINGLE_CONNECTIONS) * 1_000.0 / rate);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let caught_up = read(r::recovery(scale.overdue)).map(|seconds| scale.overdue as f64 / seconds);
    vec![
        // Optimised 40 %, and 16 % unoptimised, where only our side is slow. With a commit for each timer it is 1 %.
        of(ratios::by_bare_sql(), AtLeast(2.0)),
        // Unoptimised 11 × where a flush of the disk is slow, which is what holds graphile-worker back, and not us. Where
        // flushes cost nothing, our slowest build is compared with Node.js at its best.
        of(ratios::by_peer("graphile-worker"), AtLeast(0.5)),
        // Unoptimised 5 %. Redis is never what limits; a consumer that takes events one by one gets to a tenth of this.
        of(ratios::by_single_xadd(), AtLeast(0.5)),
        // SQLite's side is optimised code within both.
        of(ratios::by_bare_sqlite(), AtLeast(2.0)),
        // Unoptimised 2 × and 3 ×. A service that polls once a second is at 60 × or more.
        times(
            "steady: lateness p50, committed / a bare transaction",
            AtMost(20.0),
            ratio(read(r::lateness(rate, COMMITTED, P50)), bare),
        ),
        times(
            "steady: lateness p50, event on the stream / a bare transaction",
            AtMost(30.0),
            ratio(read(r::lateness(rate, ON_STREAM, P50)), bare),
        ),
        // An outage is caught up with like a burst, but for the time until the service is ready.
        times("recover: overdue timers a second / burst", AtLeast(0.1), ratio(caught_up, burst)),
        // Unoptimised 3 ×: a query costs less than a create, which waits for the disk.
        times(
            "api: queries / creates a second",
            AtLeast(0.5),
            ratio(read(r::get_rate(GET_ONE)), read(r::create_rate("api"))),
        ),
    ]
}

/// # Errors
/// When one does not hold, or, in a run of everything, could not be made.
pub(crate) fn check(report: &Report, scale: &Scale, everything: bool) -> Result<()> {
    let (table, broken) = judge(&checks(report, scale), everything);
    if let Some(table) = table {
        println!("\n{table}");
    }
    if broken > 0 {
        bail!("{broken} check(s) failed: the service is far slower than it was, next to what else this machine did");
    }
    Ok(())
}

/// A table, if there is anything to tell, and how many are broken.
fn judge(checks: &[Check], everything: bool) -> (Option<String>, usize) {
    let mut rows = String::new();
    let mut broken = 0;
    for Check { what, unit, bound, seen } in checks {
        let (shown, verdict) = match seen {
            Some(seen) if bound.holds(*seen) => (show(*seen), ""),
            Some(seen) => (show(*seen), "  FAILED"),
            None if everything => ("nothing".to_owned(), "  FAILED"),
            None => continue,
        };
        broken += usize::from(!verdict.is_empty());
        let _ = write!(rows, "\n  {what:<64} {:>9} {shown:>9} {unit}{verdict}", bound.to_string());
    }
    let table = (!rows.is_empty()).then(|| format!("{:<66} {:>9} {:>9}{rows}", "checks", "expected", "seen"));
    (table, broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::QUICK;
    use crate::report::About;

    fn report(recovery: f64) -> Report {
        let report = Report::new(About::full_for_tests());
        report.record(r::burst_rate(QUICK.bursts[0]), 5_000.0);
        report.record(r::recovery(QUICK.overdue), recovery);
        report
    }

    #[test]
    fn what_was_not_measured_fails_only_a_run_of_everything() {
        assert!(check(&report(2.0), &QUICK, false).is_ok());
        let (table, broken) = judge(&checks(&report(2.0), &QUICK), true);
        assert_eq!(broken, 7, "{table:?}");
    }

    #[test]
    fn a_ratio_out_of_bounds_is_told_with_what_was_expected() {
        let (table, broken) = judge(&checks(&report(20.0), &QUICK), false);
        assert_eq!(broken, 1, "{table:?}");
        let table = table.unwrap_or_default();
        assert!(table.contains("≥ 0.1") && table.contains("0.05 ×  FAILED"), "{table}");
    }
}
