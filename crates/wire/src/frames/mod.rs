//! The WebSocket protocol's frames (DESIGN §7): what clients send, what they get, and which record makes which frames.
//!
//! A status change replaces all timers of the plan; the frames that follow it name the new ones. Any other cancelled timer
//! is named in `campaign.updated`.

mod client;
mod cursor;
mod server;
mod snapshot;

use domain::{Event, Timer, Timestamp, Trigger};
use ports::journal::{CampaignStep, Entry, Record};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

pub use client::ClientFrame;
pub use cursor::{Cursor, NotACursor};
pub use server::{AuthenticatedData, ErrorData, RecoveredData, ServerFrame};
pub use snapshot::{CampaignSnapshot, Snapshot, StatusCountsBody, SystemSnapshot, TenantSnapshot};

use crate::events::{Changed, Level, Notice, Notification, Rejected, StatusChange, TimerEvent, Updated};
use crate::json::Embedded;

/// A campaign's status changed, or it became known.
pub const STATUS_UPDATED: &str = "campaign.status.updated";
/// A timer was armed.
pub const TIMER_SCHEDULED: &str = "campaign.timer.scheduled";
/// A timer fired.
pub const TIMER_EXECUTED: &str = "timer.executed";
/// A timer was given up.
pub const TIMER_FAILED: &str = "timer.failed";
/// A campaign was changed, or counted engagements, or lost a timer.
pub const CAMPAIGN_UPDATED: &str = "campaign.updated";
/// A command was refused, or a campaign needs an operator.
pub const CAMPAIGN_ERROR: &str = "campaign.error";
/// Something that people want to know.
pub const NOTIFICATION: &str = "notification";
/// Something about the service itself.
pub const SYSTEM_ALERT: &str = "system.alert";

/// A frame before it is known to which channel it goes: its data are written once for all of them.
#[derive(Debug)]
pub struct Frame {
    /// What it tells.
    pub event: &'static str,
    /// Its place.
    pub cursor: Cursor,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its data.
    pub data: Box<RawValue>,
}

impl Frame {
    /// The frame as it is sent to those who listen to `channel`.
    pub fn to_text(&self, channel: &str) -> String {
        ServerFrame {
            event: self.event,
            id: None,
            channel: Some(channel),
            cursor: Some(self.cursor),
            timestamp: self.timestamp,
            data: Some(&self.data),
        }
        .to_text()
    }
}

/// The frames that `record` becomes, in order.
pub fn frames_of(record: &Record) -> Vec<Frame> {
    let mut out = Frames { record, frames: Vec::new() };
    match &record.fact.entry {
        Entry::Step(step) => out.step(step),
        Entry::Rejected { campaign, command, code, message } => {
            out.error(campaign.as_str(), command, code, message);
        }
        Entry::TimerFailed { campaign, owner: _, timer, attempts, error } => {
            out.add(TIMER_FAILED, &TimerEvent::failed(campaign, timer, *attempts, error));
        }
        Entry::Notice { name, campaign: _, subject, detail } => {
            let detail = Embedded(detail.as_str());
            out.add(SYSTEM_ALERT, &Notice { name, subject, detail, occurred_at: record.fact.at });
        }
    }
    out.frames
}

struct Frames<'a> {
    record: &'a Record,
    frames: Vec<Frame>,
}

impl Frames<'_> {
    fn add(&mut self, event: &'static str, data: &impl Serialize) {
        let k = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        self.frames.push(Frame {
            event,
            cursor: Cursor { position: self.record.position, k },
            timestamp: self.record.fact.at,
            data: to_raw_value(data).unwrap_or_default(),
        });
    }

    fn error(&mut self, campaign_id: &str, command: &str, code: &str, message: &str) {
        let fact = &self.record.fact;
        let command_id = fact.cause.command.as_ref().map(domain::CommandId::as_str);
        let data = Rejected { campaign_id, command, command_id, code, message, occurred_at: fact.at };
        self.add(CAMPAIGN_ERROR, &data);
    }

    fn notify(&mut self, step: &CampaignStep, level: Level, code: &'static str, timer: &Timer, message: String) {
        let timer = match level {
            Level::Info => TimerEvent::executed(step, timer),
            Level::Warning => TimerEvent::of(step, timer),
        };
        self.add(NOTIFICATION, &Notification { timer: Some(timer), ..Notification::of(step, level, code, message) });
    }

    fn step(&mut self, step: &CampaignStep) {
        let campaign = &step.campaign;
        match &step.step.event {
            Event::Initialized { .. } => {
                self.add(STATUS_UPDATED, &StatusChange::of(step, None, Trigger::Producer, None, None));
            }
            Event::StatusChanged { from, to: _, trigger, reason, timer } => {
                let data = StatusChange::of(step, Some(*from), *trigger, reason.as_ref(), timer.as_ref());
                self.add(STATUS_UPDATED, &data);
                if let Some(timer) = timer {
                    self.add(TIMER_EXECUTED, &TimerEvent::executed(step, timer));
                }
            }
            Event::Updated { window, auto_close, rewards_enabled, metadata, reason } => {
                let changes = Changed::definition(window.as_ref(), *auto_close, *rewards_enabled, metadata.as_ref());
                self.add(CAMPAIGN_UPDATED, &Updated::of(step, changes, reason.as_ref()));
            }
            Event::EngagementsRecorded { total } => {
                let changes = Changed { engagements: Some(*total), ..Changed::default() };
                self.add(CAMPAIGN_UPDATED, &Updated::of(step, changes, None));
            }
            Event::TargetReached { total, target } => {
                let message = format!("campaign {campaign} reached its target: {total} engagements of {target}");
                self.add(NOTIFICATION, &Notification::of(step, Level::Info, "target_reached", message));
            }
            Event::ReminderCancelled { .. } => {
                self.add(CAMPAIGN_UPDATED, &Updated::of(step, Changed::default(), None));
            }
            Event::ReminderFired { timer, by: _ } => {
                self.add(TIMER_EXECUTED, &TimerEvent::executed(step, timer));
                let message = format!("{} of campaign {campaign}", title(timer));
                self.notify(step, Level::Info, "reminder", timer, message);
            }
            Event::TimerSkipped { timer, reason } => {
                let mut data = Updated::of(step, Changed::default(), None);
                data.cancelled_timers.push(timer.id.0);
                self.add(CAMPAIGN_UPDATED, &data);
                let message = format!("{} of campaign {campaign} was skipped: {}", title(timer), reason.as_str());
                self.notify(step, Level::Warning, "timer_skipped", timer, message);
            }
            Event::TimerHeld { timer } => {
                let message = format!("{} came due too late and waits for an operator", title(timer));
                self.error(campaign.as_str(), "fire_timer", "timer_held", &message);
            }
            Event::ReminderScheduled { .. } => {}
        }
        for timer in &step.step.armed {
            self.add(TIMER_SCHEDULED, &TimerEvent::of(step, timer));
        }
    }
}

fn title(timer: &Timer) -> String {
    match timer.kind.name() {
        Some(name) => format!("the reminder {name}"),
        None => timer.kind.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
