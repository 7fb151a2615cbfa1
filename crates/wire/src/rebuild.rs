//! What the journal says that a store must hold of a campaign's timers, and how the journal tells of a repair.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use domain::{Campaign, Step, Timer, TimerId, Timestamp};
use ports::journal::{Actor, Cause, Entry, Fact};
use ports::query::TimerState;
use ports::verification::RebuildOrder;
use serde::Serialize;

use crate::chain::to_hex;
use crate::{json, time};

/// The name of the notice of a repair.
pub const CAMPAIGN_REPAIRED: &str = "campaign.repaired";

/// The most differences that one notice lists; the rest is counted.
const LISTED: usize = 50;

/// The step that `entry` is, if it is one.
pub fn step_of(entry: &Entry) -> Option<&Step> {
    match entry {
        Entry::Step(step) => Some(&step.step),
        Entry::Rejected { .. } | Entry::TimerFailed { .. } | Entry::Notice { .. } => None,
    }
}

/// What a timer table must say of one timer.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The timer.
    pub timer: &'a Timer,
    /// How it stands.
    pub state: TimerState,
    /// Whether it waits for an operator.
    pub held: bool,
    /// When it fired or was skipped.
    pub completed_at: Option<Timestamp>,
    /// How often it was tried when it was given up.
    pub attempts: u32,
    /// What went wrong then.
    pub error: Option<&'a str>,
}

/// Every timer that was ever armed for the campaign, as its journal leaves it.
pub fn timers_of<'a>(campaign: &Campaign, entries: &'a [Entry]) -> BTreeMap<TimerId, Wanted<'a>> {
    let mut found = BTreeMap::new();
    for step in entries.iter().filter_map(step_of) {
        for timer in &step.armed {
            let (state, held) = match campaign.timer(timer.id) {
                Some(_) => (TimerState::Pending, campaign.held.contains(&timer.id)),
                None => (TimerState::Cancelled, false),
            };
            let wanted = Wanted { timer, state, held, completed_at: None, attempts: 0, error: None };
            found.insert(timer.id, wanted);
        }
        if let Some(done) = step.event.settled_timer().and_then(|timer| found.get_mut(&timer.id)) {
            done.state = TimerState::Completed;
            done.completed_at = Some(step.at);
        }
    }
    for entry in entries {
        if let Entry::TimerFailed { timer, attempts, error, .. } = entry
            && let Some(failed) = found.get_mut(&timer.id).filter(|t| t.state == TimerState::Pending)
        {
            failed.state = TimerState::Failed;
            failed.held = false;
            failed.attempts = *attempts;
            failed.error = Some(error);
        }
    }
    found
}

/// One thing in which what was stored differs from what the log gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: a column, the state, a timer.
    pub what: String,
    /// What was stored; none when it was missing.
    pub before: Option<String>,
    /// What is stored now; none when it is gone.
    pub after: Option<String>,
}

impl Difference {
    /// A column of the campaign's row.
    pub fn column(name: &str, before: String, after: String) -> Self {
        Self { what: format!("column {name}"), before: Some(before), after: Some(after) }
    }

    /// The campaign's state; `before` is its stored form, as far as there was one.
    pub fn state(before: Option<(&str, Result<&Campaign, &str>)>, campaign: &Campaign) -> Self {
        let after = crate::stored::encode_campaign(campaign);
        let before = before.map(|(body, state)| described(body, state));
        Self { what: "state".to_owned(), before, after: Some(described(&after, Ok(campaign))) }
    }

    /// A timer's row.
    pub fn timer(id: TimerId, before: Option<String>, after: Option<String>) -> Self {
        Self { what: format!("timer {id}"), before, after }
    }
}

/// A state in few words. What is in it stays out: it may be another tenant's, and many read of a repair. Who has a copy
/// finds it by its hash.
fn described(body: &str, state: Result<&Campaign, &str>) -> String {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, body.as_bytes()).as_ref());
    let hash = to_hex(&hash);
    match state {
        Ok(campaign) => format!("{} at version {}, SHA-256 {hash}", campaign.status(), campaign.version),
        Err(_) => format!("unreadable, SHA-256 {hash}"),
    }
}

/// A timer's row in few words; `fire_at` is when the clock takes it.
pub fn timer_row(timer: &Timer, state: &str, held: bool, fire_at: Option<Timestamp>, rank: i64) -> String {
    let name = timer.kind.name().map(|name| format!(" {name}")).unwrap_or_default();
    let fires = fire_at.map_or_else(|| "never".to_owned(), time::format);
    let held = if held { ", held" } else { "" };
    format!(
        "{}{name} of generation {}, {state}{held}, due {}, fires {fires}, rank {rank}",
        timer.kind.as_str(),
        timer.generation,
        time::format(timer.due)
    )
}

/// The fact that `campaign` was repaired as `order` asked.
pub fn repaired(order: &RebuildOrder, at: Timestamp, campaign: &Campaign, differences: &[Difference]) -> Fact {
    #[derive(Serialize)]
    struct Detail<'a> {
        reason: &'a str,
        version: u64,
        differences: &'a [Difference],
        more: usize,
    }
    let mut listed = differences.len().min(LISTED);
    let detail = loop {
        let detail = Detail {
            reason: &order.reason,
            version: campaign.version,
            differences: &differences[..listed],
            more: differences.len() - listed,
        };
        match domain::JsonText::new(&json::write(&detail)) {
            Ok(text) => break text,
            // What was stored may be of any size.
            Err(_) if listed > 0 => listed /= 2,
            Err(_) => break domain::JsonText::empty(),
        }
    };
    let id = campaign.key.id.clone();
    let entry = Entry::Notice {
        name: CAMPAIGN_REPAIRED.to_owned(),
        subject: id.as_str().to_owned(),
        campaign: Some(id),
        detail,
    };
    Fact {
        id: order.ids.next(),
        at,
        tenant: campaign.key.tenant.clone(),
        actor: Actor::clone(&order.actor),
        cause: Cause::default(),
        entry,
    }
}
