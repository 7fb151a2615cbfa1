//! What each chart shows: which readings, under which names. `None` when there are too few to draw.

use super::bars::{Bar, Bars};
use super::canvas::{BASELINE, PEERS, SERVICE, SERVICE_GREEN, SERVICE_LIGHT};
use super::lines::{Line, Lines, Panel};
use crate::readings::{self as r, COMMITTED, Named, ON_STREAM, P50, P99, P999, WORST};
use crate::report::{Report, show};

/// The numbers for which there is a reading, in order.
fn numbers(report: &Report, name: impl Fn(usize) -> Named) -> Vec<usize> {
    let mut found = Vec::new();
    for reading in report.readings() {
        let words = reading.name.what.split(|letter: char| !letter.is_ascii_digit());
        found.extend(words.filter_map(|word| word.parse().ok()).filter(|number| name(*number) == reading.name));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn grouped(number: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let number = number as f64;
    if number < 1_000.0 { format!("{number}") } else { show(number) }
}

/// Transitions a second: the service, bare SQL, peers.
pub(super) fn burst(report: &Report) -> Option<Bars> {
    let mut bars = Vec::new();
    let mut add = |label: String, name: Named, colour| {
        if let Some(value) = report.median(&name) {
            bars.push(Bar { label, value, colour });
        }
    };
    for count in numbers(report, r::burst_rate) {
        add(format!("this service, {} timers", grouped(count)), r::burst_rate(count), SERVICE);
    }
    add("bare SQL, 500 a transaction".to_owned(), r::bare_sql_batched(), BASELINE);
    add("bare SQL, one a transaction".to_owned(), r::bare_sql_single(), BASELINE);
    for (peer, colour) in r::PEERS.into_iter().zip(PEERS) {
        for count in numbers(report, |count| r::peer_rate(peer, count)) {
            add(format!("{peer}, {} timers", grouped(count)), r::peer_rate(peer, count), colour);
        }
    }
    let title = "Timers due at one instant: transitions committed a second".to_owned();
    (bars.len() > 1).then_some(Bars { title, unit: "transitions per second (longer is better)", rows: bars })
}

const PERCENTILES: [&str; 4] = [P50, P99, P999, WORST];

/// How late timers are when they come due one after the other.
pub(super) fn lateness(report: &Report) -> Option<Lines> {
    let mut lines = Vec::new();
    let mut add = |label: String, colour, name: &dyn Fn(&str) -> Named| {
        let values: Vec<_> = PERCENTILES.iter().map(|which| report.median(&name(which))).collect();
        if values.iter().any(Option::is_some) {
            lines.push(Line { label, colour, values });
        }
    };
    let own = [(SERVICE, SERVICE_LIGHT), (plotters::style::RGBColor(0, 60, 110), SERVICE_GREEN)];
    for (rate, (committed, heard)) in numbers(report, |rate| r::lateness(rate, COMMITTED, P50)).into_iter().zip(own) {
        let label = |end: &str| format!("this service, {}/s, {end}", grouped(rate));
        add(label("committed"), committed, &|which| r::lateness(rate, COMMITTED, which));
        add(label("on the stream"), heard, &|which| r::lateness(rate, ON_STREAM, which));
    }
    if let Some(clients) = numbers(report, |clients| r::fanout_latency(clients, P50)).first().copied() {
        let label = format!("this service, at {} WebSocket clients", grouped(clients));
        add(label, plotters::style::RGBColor(204, 121, 167), &|which| r::fanout_latency(clients, which));
    }
    for (peer, colour) in r::PEERS.into_iter().zip(PEERS) {
        let label = format!("{peer}, {}/s, committed", r::PEER_STEADY);
        add(label, colour, &|which| r::peer_lateness(peer, which));
    }
    let panel = Panel { unit: "milliseconds after it was due".to_owned(), logarithmic: true, lines };
    (!panel.lines.is_empty()).then(|| Lines {
        title: "Timers due one after the other: how late they are".to_owned(),
        steps_are: "percentile of all timers (lower is better)",
        steps: PERCENTILES.map(str::to_owned).into(),
        panels: vec![panel],
    })
}

/// What pending timers cost while others come due.
pub(super) fn pending(report: &Report) -> Option<Lines> {
    // As many come due at each step; which number that is, only the readings tell.
    let counts = |count| numbers(report, |pending| r::backlog_rate(pending, count));
    let count = numbers_of_bursts(report).into_iter().find(|count| counts(*count).len() > 1)?;
    let steps = counts(count);
    let title = format!("{} timers due at one instant, while more and more others wait", grouped(count));
    let rate = |pending| r::backlog_rate(pending, count);
    let late = |pending| r::backlog_burst_lateness(pending, count);
    Some(growth(report, title, "timers that wait for another day", &steps, &rate, &late))
}

/// Every number that a burst beside waiting timers may have had.
fn numbers_of_bursts(report: &Report) -> Vec<usize> {
    numbers(report, |count| r::backlog_rate(0, count))
}

/// What further instances cost on the same machine.
pub(super) fn instances(report: &Report) -> Option<Lines> {
    let count = *numbers(report, |count| r::scale_rate(1, count)).first()?;
    let steps = numbers(report, |instances| r::scale_rate(instances, count));
    let title = format!("{} timers due at one instant, by instances on one machine", grouped(count));
    let rate = |instances| r::scale_rate(instances, count);
    let late = |instances| r::scale_lateness(instances, count);
    (steps.len() > 1).then(|| growth(report, title, "instances", &steps, &rate, &late))
}

fn growth(
    report: &Report,
    title: String,
    steps_are: &'static str,
    steps: &[usize],
    rate: &dyn Fn(usize) -> Named,
    late: &dyn Fn(usize) -> Named,
) -> Lines {
    let panel = |unit: &str, name: &dyn Fn(usize) -> Named| {
        let values = steps.iter().map(|step| report.median(&name(*step))).collect();
        let line = Line { label: "this service".to_owned(), colour: SERVICE, values };
        Panel { unit: unit.to_owned(), logarithmic: false, lines: vec![line] }
    };
    let panels = vec![panel("transitions per second", rate), panel("lateness p99, milliseconds", late)];
    Lines { title, steps_are, steps: steps.iter().map(|step| grouped(*step)).collect(), panels }
}

/// How late clients of one room hear of an event, beside the same room on `ws`.
pub(super) fn fanout(report: &Report) -> Option<Lines> {
    let clients = numbers(report, |clients| r::fanout_latency(clients, P99));
    let mut lines = Vec::new();
    let mut add = |label: &str, colour, name: &dyn Fn(usize) -> Named| {
        let values: Vec<_> = clients.iter().map(|clients| report.median(&name(*clients))).collect();
        if values.iter().any(Option::is_some) {
            lines.push(Line { label: label.to_owned(), colour, values });
        }
    };
    for (which, own, theirs) in [(P50, SERVICE_LIGHT, PEERS[1]), (P99, SERVICE, PEERS[0])] {
        add(&format!("this service, {which}"), own, &|clients| r::fanout_latency(clients, which));
        add(&format!("ws for Node.js, {which}"), theirs, &|clients| r::ws_latency(clients, which));
    }
    let panel = Panel { unit: "milliseconds until a client has it".to_owned(), logarithmic: false, lines };
    (clients.len() > 1).then(|| Lines {
        title: "One event to every client of a room".to_owned(),
        steps_are: "WebSocket clients in the room",
        steps: clients.iter().map(|clients| grouped(*clients)).collect(),
        panels: vec![panel],
    })
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
    fn without_readings_nothing_is_drawn() {
        let report = report(&[]);
        assert!(burst(&report).is_none());
        for lines in [lateness, pending, instances, fanout] {
            assert!(lines(&report).is_none());
        }
    }

    #[test]
    fn numbers_are_found_by_the_names_of_readings() {
        let report = report(&[
            (r::scale_rate(2, 20_000), 1.0),
            (r::scale_rate(1, 20_000), 1.0),
            (r::scale_lateness(3, 20_000), 1.0),
        ]);
        assert_eq!(numbers(&report, |instances| r::scale_rate(instances, 20_000)), [1, 2]);
    }

    #[test]
    fn a_burst_is_drawn_with_all_who_did_it() {
        let report = report(&[
            (r::burst_rate(20_000), 16_000.0),
            (r::bare_sql_batched(), 39_000.0),
            (r::peer_rate("bullmq", 20_000), 1_600.0),
        ]);
        let svg = burst(&report).expect("three bars").draw().expect("it can be drawn");
        for text in ["this service, 20,000 timers", "39,000", "bullmq", "transitions per second"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn lines_are_drawn_where_there_are_values() {
        let report = report(&[
            (r::lateness(300, COMMITTED, P50), 1.0),
            (r::lateness(300, COMMITTED, WORST), 80.0),
            (r::peer_lateness("bullmq", P99), 102.0),
        ]);
        let svg = lateness(&report).expect("two lines").draw().expect("it can be drawn");
        for text in ["this service, 300/s, committed", "p99.9", "milliseconds after it was due", "1,000"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
