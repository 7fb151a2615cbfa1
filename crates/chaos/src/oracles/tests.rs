//! An oracle that finds nothing may be blind: here each of those over the journals is shown a life that is in order, and
//! the same with one thing wrong.

use std::collections::{BTreeMap, HashMap};

use super::facts::{Answer, Facts, Op, Row};
use super::{Judgement, commands, live, streams};
use crate::journal::{Attempt, Outcome, Seen, Told, Via};

/// Three commands about one campaign, all done, told and seen.
fn in_order() -> Facts {
    let keys = ["r-k0", "r-k1", "r-k2"];
    let op = |via| Op { via, first_sent: 0, answered: 10, outcome: Outcome::Ok };
    let vias = [Via::Http, Via::Redis, Via::Http];
    let position = |number: usize| 11 + number as u64;
    let row = |(number, key): (usize, &&str)| Row {
        position: position(number),
        campaign: "r-c000".to_owned(),
        sequence: 2 + number as u64,
        command: (*key).to_owned(),
    };
    let seen =
        |number| [("lifecycle-events", 0), ("timer-events", 1)].map(|(stream, k)| seen(stream, position(number), k));
    let live: Vec<Seen> = (0..3).flat_map(seen).collect();
    let again = live.iter().map(|seen| Seen { at_the_end: true, ..seen.clone() });
    let frames = (0..3).map(|number| told("campaign.updated", position(number), None));
    Facts {
        ops: keys.iter().zip(vias).map(|(key, via)| ((*key).to_owned(), op(via))).collect::<BTreeMap<_, _>>(),
        attempts: Vec::new(),
        told: std::iter::once(told("subscribed", 10, None)).chain(frames).collect(),
        seen: live.iter().cloned().chain(again).collect(),
        log: keys.iter().enumerate().map(row).collect(),
        inbox: keys.iter().map(|key| ((*key).to_owned(), Answer { applied: true, at: 20 })).collect::<HashMap<_, _>>(),
        from: 10,
        head: 13,
    }
}

fn seen(stream: &str, position: u64, k: u64) -> Seen {
    let id = format!("{position}-{k}");
    Seen {
        stream: stream.to_owned(),
        event_id: id.clone(),
        id,
        event_type: if k == 1 { "timer.executed" } else { "campaign.status.changed" }.to_owned(),
        timer: (k == 1).then(|| format!("timer of {position}")),
        at_the_end: false,
    }
}

fn told(event: &str, position: u64, recovered: Option<bool>) -> Told {
    Told {
        client: 0,
        channel: "campaign:r-c000".to_owned(),
        at: 0,
        event: event.to_owned(),
        cursor: Some(format!("{position}-0")),
        campaign: Some("r-c000".to_owned()),
        recovered,
    }
}

/// Which oracles find something once `spoil` was at work.
fn found(spoil: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
    let mut facts = in_order();
    spoil(&mut facts);
    let mut judgement = Judgement::default();
    commands::judge(&facts, &mut judgement);
    streams::judge(&facts, &mut judgement);
    live::judge(&facts, "r", &mut judgement);
    let mut found: Vec<_> = judgement.findings.iter().map(|finding| finding.oracle).collect();
    found.dedup();
    found
}

#[test]
fn what_is_in_order_is_not_blamed() {
    assert!(found(|_| {}).is_empty());
}

#[test]
fn a_call_that_was_accepted_and_is_not_there_is_found() {
    // Its step is someone else's then, and its answer is gone.
    let spoil = |facts: &mut Facts| {
        facts.inbox.remove("r-k0");
        facts.log[0].command.clear();
    };
    assert_eq!(found(spoil), ["O1"]);
}

#[test]
fn an_event_that_was_in_the_stream_and_has_no_outcome_is_found() {
    let spoil = |facts: &mut Facts| {
        facts.inbox.remove("r-k1");
        facts.log[1].command.clear();
    };
    assert_eq!(found(spoil), ["O1"]);
}

#[test]
fn an_answer_without_its_step_is_found() {
    assert_eq!(found(|facts| facts.log[0].command.clear()), ["O1"]);
}

#[test]
fn what_was_refused_and_done_all_the_same_is_found() {
    let spoil = |facts: &mut Facts| facts.ops.get_mut("r-k0").expect("it is there").outcome = Outcome::Rejected;
    assert_eq!(found(spoil), ["O1"]);
}

#[test]
fn a_command_that_was_done_twice_is_found() {
    assert_eq!(found(|facts| facts.log[2].command = "r-k0".to_owned()), ["O1", "O2"]);
}

#[test]
fn a_timer_that_fired_twice_is_found() {
    assert_eq!(found(|facts| facts.seen[1].timer = Some("timer of 12".to_owned())), ["O2"]);
}

#[test]
fn a_command_of_which_nobody_knows_is_found() {
    let spoil = |facts: &mut Facts| facts.ops.get_mut("r-k0").expect("it is there").outcome = Outcome::Unknown;
    assert_eq!(found(spoil), ["O10"]);
}

#[test]
fn an_error_that_is_no_outcome_is_found_and_so_is_one_that_does_not_say_when_to_come_again() {
    let attempt = |said: &str| Attempt {
        key: "r-k0".to_owned(),
        via: Via::Http,
        campaign: "r-c000".to_owned(),
        sent: 0,
        answered: 1,
        outcome: Outcome::Unknown,
        said: said.to_owned(),
    };
    for said in ["500", "503 without Retry-After", "429 without Retry-After"] {
        assert_eq!(found(|facts| facts.attempts.push(attempt(said))), ["HTTP"], "{said}");
    }
    for said in ["503", "429"] {
        assert!(found(|facts| facts.attempts.push(attempt(said))).is_empty(), "{said}");
    }
}

#[test]
fn a_record_that_the_reader_never_saw_or_that_is_gone_in_the_end_is_found() {
    for at_the_end in [false, true] {
        let of_12 = |seen: &Seen| seen.id.starts_with("12-") && seen.at_the_end == at_the_end;
        assert_eq!(found(|facts| facts.seen.retain(|seen| !of_12(seen))), ["O6"], "at the end: {at_the_end}");
    }
}

#[test]
fn an_entry_that_is_missing_in_the_middle_of_its_record_is_found() {
    assert_eq!(found(|facts| drop(facts.seen.remove(0))), ["O6"]);
}

#[test]
fn entries_in_the_wrong_order_are_found_and_repeats_are_not() {
    assert_eq!(found(|facts| facts.seen.swap(0, 2)), ["O6"]);
    assert!(found(|facts| facts.seen.insert(4, facts.seen[0].clone())).is_empty());
}

#[test]
fn another_event_at_the_same_place_is_found() {
    assert_eq!(found(|facts| facts.seen[0].event_id = "other".to_owned()), ["O6"]);
}

#[test]
fn a_step_that_a_live_client_was_not_told_is_found_unless_it_was_told_to_begin_anew() {
    assert_eq!(found(|facts| drop(facts.told.remove(2))), ["O7"]);
    assert!(found(|facts| facts.told[2] = told("recovered", 12, Some(false))).is_empty());
}

#[test]
fn a_step_that_a_live_client_was_not_told_at_the_end_is_found() {
    assert_eq!(found(|facts| facts.told.truncate(3)), ["O7"]);
}

#[test]
fn a_frame_that_a_live_client_was_told_twice_is_found() {
    assert_eq!(found(|facts| facts.told.push(facts.told[3].clone())), ["O7"]);
}

#[test]
fn a_frame_about_what_never_happened_is_found() {
    assert_eq!(found(|facts| facts.told.push(told("campaign.updated", 14, None))), ["O7"]);
}
