//! The published language stays compatible: today's schemas against those of the baseline, `tests/baseline/*.json`.
//!
//! What others send us and was accepted must be accepted; what we promised to send must still be sent. To record a change:
//!
//! * a compatible one (a new optional field, a new event type): run the tests with `LIFECYCLE_BASELINE=record`;
//! * one that breaks somebody, on purpose: write a decision record that names every message it breaks, and run with
//!   `LIFECYCLE_BASELINE=docs/adr/<record>.md`.
//!
//! Either way the baseline is rewritten and the difference is reviewed with the change.

mod compare;
mod planted;
mod surface;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compare::{Direction, Finding, incompatible};
use serde_json::json;
use surface::{Channel, today};

const HOW: &str = "LIFECYCLE_BASELINE";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("baseline")
}

fn text_of(channel: &Channel) -> String {
    let text = serde_json::to_string_pretty(&channel.to_json()).expect("JSON");
    format!("{text}\n")
}

fn baseline() -> BTreeMap<String, Channel> {
    let Ok(files) = std::fs::read_dir(folder()) else { return BTreeMap::new() };
    let channels = files.map(|file| {
        let path = file.expect("a readable folder").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let channel = serde_json::from_str(&text).ok().and_then(|value| Channel::from_json(&value));
        (name, channel.unwrap_or_else(|| panic!("{} is no baseline", path.display())))
    });
    channels.collect()
}

fn record(channels: &BTreeMap<String, Channel>) {
    std::fs::create_dir_all(folder()).expect("a folder");
    for name in baseline().keys().filter(|name| !channels.contains_key(*name)) {
        std::fs::remove_file(folder().join(format!("{name}.json"))).expect("it can be removed");
    }
    for (name, channel) in channels {
        std::fs::write(folder().join(format!("{name}.json")), text_of(channel)).expect("it can be written");
    }
}

/// A change that breaks somebody, and the message that it is about.
#[derive(Debug)]
struct Break {
    channel: String,
    message: String,
    finding: Finding,
}

fn breaks(old: &BTreeMap<String, Channel>, new: &BTreeMap<String, Channel>) -> Vec<Break> {
    let mut breaks = Vec::new();
    for (name, was) in old {
        let mut add = |message: &str, part: &str, finding: Finding| {
            let path = format!("{part}{}{}", if finding.path.is_empty() { "" } else { "." }, finding.path);
            let finding = Finding { path, ..finding };
            breaks.push(Break { channel: name.clone(), message: message.to_owned(), finding });
        };
        let gone = |what: &str| Finding { path: String::new(), what: what.to_owned() };
        let Some(is) = new.get(name) else {
            add(name, "", gone("the channel is gone"));
            continue;
        };
        if (&is.address, is.direction) != (&was.address, was.direction) {
            add(name, "", gone("the channel has another address or direction"));
        }
        for (message, parts) in &was.messages {
            let Some(now) = is.messages.get(message) else {
                add(message, "", gone("the message is gone"));
                continue;
            };
            let anything = json!(true);
            for part in ["payload", "headers"] {
                let (then, now) = (parts.get(part), now.get(part));
                let (then, now) = (then.unwrap_or(&anything), now.unwrap_or(&anything));
                for finding in incompatible(was.direction, then, now) {
                    add(message, part, finding);
                }
            }
        }
    }
    breaks
}

fn list(breaks: &[Break]) -> String {
    let lines = breaks.iter().map(|b| format!("  {} · {} · {}", b.channel, b.message, b.finding));
    lines.collect::<Vec<_>>().join("\n")
}

/// Checks that the decision record `path` names every message that breaks.
fn check_decision(path: &str, breaks: &[Break]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(path))
        .unwrap_or_else(|error| panic!("{HOW} is neither `record` nor a decision record: {path}: {error}"));
    let silent: Vec<&str> = breaks.iter().map(|b| b.message.as_str()).filter(|name| !text.contains(*name)).collect();
    assert!(silent.is_empty(), "{path} does not name {silent:?}, which it breaks:\n{}", list(breaks));
}

#[test]
fn nobody_who_relies_on_the_published_language_is_broken() {
    let (old, new) = (baseline(), today());
    let breaks = breaks(&old, &new);
    match std::env::var(HOW) {
        Ok(how) if how == "record" => {
            assert!(
                breaks.is_empty(),
                "this breaks others, and needs a decision record that names each message \
                 ({HOW}=docs/adr/<record>.md):\n{}",
                list(&breaks)
            );
            record(&new);
        }
        Ok(decision) => {
            check_decision(&decision, &breaks);
            record(&new);
        }
        Err(_) => {
            assert!(
                breaks.is_empty(),
                "this breaks others; see the head of {} for how to do that on purpose:\n{}",
                file!(),
                list(&breaks)
            );
            let changed: Vec<&String> = new.keys().filter(|name| old.get(*name) != new.get(*name)).collect();
            assert!(
                changed.is_empty(),
                "{changed:?} have compatible changes that the baseline does not know yet: run with {HOW}=record"
            );
        }
    }
}

#[test]
fn every_published_schema_is_understood_by_the_comparison() {
    for (name, channel) in today() {
        assert!(!channel.messages.is_empty(), "{name}");
        for (message, parts) in &channel.messages {
            for (part, schema) in parts {
                for direction in [Direction::Read, Direction::Written] {
                    let findings = incompatible(direction, schema, schema);
                    assert_eq!(findings, [], "{name} {message} {part} is not compatible with itself");
                }
            }
        }
    }
}

#[test]
fn a_channel_message_or_address_that_vanishes_is_a_break() {
    let old = today();
    let broken = |change: &dyn Fn(&mut BTreeMap<String, Channel>)| {
        let mut new = old.clone();
        change(&mut new);
        breaks(&old, &new).iter().map(|b| format!("{} {}", b.message, b.finding)).collect::<Vec<_>>()
    };
    assert_eq!(broken(&|_| {}), Vec::<String>::new());
    assert_eq!(broken(&|new| drop(new.remove("timerEvents"))), ["timerEvents the channel is gone"]);
    let channel = |new: &mut BTreeMap<String, Channel>, change: &dyn Fn(&mut Channel)| {
        change(new.get_mut("campaignEvents").expect("there"));
    };
    let moved = broken(&|new| channel(new, &|channel| channel.address = "elsewhere".to_owned()));
    assert_eq!(moved, ["campaignEvents the channel has another address or direction"]);
    let silent = broken(&|new| channel(new, &|channel| drop(channel.messages.remove("campaign.cancelled"))));
    assert_eq!(silent, ["campaign.cancelled the message is gone"]);
    let stricter = broken(&|new| {
        channel(new, &|channel| {
            let parts = channel.messages.get_mut("campaign.cancelled").expect("there");
            parts.get_mut("payload").expect("there")["required"] = json!(["campaignId", "reason"]);
        });
    });
    assert_eq!(stricter, ["campaign.cancelled payload.reason: is required now"]);
}
