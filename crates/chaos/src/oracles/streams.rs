//! O6, and the timers of O2: what an independent reader saw against the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Facts, Judgement};
use crate::journal::Seen;

pub(super) fn judge(facts: &Facts, judgement: &mut Judgement) {
    let (again, live): (Vec<&Seen>, Vec<&Seen>) = facts.seen.iter().partition(|seen| seen.at_the_end);
    judgement.none("O6", "positions that the reader never saw", &missing(facts, &live));
    judgement.none("O6", "positions that the streams do not hold in the end", &missing(facts, &again));
    judgement.none("O6", "entries out of order, or with a gap", &out_of_order(&live));
    judgement.none("O6", "places with two different events", &contradictions(&facts.seen));
    let fired_twice = fired_twice(&facts.seen);
    judgement.figures.doubled += fired_twice.len();
    judgement.none("O2", "timers that fired more than once", &fired_twice);
}

/// Every record makes at least one entry, as long as nobody records engagements, and the load does not.
fn missing(facts: &Facts, seen: &[&Seen]) -> Vec<String> {
    let seen: BTreeSet<u64> = seen.iter().filter_map(|seen| seen.place()).map(|(position, _)| position).collect();
    let expected = facts.log.iter().map(|row| row.position).filter(|position| *position <= facts.head);
    expected.filter(|position| !seen.contains(position)).map(|position| position.to_string()).collect()
}

/// In each stream, places rise when they are first seen; over all streams, those of a record are 0, 1, 2, ...
fn out_of_order(live: &[&Seen]) -> Vec<String> {
    let (mut tops, mut bad) = (HashMap::<&str, (u64, u64)>::new(), Vec::new());
    let (mut known, mut of_record) = (BTreeSet::new(), BTreeMap::<u64, BTreeSet<u64>>::new());
    for seen in live {
        let Some((position, k)) = seen.place() else {
            bad.push(format!("{} is no place", seen.id));
            continue;
        };
        of_record.entry(position).or_default().insert(k);
        if known.insert((position, k)) {
            let top = tops.entry(&seen.stream).or_default();
            if (position, k) < *top {
                bad.push(format!("{} {} after {}-{}", seen.stream, seen.id, top.0, top.1));
            }
            *top = (position, k);
        }
    }
    // The last ones may be on their way.
    of_record.pop_last();
    let gaps = of_record.into_iter().filter(|(_, ks)| ks.last().is_some_and(|last| last + 1 != ks.len() as u64));
    bad.extend(gaps.map(|(position, ks)| format!("{position} has only {ks:?}")));
    bad
}

/// A place always holds the same event.
fn contradictions(all: &[Seen]) -> Vec<String> {
    let mut events: HashMap<(&str, &str), &str> = HashMap::new();
    let mut bad = Vec::new();
    for seen in all {
        if *events.entry((&seen.stream, &seen.id)).or_insert(&seen.event_id) != seen.event_id {
            bad.push(format!("{} {}", seen.stream, seen.id));
        }
    }
    bad
}

fn fired_twice(all: &[Seen]) -> Vec<String> {
    let mut fired: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for seen in all.iter().filter(|seen| seen.event_type == "timer.executed") {
        if let Some(timer) = &seen.timer {
            fired.entry(timer).or_default().insert(&seen.id);
        }
    }
    fired.into_iter().filter(|(_, places)| places.len() > 1).map(|(timer, at)| format!("{timer} at {at:?}")).collect()
}
