//! The events that a journal record becomes in the outbound streams (DESIGN §5): a pure function, so that streams can be
//! refilled with the same entries at any time.
//!
//! A timer that came due too late and was skipped is `timer.cancelled` with its reason; one that waits for an operator
//! is `timer.held` and stays pending. Engagement counts are no events of their own.

use domain::Event;
use ports::journal::{CampaignStep, Entry, Record};
use serde::Serialize;

use crate::events::{
    CampaignInitialized, CancelReason, Changed, Notice, Rejected, StatusChange, TargetReached, TimerEvent, Updated,
};
use crate::{json, time};

/// `campaign.initialized`.
pub const CAMPAIGN_INITIALIZED: &str = "campaign.initialized";
/// `campaign.status.changed`.
pub const STATUS_CHANGED: &str = "campaign.status.changed";
/// `campaign.updated.applied`.
pub const UPDATE_APPLIED: &str = "campaign.updated.applied";
/// `campaign.target.reached`.
pub const TARGET_REACHED: &str = "campaign.target.reached";
/// `command.rejected`.
pub const COMMAND_REJECTED: &str = "command.rejected";
/// `timer.scheduled`.
pub const TIMER_SCHEDULED: &str = "timer.scheduled";
/// `timer.executed`.
pub const TIMER_EXECUTED: &str = "timer.executed";
/// `timer.cancelled`.
pub const TIMER_CANCELLED: &str = "timer.cancelled";
/// `timer.held`.
pub const TIMER_HELD: &str = "timer.held";
/// `timer.failed`.
pub const TIMER_FAILED: &str = "timer.failed";

/// A stream that this service writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// What happens to campaigns.
    Lifecycle,
    /// What happens to timers.
    Timer,
    /// What happens to the service itself.
    System,
}

impl Stream {
    /// Its name, before any prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle-events",
            Self::Timer => "timer-events",
            Self::System => "system-events",
        }
    }
}

/// One event of an outbound stream.
#[derive(Debug, Clone)]
pub struct OutboundEvent<'a> {
    /// Where it goes.
    pub stream: Stream,
    /// Its place among the events of its record, from 0.
    pub k: u32,
    /// Its type.
    pub event_type: &'a str,
    /// Its data, as JSON.
    pub data: String,
    /// The record that it tells.
    pub record: &'a Record,
}

impl OutboundEvent<'_> {
    /// Its id: `<position>-<k>`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.record.position, self.k)
    }
}

/// The fields that all events of `record` share, in order. In a stream's entry `eventId` and `eventType` stand before them, and
/// `data` after them.
pub fn shared_fields(record: &Record) -> Vec<(&'static str, String)> {
    let fact = &record.fact;
    let mut fields = vec![
        ("timestamp", time::format(fact.at)),
        ("source", "lifecycle".to_owned()),
        ("tenant", fact.tenant.as_str().to_owned()),
    ];
    fields.extend(fact.cause.correlation.clone().map(|correlation| ("correlationId", correlation)));
    fields.extend(fact.cause.command.as_ref().map(|command| ("causationId", command.as_str().to_owned())));
    fields.push(("position", record.position.to_string()));
    fields
}

/// The events that `record` becomes, in order.
pub fn expand(record: &Record) -> Vec<OutboundEvent<'_>> {
    let mut out = Expansion { record, events: Vec::new() };
    match &record.fact.entry {
        Entry::Step(step) => out.step(step),
        Entry::Rejected { campaign, command, code, message } => {
            let data = Rejected {
                campaign_id: campaign.as_str(),
                command,
                command_id: record.fact.cause.command.as_ref().map(domain::CommandId::as_str),
                code,
                message,
                occurred_at: record.fact.at,
            };
            out.add(Stream::Lifecycle, COMMAND_REJECTED, &data);
        }
        Entry::TimerFailed { campaign, owner: _, timer, attempts, error } => {
            out.add(Stream::Timer, TIMER_FAILED, &TimerEvent::failed(campaign, timer, *attempts, error));
        }
        Entry::Notice { name, campaign: _, subject, detail } => {
            let detail = json::Embedded(detail.as_str());
            out.add(Stream::System, name, &Notice { name, subject, detail, occurred_at: record.fact.at });
        }
    }
    out.events
}

struct Expansion<'a> {
    record: &'a Record,
    events: Vec<OutboundEvent<'a>>,
}

impl<'a> Expansion<'a> {
    fn add(&mut self, stream: Stream, event_type: &'a str, data: &impl Serialize) {
        let k = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.events.push(OutboundEvent { stream, k, event_type, data: json::write(data), record: self.record });
    }

