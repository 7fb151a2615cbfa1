//! What the demo has seen of each campaign, read from WebSocket frames.

use chrono::{DateTime, Utc};
use domain::{Status, Timestamp};
use serde_json::Value;

/// What happened to one campaign.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Its statuses, each with the seconds from the beginning to its entry.
    pub(crate) statuses: Vec<(f64, Status)>,
    /// Reminders and the like, with their mark in the drawing.
    pub(crate) marks: Vec<(f64, char)>,
}

impl Story {
    /// Where it stands.
    pub(crate) fn status(&self) -> Option<Status> {
        self.statuses.last().map(|(_, status)| *status)
    }

    /// Where it stood so many seconds after the beginning.
    pub(crate) fn status_at(&self, seconds: f64) -> Option<Status> {
        self.statuses.iter().rev().find(|(at, _)| *at <= seconds).map(|(_, status)| *status)
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Happening {
    /// Seconds from the beginning.
    pub(crate) at: f64,
    /// To which campaign, by its place in the script.
    pub(crate) campaign: usize,
    /// In words.
    pub(crate) text: String,
}

/// All that was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    beginning: Timestamp,
    ids: Vec<String>,
    /// Per campaign.
    pub(crate) stories: Vec<Story>,
    /// Changes of status, the beginnings included.
    pub(crate) transitions: u64,
    /// Timers that fired, with their lateness in milliseconds.
    pub(crate) lateness: Vec<f64>,
}

impl Seen {
    /// Nothing yet, of the campaigns `ids`.
    pub(crate) fn new(beginning: Timestamp, ids: Vec<String>) -> Self {
        let stories = ids.iter().map(|_| Story::default()).collect();
        Self { beginning, ids, stories, transitions: 0, lateness: Vec::new() }
    }

    /// When the script began.
    pub(crate) fn beginning(&self) -> Timestamp {
        self.beginning
    }

    /// Whether all campaigns are over.
    pub(crate) fn is_over(&self) -> bool {
        self.stories.iter().all(|story| story.status().is_some_and(Status::is_terminal))
    }

    /// Takes a frame; answers what it tells, if that is worth a line.
    pub(crate) fn take(&mut self, frame: &Value) -> Option<Happening> {
        let data = &frame["data"];
        let id = data["campaignId"].as_str()?;
        let campaign = self.ids.iter().position(|known| known == id)?;
        let happened = time(&data["occurredAt"]).or_else(|| time(&frame["timestamp"]))?;
        let at = seconds(self.beginning, happened);
        let text = match frame["event"].as_str()? {
            "campaign.status.updated" => self.status(campaign, at, happened, data)?,
            "notification" => {
                let mark = if data["code"] == "target_reached" { '★' } else { '◆' };
                self.stories[campaign].marks.push((at, mark));
                if let Some(due) = time(&data["timer"]["scheduledAt"]) {
                    self.lateness.push(millis(due, happened));
                }
                data["message"]
                    .as_str()?
                    .replace(&format!(" of campaign {id}"), "")
                    .replace(&format!("campaign {id} "), "")
            }
            "campaign.updated" => update(self.beginning, data)?,
            "campaign.error" => format!("refused: {}", data["message"].as_str()?),
            _ => return None,
        };
        Some(Happening { at, campaign, text })
    }

    fn status(&mut self, campaign: usize, at: f64, happened: Timestamp, data: &Value) -> Option<String> {
        let to: Status = data["toStatus"].as_str()?.parse().ok()?;
        self.stories[campaign].statuses.push((at, to));
        self.transitions += 1;
        let late = time(&data["scheduledFor"]).map(|due| {
            let late = millis(due, happened);
            self.lateness.push(late);
            format!(", {late:.1} ms late")
        });
        let by = match data["trigger"].as_str()? {
            "producer" => "as asked".to_owned(),
            "operator" => "by an operator".to_owned(),
            "target" => "target reached".to_owned(),
            timer => format!("by {timer}"),
        };
        let late = late.unwrap_or_default();
        Some(match data["fromStatus"].as_str() {
            None => format!("{to}"),
            Some(from) => format!("{from} → {to}  {by}{late}"),
        })
    }
}

fn update(beginning: Timestamp, data: &Value) -> Option<String> {
    let changes = &data["changes"];
    if let Some(end) = time(&changes["endTime"]) {
        return Some(format!("its end is moved to {:.0} s", seconds(beginning, end)));
    }
    changes["engagements"].as_u64().map(|total| format!("{total} engagements"))
}

fn time(value: &Value) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.with_timezone(&Utc))
}

/// Seconds from `beginning` to `at`.
pub(crate) fn seconds(beginning: Timestamp, at: Timestamp) -> f64 {
    (at - beginning).as_seconds_f64()
}

fn millis(due: Timestamp, happened: Timestamp) -> f64 {
    (happened - due).as_seconds_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen() -> Seen {
        let beginning = "2026-11-23T10:00:00Z".parse().expect("a time");
        Seen::new(beginning, vec!["c1".to_owned()])
    }

    #[test]
    fn a_change_of_status_by_a_timer_is_told_with_its_lateness() {
        let mut seen = seen();
        let told = seen.take(&json!({ "event": "campaign.status.updated", "data": {
            "campaignId": "c1", "fromStatus": "CREATED", "toStatus": "RUNNING", "trigger": "START_CAMPAIGN",
            "scheduledFor": "2026-11-23T10:00:02Z", "occurredAt": "2026-11-23T10:00:02.0015Z", "lateByMs": 1 } }));
        let text = "CREATED → RUNNING  by START_CAMPAIGN, 1.5 ms late".to_owned();
        assert_eq!(told, Some(Happening { at: 2.0015, campaign: 0, text }));
        assert_eq!(seen.stories[0].status(), Some(Status::Running));
        assert_eq!((seen.transitions, seen.is_over()), (1, false));
    }

    #[test]
    fn frames_of_other_campaigns_and_other_events_are_passed_over() {
        let mut seen = seen();
        assert_eq!(seen.take(&json!({ "event": "pong" })), None);
        let other =
            json!({ "event": "campaign.status.updated", "data": { "campaignId": "c2", "toStatus": "CREATED" } });
        assert_eq!(seen.take(&other), None);
        assert_eq!(seen.transitions, 0);
    }
}
