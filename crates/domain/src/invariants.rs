//! INV-1 to INV-8 as functions, called by tests, by the simulator and by `lifecycle verify`.

use std::fmt;

use crate::Timestamp;
use crate::campaign::Campaign;
use crate::event::{Event, Step};
use crate::evolve::{FoldError, fold};
use crate::id::{CampaignKey, TimerId};
use crate::lifecycle::Trigger;
use crate::schedule::{Planned, plan};
use crate::timer::{Firing, Timer, TimerKind};

/// The invariants of DESIGN §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// INV-1: a campaign's state is the fold of its log.
    StateIsFold,
    /// INV-2: every step of the log is a row of the table.
    StepsInTable,
    /// INV-3: a non-terminal campaign has exactly its plan's pending timers, of its own version.
    TimersArePlan,
    /// INV-4: a terminal one has none.
    TerminalHasNone,
    /// INV-5: the log's sequence per campaign is 1..n without a gap.
    LogHasNoGap,
    /// INV-6: every log entry's event is in the outbox or published.
    EventsAreKept,
    /// INV-7: a command id has at most one effect.
    CommandsActOnce,
    /// INV-8: no timer fired before its due time.
    NeverEarly,
}

impl Invariant {
    /// Every invariant.
    pub const ALL: [Self; 8] = [
        Self::StateIsFold,
        Self::StepsInTable,
        Self::TimersArePlan,
        Self::TerminalHasNone,
        Self::LogHasNoGap,
        Self::EventsAreKept,
        Self::CommandsActOnce,
        Self::NeverEarly,
    ];

    /// Its id, `INV-1` to `INV-8`.
    pub fn id(self) -> &'static str {
        match self {
            Self::StateIsFold => "INV-1",
            Self::StepsInTable => "INV-2",
            Self::TimersArePlan => "INV-3",
            Self::TerminalHasNone => "INV-4",
            Self::LogHasNoGap => "INV-5",
            Self::EventsAreKept => "INV-6",
            Self::CommandsActOnce => "INV-7",
            Self::NeverEarly => "INV-8",
        }
    }
}

/// One broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Where, in words: a campaign, a command, a position.
    pub subject: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.invariant.id(), self.subject, self.detail)
    }
}

/// Checks INV-1 to INV-5 and INV-8 for one campaign: its stored state, its log, and what the store's timer table says
/// is armed for it. `given_up` are timers in state FAILED, which the dead-letter queue holds.
pub fn check_campaign(stored: &Campaign, log: &[Step], pending: &[Timer], given_up: &[TimerId]) -> Vec<Violation> {
    let mut found = Findings { key: &stored.key, violations: Vec::new() };
    check_log(&mut found, stored, log);
    check_timers(&mut found, stored, pending, given_up);
    found.violations
}

struct Findings<'a> {
    key: &'a CampaignKey,
    violations: Vec<Violation>,
}

impl Findings<'_> {
    fn add(&mut self, invariant: Invariant, detail: String) {
        self.violations.push(Violation { invariant, subject: format!("campaign {}", self.key), detail });
    }
}

fn check_log(found: &mut Findings<'_>, stored: &Campaign, log: &[Step]) {
    match fold(&stored.key, log) {
        Ok(folded) if folded != *stored => {
            let detail = format!(
                "the stored state ({} at version {}) is not the fold of its log ({} at version {})",
                stored.status(),
                stored.version,
                folded.status(),
                folded.version
            );
            found.add(Invariant::StateIsFold, detail);
        }
        Ok(_) => {}
        Err(error @ FoldError::Gap { .. }) => found.add(Invariant::LogHasNoGap, error.to_string()),
        Err(error @ (FoldError::NotInTable { .. } | FoldError::Misplaced { .. })) => {
            found.add(Invariant::StepsInTable, error.to_string());
        }
        Err(error @ FoldError::Empty) => found.add(Invariant::StateIsFold, error.to_string()),
    }
    for step in log {
        if let Some((timer, at)) = fired_by_clock(step)
            && at < timer.due
        {
            let detail = format!("timer {} was due at {} and fired at {at}", timer.id, timer.due);
            found.add(Invariant::NeverEarly, detail);
        }
    }
}

/// The timer that the clock fired in this step; what an operator executes may be early.
fn fired_by_clock(step: &Step) -> Option<(&Timer, Timestamp)> {
    match &step.event {
        Event::StatusChanged { trigger: Trigger::Operator, .. } | Event::ReminderFired { by: Firing::Operator, .. } => {
            None
        }
        event => event.settled_timer().map(|timer| (timer, step.at)),
    }
}

fn check_timers(found: &mut Findings<'_>, stored: &Campaign, pending: &[Timer], given_up: &[TimerId]) {
    if stored.status().is_terminal() {
        if !pending.is_empty() || !stored.timers.is_empty() {
            let detail = format!("{} is terminal and has {} pending timers", stored.status(), pending.len());
            found.add(Invariant::TerminalHasNone, detail);
        }
        return;
    }
    let mut planned: Vec<Planned> = Vec::new();
    for timer in &stored.timers {
        if let TimerKind::Lifecycle(kind) = timer.kind {
            planned.push(Planned { due: timer.due, kind });
            if timer.generation != stored.generation {
                let detail = format!(
                    "timer {} is of generation {}, the campaign of {}",
                    timer.id, timer.generation, stored.generation
                );
                found.add(Invariant::TimersArePlan, detail);
            }
        }
    }
    planned.sort_unstable();
    if planned != plan(stored) {
        found.add(Invariant::TimersArePlan, "its lifecycle timers are not those of its plan".to_owned());
    }
    for timer in &stored.timers {
        if !pending.contains(timer) && !given_up.contains(&timer.id) {
            let detail = format!("{} timer {} is not armed in the timer table", timer.kind.as_str(), timer.id);
            found.add(Invariant::TimersArePlan, detail);
        }
    }
    for (i, timer) in pending.iter().enumerate() {
        let wrong = if stored.timer(timer.id).is_none() {
            "armed, the campaign does not know it"
        } else if pending[..i].iter().any(|t| t.id == timer.id) {
            "armed twice"
        } else {
            continue;
        };
        let detail = format!("{} timer {} is {wrong}", timer.kind.as_str(), timer.id);
        found.add(Invariant::TimersArePlan, detail);
    }
}

/// INV-6: positions up to `head` must follow each other without a gap.
pub fn check_positions(previous: u64, position: u64) -> Option<Violation> {
    (position != previous + 1).then(|| Violation {
        invariant: Invariant::EventsAreKept,
        subject: format!("position {position}"),
        detail: format!("follows {previous}: what stood between them is lost"),
    })
}

/// INV-7: a command id stands in the log for at most one decision.
pub fn check_command(command: &str, decisions: u64) -> Option<Violation> {
    (decisions > 1).then(|| Violation {
        invariant: Invariant::CommandsActOnce,
        subject: format!("command {command}"),
        detail: format!("had {decisions} effects"),
    })
}
