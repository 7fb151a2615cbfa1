//! The script of the demo: six campaigns with windows of seconds, and what is done to them on the way. Pure data.

use chrono::{SecondsFormat, TimeDelta};
use domain::Timestamp;
use serde_json::{Value, json};

/// How long everything takes, in seconds: the length of the time axis.
pub(crate) const LENGTH: f64 = 22.0;

/// A campaign of the demo.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its name in the drawing; its id begins with it.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// Seconds from the beginning to its start and to its end.
    window: (i64, i64),
    /// The rest of its definition.
    definition: fn() -> Value,
}

/// What is done to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Called off.
    Cancel,
    /// Its end is moved to so many seconds after the beginning.
    MoveEnd(i64),
    /// So many engagements are counted, in all.
    Engagements(u64),
    /// An operator moves it to this status.
    Become(&'static str),
    /// An operator schedules a reminder so many seconds after the beginning.
    Remind(i64),
}

/// What is done, to which campaign, so many seconds after the beginning.
pub(crate) const DEEDS: [(i64, usize, Deed); 9] = [
    (3, BY_HAND, Deed::Become("RUNNING")),
    (4, BY_HAND, Deed::Remind(6)),
    (5, MOVED, Deed::MoveEnd(12)),
    (5, TARGET, Deed::Engagements(300)),
    (6, TARGET, Deed::Engagements(700)),
    (7, CANCELLED, Deed::Cancel),
    (8, TARGET, Deed::Engagements(1_000)),
    (9, BY_HAND, Deed::Become("CLOSED")),
    (11, BY_HAND, Deed::Become("REWARD_CLAIM")),
];

const CANCELLED: usize = 2;
const MOVED: usize = 3;
const TARGET: usize = 4;
const BY_HAND: usize = 5;

/// The campaigns.
pub(crate) static PLANS: [Plan; 6] = [
    Plan {
        name: "with-rewards",
        about: "starts, closes, opens its reward claim, reminds, expires: all by timers",
        window: (2, 8),
        definition: || json!({ "policy": { "rewardClaimDelaySeconds": 2, "rewardClaimSeconds": 7, "reminderLeadSeconds": 3 } }),
    },
    Plan {
        name: "without-rewards",
        about: "closes and expires",
        window: (3, 10),
        definition: || json!({ "rewardsEnabled": false, "policy": { "closedExpirySeconds": 5 } }),
    },
    Plan { name: "cancelled", about: "is called off while it runs", window: (3, 600), definition: || json!({}) },
    Plan {
        name: "rescheduled",
        about: "would close at 7 s, is given until 12 s while it runs",
        window: (2, 7),
        definition: || json!({ "policy": { "rewardClaimDelaySeconds": 2, "rewardClaimSeconds": 5, "reminderLeadSeconds": 2 } }),
    },
    Plan {
        name: "reaches-target",
        about: "closes as soon as 1,000 engagements are counted",
        window: (3, 600),
        definition: || {
            json!({
                "closeOnTarget": true,
                "targetEngagements": 1_000,
                "policy": { "rewardClaimDelaySeconds": 2, "rewardClaimSeconds": 6, "reminderLeadSeconds": 3 },
            })
        },
    },
    Plan {
        name: "by-hand",
        about: "an operator starts, closes and opens it, with a reminder in between",
        window: (300, 600),
        definition: || {
            json!({
                "autoClose": false,
                "policy": { "rewardClaimDelaySeconds": 600, "rewardClaimSeconds": 6, "reminderLeadSeconds": 3 },
            })
        },
    },
];

impl Plan {
    /// The body that creates it as `id`, when the demo begins at `beginning`.
    pub(crate) fn body(&self, id: &str, beginning: Timestamp) -> Value {
        let mut body = (self.definition)();
        body["campaignId"] = json!(id);
        body["ownerId"] = json!("demo");
        body["metadata"] = json!({ "about": self.about });
        body["startTime"] = json!(instant(beginning, self.window.0));
        body["endTime"] = json!(instant(beginning, self.window.1));
        body
    }
}

/// The instant `seconds` after `beginning`, as the contract writes it.
pub(crate) fn instant(beginning: Timestamp, seconds: i64) -> String {
    (beginning + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Micros, true)
}
