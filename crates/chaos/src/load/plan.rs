//! What is sent: some 60 commands a second unless told otherwise, and what comes of them, some 20 timers a second.

use serde_json::{Value, json};
use testkit::{Plan, in_seconds};

use crate::journal::Via;

/// Commands a second, as long as no fault asks for more.
pub(crate) const RATE: u32 = 60;

/// Campaigns that are changed all the time.
pub(crate) const CAMPAIGNS: usize = 200;

/// A command, always the same however often it is sent.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub(super) key: String,
    pub(super) via: Via,
    pub(super) campaign: String,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// A campaign that lives its whole life within seconds.
    Create(Value),
    Update(Value),
    /// A reminder.
    Timer(Value),
}

/// The `n`-th command of a run; of 100, `crowd` are about one campaign, the first.
pub(super) fn op(run: &str, n: u64, crowd: u64) -> Op {
    let via = if n.is_multiple_of(2) { Via::Http } else { Via::Redis };
    // Some numbers without a pattern, the same each time.
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let seconds = |least: f64, steps: u64| least + f64::from(u32::try_from(mixed % steps).unwrap_or_default()) / 10.0;
    let crowded = (mixed / CAMPAIGNS as u64) % 100 < crowd;
    let chosen = || hot(run, if crowded { 0 } else { mixed % CAMPAIGNS as u64 });
    let (campaign, what) = match n % 24 {
        // 2.5 a second, each with four or five timers.
        5 | 16 if !crowded && ((n / 24).is_multiple_of(2) || n % 24 == 5) => {
            let id = format!("{run}-q{n:06}");
            let plan = Plan::quick(&id, seconds(2.0, 20), seconds(3.0, 10)).body().clone();
            (id, What::Create(plan))
        }
        // 10 a second.
        2 | 9 | 14 | 21 => {
            let timer = json!({ "name": format!("r{n}"), "at": in_seconds(seconds(2.0, 20)), "payload": { "n": n } });
            (chosen(), What::Timer(timer))
        }
        _ => (chosen(), What::Update(json!({ "metadata": { "n": n } }))),
    };
    Op { key: format!("{run}-k{n:06}"), via, campaign, what }
}

/// One of the campaigns that are changed all the time.
pub(crate) fn hot(run: &str, number: u64) -> String {
    format!("{run}-c{number:03}")
}

impl Op {
    /// Method, path and body of the call.
    pub(super) fn call(&self) -> (&'static str, String, String) {
        let at = format!("/api/v1/campaigns/{}", self.campaign);
        match &self.what {
            What::Create(body) => ("POST", "/api/v1/campaigns".to_owned(), body.to_string()),
            What::Update(changes) => ("PATCH", at, changes.to_string()),
            What::Timer(timer) => ("POST", format!("{at}/timers"), timer.to_string()),
        }
    }

    /// Type and data of the event.
    pub(super) fn event(&self) -> (&'static str, String) {
        match &self.what {
            What::Create(body) => ("campaign.created", body.to_string()),
            What::Update(changes) => {
                ("campaign.updated", json!({ "campaignId": self.campaign, "changes": changes }).to_string())
            }
            What::Timer(timer) => {
                let mut data = timer.clone();
                data["campaignId"] = json!(self.campaign);
                ("campaign.timer.requested", data.to_string())
            }
        }
    }
}
