//! Readings made of others of the same run. They travel: an hour in which this machine is slow makes both sides slow.

use crate::bench::Scale;
use crate::readings::{self as r, Named, P50, P99};
use crate::report::Report;

/// So many of a hundred.
const PERCENT: (f64, &str) = (100.0, "%");
/// So many times as much.
const TIMES: (f64, &str) = (1.0, "×");

pub(crate) fn by_bare_sql() -> Named {
    r::ratio("burst: service / bare SQL in batches", PERCENT.1)
}

pub(crate) fn by_single_sql() -> Named {
    r::ratio("burst: service / bare SQL, a transaction each", TIMES.1)
}

pub(crate) fn by_peer(peer: &str) -> Named {
    r::ratio(&format!("burst: service / {peer}"), TIMES.1)
}

pub(crate) fn by_best_peer() -> Named {
    r::ratio("burst: service / best peer", TIMES.1)
}

pub(crate) fn by_pipelined_xadd() -> Named {
    r::ratio("ingest: service / bare XADD in pipelines", PERCENT.1)
}

pub(crate) fn by_single_xadd() -> Named {
    r::ratio("ingest: service / bare XADD one by one", PERCENT.1)
}

pub(crate) fn by_bare_sqlite() -> Named {
    r::ratio("embedded burst: service / bare SQLite in batches", PERCENT.1)
}

pub(crate) fn backlog_rate() -> Named {
    r::ratio("burst rate with all pending timers / with none", PERCENT.1)
}

pub(crate) fn backlog_burst_lateness() -> Named {
    r::ratio("burst lateness p99 with all pending timers / with none", PERCENT.1)
}

pub(crate) fn backlog_lateness(which: &str) -> Named {
    r::ratio(&format!("steady lateness {which} with all pending timers / with none"), PERCENT.1)
}

/// Adds all whose parts were read.
pub(crate) fn add(report: &Report, scale: &Scale) {
    let (burst, rate, pending) = (scale.bursts[0], scale.rates[0], scale.pending);
    let add = |name: Named, (factor, _): (f64, &str), part: Option<f64>, whole: Option<f64>| {
        if let (Some(part), Some(whole)) = (part, whole) {
            report.record(name, factor * part / whole);
        }
    };
    let read = |name: Named| report.median(&name);

    let own = read(r::burst_rate(burst));
    add(by_bare_sql(), PERCENT, own, read(r::bare_sql_batched()));
    add(by_single_sql(), TIMES, own, read(r::bare_sql_single()));
    let peers = r::PEERS.map(|peer| (peer, read(r::peer_rate(peer, scale.peer_burst))));
    for (peer, theirs) in peers {
        add(by_peer(peer), TIMES, own, theirs);
    }
    add(by_best_peer(), TIMES, own, peers.iter().filter_map(|(_, rate)| *rate).reduce(f64::max));
    let ingest = read(r::ingest_rate());
    add(by_pipelined_xadd(), PERCENT, ingest, read(r::bare_xadd_pipelined()));
    add(by_single_xadd(), PERCENT, ingest, read(r::bare_xadd_single()));
    add(by_bare_sqlite(), PERCENT, read(r::embedded_rate()), read(r::bare_sqlite_batched()));

    let full_and_empty = |name: &dyn Fn(usize) -> Named| (read(name(pending)), read(name(0)));
    let (full, empty) = full_and_empty(&|pending| r::backlog_rate(pending, burst));
    add(backlog_rate(), PERCENT, full, empty);
    let (full, empty) = full_and_empty(&|pending| r::backlog_burst_lateness(pending, burst));
    add(backlog_burst_lateness(), PERCENT, full, empty);
    for which in [P50, P99] {
        let (full, empty) = full_and_empty(&|pending| r::backlog_lateness(pending, rate, which));
        add(backlog_lateness(which), PERCENT, full, empty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::FULL;
    use crate::report::About;

    #[test]
    fn ratios_are_made_of_what_was_read() {
        let report = Report::new(About::full_for_tests());
        report.record(r::burst_rate(20_000), 16_000.0);
        report.record(r::bare_sql_batched(), 32_000.0);
        report.record(r::peer_rate("bullmq", 20_000), 1_600.0);
        report.record(r::peer_rate("graphile-worker", 20_000), 2_000.0);
        add(&report, &FULL);
        let read = |name: Named| report.median(&name).map(crate::report::show);
        assert_eq!(read(by_bare_sql()).as_deref(), Some("50.0"));
        assert_eq!(read(by_best_peer()).as_deref(), Some("8.00"));
        assert_eq!(read(by_peer("bullmq")).as_deref(), Some("10.0"));
        assert_eq!(read(by_single_sql()), None, "one side was not read");
    }
}