    fn step(&mut self, step: &'a CampaignStep) {
        let mut cancelled_as = CancelReason::Superseded;
        match &step.step.event {
            Event::Initialized { definition, policy } => {
                let data = CampaignInitialized::of(step, definition, policy);
                self.add(Stream::Lifecycle, CAMPAIGN_INITIALIZED, &data);
            }
            Event::StatusChanged { from, to: _, trigger, reason, timer } => {
                let data = StatusChange::of(step, Some(*from), *trigger, reason.as_ref(), timer.as_ref());
                self.add(Stream::Lifecycle, STATUS_CHANGED, &data);
                if let Some(timer) = timer {
                    self.add(Stream::Timer, TIMER_EXECUTED, &TimerEvent::executed(step, timer));
                }
            }
            Event::Updated { window, auto_close, rewards_enabled, metadata, reason } => {
                let changes = Changed::definition(window.as_ref(), *auto_close, *rewards_enabled, metadata.as_ref());
                self.add(Stream::Lifecycle, UPDATE_APPLIED, &Updated::of(step, changes, reason.as_ref()));
            }
            Event::TargetReached { total, target } => {
                self.add(Stream::Lifecycle, TARGET_REACHED, &TargetReached::of(step, *total, *target));
            }
            Event::ReminderFired { timer, by: _ } => {
                self.add(Stream::Timer, TIMER_EXECUTED, &TimerEvent::executed(step, timer));
            }
            Event::TimerSkipped { timer, reason } => {
                self.add(Stream::Timer, TIMER_CANCELLED, &TimerEvent::cancelled(step, timer, (*reason).into()));
            }
            Event::TimerHeld { timer } => self.add(Stream::Timer, TIMER_HELD, &TimerEvent::of(step, timer)),
            // The cancelled timer is among those that the step cancelled.
            Event::ReminderCancelled { .. } => cancelled_as = CancelReason::Requested,
            Event::ReminderScheduled { .. } | Event::EngagementsRecorded { .. } => {}
        }
        for timer in &step.cancelled {
            self.add(Stream::Timer, TIMER_CANCELLED, &TimerEvent::cancelled(step, timer, cancelled_as));
        }
        for timer in &step.step.armed {
            self.add(Stream::Timer, TIMER_SCHEDULED, &TimerEvent::of(step, timer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::samples;
    use serde_json::{Value, json};

    fn types(record: &Record) -> Vec<(&'static str, &str)> {
        expand(record).iter().map(|event| (event.stream.name(), event.event_type)).collect()
    }

    fn data(event: &OutboundEvent<'_>) -> Value {
        serde_json::from_str(&event.data).expect("valid JSON")
    }

    #[test]
    fn a_started_campaign_tells_its_status_and_its_timers() {
        let (event, status) = samples::every_event().remove(1);
        let record = samples::record(Entry::Step(Box::new(samples::step_of(event, status))));
        let events = expand(&record);
        let names: Vec<_> = events.iter().map(|event| (event.stream, event.event_type)).collect();
        assert_eq!(
            names,
            [
                (Stream::Lifecycle, STATUS_CHANGED),
                (Stream::Timer, TIMER_EXECUTED),
                (Stream::Timer, TIMER_CANCELLED),
                (Stream::Timer, TIMER_SCHEDULED),
            ]
        );
        assert_eq!(
            data(&events[0]),
            json!({
                "campaignId": "summer-1", "fromStatus": "CREATED", "toStatus": "RUNNING", "trigger": "START_CAMPAIGN",
                "sequence": 4, "occurredAt": "2026-11-23T10:00:00.250Z", "scheduledFor": "2026-11-23T10:00:00Z",
                "lateByMs": 250, "metadata": {}
            })
        );
        assert_eq!(
            data(&events[1]),
            json!({
                "timerId": "00000000-0000-0000-0000-000000000001", "campaignId": "summer-1",
                "timerType": "START_CAMPAIGN", "scheduledAt": "2026-11-23T10:00:00Z",
                "executedAt": "2026-11-23T10:00:00.250Z", "lateByMs": 250, "retryCount": 0, "sequence": 4
            })
        );
        assert_eq!(data(&events[2])["reason"], "superseded");
        let armed = data(&events[3]);
        assert_eq!((&armed["name"], &armed["payload"]), (&json!("call-bob"), &json!({"to": "bob"})));
        assert_eq!((events[3].id().as_str(), events[3].event_type), ("42-3", "timer.scheduled"));
        let fields = shared_fields(events[3].record);
        let field = |name| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
        assert_eq!(field("timestamp"), Some("2026-11-23T10:00:00.250Z"));
        assert_eq!((field("source"), field("tenant")), (Some("lifecycle"), Some("default")));
        assert_eq!((field("correlationId"), field("causationId")), (Some("corr-1"), Some("cmd-1")));
        assert_eq!(field("position"), Some("42"));
    }

    #[test]
    fn every_entry_becomes_its_events() {
        let lifecycle = |name| ("lifecycle-events", name);
        let timer = |name| ("timer-events", name);
        let tail = [timer(TIMER_CANCELLED), timer(TIMER_SCHEDULED)];
        let own: Vec<Vec<(&str, &str)>> = vec![
            vec![lifecycle(CAMPAIGN_INITIALIZED)],
            vec![lifecycle(STATUS_CHANGED), timer(TIMER_EXECUTED)],
            vec![lifecycle(STATUS_CHANGED)],
            vec![lifecycle(UPDATE_APPLIED)],
            vec![],
            vec![lifecycle(TARGET_REACHED)],
            vec![],
            vec![],
            vec![timer(TIMER_EXECUTED)],
            vec![timer(TIMER_EXECUTED)],
            vec![timer(TIMER_CANCELLED)],
            vec![timer(TIMER_CANCELLED)],
            vec![timer(TIMER_HELD)],
        ];
        let mut expected: Vec<Vec<_>> = own.into_iter().map(|own| own.into_iter().chain(tail).collect()).collect();
        expected.push(vec![lifecycle(COMMAND_REJECTED)]);
        expected.push(vec![timer(TIMER_FAILED)]);
        expected.push(vec![("system-events", "recovery.completed")]);
        let entries = samples::every_entry();
        assert_eq!(entries.len(), expected.len());
        for (entry, expected) in entries.into_iter().zip(expected) {
            let record = samples::record(entry);
            assert_eq!(types(&record), expected, "{record:?}");
            for (k, event) in expand(&record).iter().enumerate() {
                assert_eq!(event.id(), format!("42-{k}"));
                assert!(data(event).is_object());
            }
        }
    }

    #[test]
    fn a_reminder_that_somebody_cancelled_says_so() {
        let (event, status) = samples::every_event().remove(7);
        let record = samples::record(Entry::Step(Box::new(samples::step_of(event, status))));
        assert_eq!(data(&expand(&record)[0])["reason"], "requested");
    }
}
