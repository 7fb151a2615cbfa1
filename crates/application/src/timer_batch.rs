//! The decision over a batch of due timers.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use domain::{Command, CommandId, Event, Firing, LifecycleTimer, Policy, Rejection, TimerKind};
use ports::clock::Ids;
use ports::dead_letters::{LetterKind, NewLetter};
use ports::journal::{Actor, Cause, Entry};
use ports::store::{Changes, Decision, DueTimer, TimerWrite, View};

use crate::fire_timers::TimerSettings;
use crate::workspace::{Effect, Workspace};

/// What became of one due timer. It holds only once the batch is committed.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    pub(crate) kind: TimerKind,
    pub(crate) late: TimeDelta,
    pub(crate) result: &'static str,
}

/// The decision over due timers.
pub(crate) struct TimerBatch {
    ids: Arc<dyn Ids>,
    settings: TimerSettings,
    /// Set when the store refuses even a single timer: then it is not fired, and this is what is wrong with it.
    condemned: Option<String>,
    fired: Mutex<Vec<Fired>>,
}

impl TimerBatch {
    pub(crate) fn new(ids: Arc<dyn Ids>, settings: TimerSettings, condemned: Option<String>) -> Self {
        Self { ids, settings, condemned, fired: Mutex::default() }
    }

    /// What became of the due timers in the last run.
    pub(crate) fn fired(&self) -> Vec<Fired> {
        std::mem::take(&mut *self.fired.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fire(&self, work: &mut Workspace<'_>, due: &DueTimer, policy: &Policy) -> &'static str {
        let DueTimer { key, timer, .. } = due;
        if let Some(error) = &self.condemned {
            return self.failed(work, due, error);
        }
        // The timer's id is the id of the command that it is: INV-7 speaks of timers, too.
        let cause = Cause { command: CommandId::parse(&timer.id.to_string()).ok(), correlation: None };
        let fire = Command::FireTimer { id: timer.id, by: Firing::Clock };
        match work.handle(key, &fire, None, policy, &Actor::timer(), &cause) {
            Effect::Applied(_) => result(work),
            Effect::Unchanged(_) => {
                work.changes.timers.push(TimerWrite::Hold { id: timer.id });
                "held"
            }
            // An earlier timer of this batch ended it, or the table is behind the campaign: the campaign is right.
            Effect::Rejected(Rejection::UnknownTimer | Rejection::UnknownCampaign) => {
                work.changes.timers.push(TimerWrite::Cancel { id: timer.id });
                "superseded"
            }
            Effect::Rejected(rejection) => self.failed(work, due, &rejection.to_string()),
            Effect::Failed(error) => self.failed(work, due, &error),
        }
    }

    /// Tries a failed timer again later, or gives it up.
    fn failed(&self, work: &mut Workspace<'_>, due: &DueTimer, error: &str) -> &'static str {
        let DueTimer { key, timer, attempts } = due;
        let attempts = attempts + 1;
        let now = work.now();
        tracing::warn!(campaign = %key, timer = %timer.id, attempts, error, "a timer failed");
        if attempts < self.settings.attempts {
            let at = now + self.settings.back_off(attempts);
            work.changes.timers.push(TimerWrite::Retry { id: timer.id, at, attempts, error: error.to_owned() });
            return "retried";
        }
        work.changes.timers.push(TimerWrite::Fail { id: timer.id, attempts, error: error.to_owned() });
        let owner = work.campaign(key).and_then(|c| c.definition.owner.clone());
        let entry = Entry::TimerFailed {
            campaign: key.id.clone(),
            owner,
            timer: timer.clone(),
            attempts,
            error: error.to_owned(),
        };
        work.note(key, &Actor::timer(), &Cause::default(), entry);
        work.changes.letters.push(NewLetter {
            id: self.ids.next(),
            tenant: key.tenant.clone(),
            kind: LetterKind::Timer,
            origin: timer.id.to_string(),
            event_type: timer.kind.as_str().to_owned(),
            campaign: Some(key.id.clone()),
            code: "timer_failed".to_owned(),
            error: error.to_owned(),
            attempts,
            first_error_at: timer.due,
            last_error_at: now,
            original: format!(
                r#"{{"timerId":"{}","timerType":"{}","dueAt":"{}"}}"#,
                timer.id,
                timer.kind.as_str(),
                timer.due.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
            ),
        });
        "failed"
    }
}

impl Decision for TimerBatch {
    fn decide(&self, view: &View) -> Changes {
        let mut work = Workspace::new(view, self.ids.as_ref());
        let policy = Policy::default(); // only new campaigns take one, and no timer makes a campaign
        let fired = in_firing_order(&view.due)
            .into_iter()
            .map(|due| {
                let result = self.fire(&mut work, due, &policy);
                Fired { kind: due.timer.kind.clone(), late: view.now - due.timer.due, result }
            })
            .collect();
        *self.fired.lock().unwrap_or_else(PoisonError::into_inner) = fired;
        work.finish()
    }
}

/// What the timer that was applied last did, as its fact tells.
fn result(work: &Workspace<'_>) -> &'static str {
    let event = work.changes.facts.last().and_then(|fact| match &fact.entry {
        Entry::Step(step) => Some(&step.step.event),
        Entry::Rejected { .. } | Entry::TimerFailed { .. } | Entry::Notice { .. } => None,
    });
    match event {
        Some(Event::TimerSkipped { .. }) => "skipped",
        Some(Event::TimerHeld { .. }) => "held",
        _ => "fired",
    }
}

/// Earliest first; among timers of one instant a step of the life goes before the expiry that would end it.
fn in_firing_order(due: &[DueTimer]) -> Vec<&DueTimer> {
    let mut order: Vec<&DueTimer> = due.iter().collect();
    order.sort_by_key(|d| {
        let last = d.timer.kind == TimerKind::Lifecycle(LifecycleTimer::Expire);
        (d.timer.due, last)
    });
    order
}
