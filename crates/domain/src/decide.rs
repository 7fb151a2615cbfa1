//! The decision: what a command does to a campaign as it stands.

use crate::MAX_REMINDERS;
use crate::Timestamp;
use crate::campaign::{Campaign, Phase};
use crate::command::{Changes, Command, Requester, WindowChange};
use crate::definition::{Definition, JsonText};
use crate::event::{Event, SkipReason};
use crate::id::{Reason, TimerId, TimerName};
use crate::lifecycle::{Status, Trigger, is_allowed};
use crate::misfire::Misfire;
use crate::policy::Policy;
use crate::rejection::Rejection;
use crate::timer::{Firing, LifecycleTimer, Timer, TimerKind};
use crate::window::{Window, WindowEnd};

/// What `command` does at `now` to the campaign in `state`. No event: it is already as asked (`unchanged`).
///
/// `expected_version` is the version that the sender saw, when it cares. `policy` is what holds for new campaigns of this
/// tenant; a campaign keeps the one that it was created with.
///
/// # Errors
/// [`Rejection`]: nothing happens, and why.
pub fn decide(
    state: Option<&Campaign>,
    command: &Command,
    expected_version: Option<u64>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let Some(campaign) = state else {
        return match command {
            Command::Create { definition } => create(definition, policy, now),
            _ => Err(Rejection::UnknownCampaign),
        };
    };
    if let Some(expected) = expected_version.filter(|v| *v != campaign.version) {
        return Err(Rejection::VersionMismatch { expected, actual: campaign.version });
    }
    match command {
        Command::Create { definition } if campaign.as_created() == definition => Ok(Vec::new()),
        Command::Create { .. } => Err(Rejection::AlreadyExists),
        Command::Update { changes, reason } => update(campaign, changes, reason.as_ref(), now),
        Command::Cancel { by, reason } => {
            let trigger = match by {
                Requester::Producer => Trigger::Producer,
                Requester::Operator => Trigger::Operator,
            };
            change_status(campaign, Status::Cancelled, trigger, reason.as_ref(), now)
        }
        Command::ChangeStatus { to, reason } => change_status(campaign, *to, Trigger::Operator, reason.as_ref(), now),
        Command::ScheduleReminder { name, at, payload } => {
            schedule_reminder(campaign, name, *at, payload.as_ref(), now)
        }
        Command::CancelTimer { id } => cancel_timer(campaign, *id),
        Command::FireTimer { id, by } => fire_timer(campaign, *id, *by, now),
        Command::RecordEngagements { total } => record_engagements(campaign, *total),
    }
}

fn create(definition: &Definition, policy: &Policy, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    definition.check(now)?;
    Ok(vec![Event::Initialized { definition: definition.clone(), policy: policy.with(&definition.policy) }])
}

fn change_status(
    campaign: &Campaign,
    to: Status,
    trigger: Trigger,
    reason: Option<&Reason>,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let from = campaign.status();
    if from == to {
        return Ok(Vec::new());
    }
    if !is_allowed(Some(from), to, trigger) {
        return Err(Rejection::TransitionNotAllowed { from, to, trigger });
    }
    if to == Status::Running {
        refuse_start_after_window(campaign, now)?;
    }
    Ok(vec![Event::StatusChanged { from, to, trigger, reason: reason.cloned(), timer: None }])
}

fn refuse_start_after_window(campaign: &Campaign, now: Timestamp) -> Result<(), Rejection> {
    let window = &campaign.definition.window;
    if window.is_over(now) { Err(Rejection::WindowIsOver { end: window.end() }) } else { Ok(()) }
}

fn update(
    campaign: &Campaign,
    changes: &Changes,
    reason: Option<&Reason>,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let definition = &campaign.definition;
    let status = campaign.status();
    if status.is_terminal() {
        return Err(Rejection::WrongStatus { status });
    }
    let window = changed_window(campaign, &changes.window, now)?;
    let auto_close = changes.auto_close.filter(|v| *v != definition.auto_close);
    if auto_close.is_some() && !matches!(status, Status::Created | Status::Running) {
        return Err(Rejection::FieldIsFixed { field: "autoClose", status });
    }
    let rewards_enabled = changes.rewards_enabled.filter(|v| *v != definition.rewards_enabled);
    if rewards_enabled.is_some() && status == Status::RewardClaim {
        return Err(Rejection::FieldIsFixed { field: "rewardsEnabled", status });
    }
    let metadata = changes.metadata.clone().filter(|v| *v != definition.metadata);
    if window.is_none() && auto_close.is_none() && rewards_enabled.is_none() && metadata.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Updated { window, auto_close, rewards_enabled, metadata, reason: reason.cloned() }])
}

/// The new window, if `change` makes one: a CREATED campaign may move both ends, a RUNNING one only its end.
fn changed_window(campaign: &Campaign, change: &WindowChange, now: Timestamp) -> Result<Option<Window>, Rejection> {
    let current = campaign.definition.window;
    if change.start.is_none() && change.ends.is_empty() {
        return Ok(None);
    }
    let start = change.start.unwrap_or(current.start());
    let keep_end = [WindowEnd::At(current.end())];
    let window = Window::from_ends(start, if change.ends.is_empty() { &keep_end } else { &change.ends })?;
    if window == current {
        return Ok(None);
    }
    let status = campaign.status();
    match campaign.phase {
        Phase::Created => {}
        Phase::Running { .. } if window.start() == current.start() => {}
        Phase::Running { .. } => return Err(Rejection::FieldIsFixed { field: "startTime", status }),
        Phase::Closed { .. } | Phase::RewardClaim { .. } | Phase::Expired | Phase::Cancelled => {
            let field = if window.start() == current.start() { "endTime" } else { "startTime" };
            return Err(Rejection::FieldIsFixed { field, status });
        }
    }
    Ok(Some(window.ending_after(now)?))
}

fn schedule_reminder(
    campaign: &Campaign,
    name: &TimerName,
    at: Timestamp,
    payload: Option<&JsonText>,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let status = campaign.status();
    if status.is_terminal() {
        return Err(Rejection::WrongStatus { status });
    }
    if let Some(existing) = campaign.timers.iter().find(|t| t.kind.name() == Some(name)) {
        let same = existing.due == at && existing.payload.as_ref() == payload;
        return if same { Ok(Vec::new()) } else { Err(Rejection::TimerNameTaken) };
    }
    if at <= now || at - now > Window::MAX {
        return Err(Rejection::TimerOutOfRange);
    }
    if campaign.timers.iter().filter(|t| t.kind.name().is_some()).count() >= MAX_REMINDERS {
        return Err(Rejection::TooManyTimers { limit: MAX_REMINDERS });
    }
    Ok(vec![Event::ReminderScheduled { name: name.clone(), at, payload: payload.cloned() }])
}

fn cancel_timer(campaign: &Campaign, id: TimerId) -> Result<Vec<Event>, Rejection> {
    let timer = campaign.timer(id).ok_or(Rejection::UnknownTimer)?;
    match timer.kind {
        TimerKind::Custom(_) | TimerKind::Lifecycle(LifecycleTimer::RewardReminder) => {
            Ok(vec![Event::ReminderCancelled { timer: timer.clone() }])
        }
        // Deleting a step of the life would leave a campaign that nothing moves on.
        TimerKind::Lifecycle(kind) => Err(Rejection::TimerIsPlanned { kind: kind.as_str() }),
    }
}

fn fire_timer(campaign: &Campaign, id: TimerId, by: Firing, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    let timer = campaign.timer(id).ok_or(Rejection::UnknownTimer)?;
    if by == Firing::Clock {
        if now < timer.due {
            return Err(Rejection::TimerNotDue { due: timer.due });
        }
        if campaign.held.contains(&id) {
            return Ok(Vec::new());
        }
        if now - timer.due > campaign.policy.reminder_max_late {
            match misfire_rule(campaign, &timer.kind) {
                Misfire::Fire => {}
                Misfire::Skip => return Ok(vec![skipped(timer, SkipReason::TooLate)]),
                Misfire::Hold => return Ok(vec![Event::TimerHeld { timer: timer.clone() }]),
            }
        }
    }
    let kind = match &timer.kind {
        TimerKind::Custom(_) | TimerKind::Lifecycle(LifecycleTimer::RewardReminder) => {
            return Ok(vec![Event::ReminderFired { timer: timer.clone(), by }]);
        }
        TimerKind::Lifecycle(kind) => *kind,
    };
    let (to, trigger) = match kind {
        LifecycleTimer::Start => (Status::Running, Trigger::StartTimer),
        LifecycleTimer::Close => (Status::Closed, Trigger::CloseTimer),
        LifecycleTimer::OpenRewardClaim => (Status::RewardClaim, Trigger::OpenRewardClaimTimer),
        LifecycleTimer::Expire | LifecycleTimer::RewardReminder => (Status::Expired, Trigger::ExpireTimer),
    };
    // Only the clock ends a campaign: an operator may help an overdue expiry along, not bring it forward.
    let trigger = match by {
        Firing::Clock => trigger,
        Firing::Operator if trigger == Trigger::ExpireTimer && now < timer.due => {
            return Err(Rejection::TimerNotDue { due: timer.due });
        }
        Firing::Operator if trigger == Trigger::ExpireTimer => trigger,
        Firing::Operator => Trigger::Operator,
    };
    let from = campaign.status();
    if !is_allowed(Some(from), to, trigger) {
        return Err(Rejection::TransitionNotAllowed { from, to, trigger });
    }
    if to == Status::Running && campaign.definition.window.is_over(now) {
        return match by {
            Firing::Clock => Ok(vec![skipped(timer, SkipReason::WindowOver)]),
            Firing::Operator => Err(Rejection::WindowIsOver { end: campaign.definition.window.end() }),
        };
    }
    Ok(vec![Event::StatusChanged { from, to, trigger, reason: None, timer: Some(timer.clone()) }])
}

fn misfire_rule(campaign: &Campaign, kind: &TimerKind) -> Misfire {
    match kind {
        TimerKind::Lifecycle(kind) => campaign.policy.misfire.of(*kind),
        TimerKind::Custom(_) => campaign.policy.misfire.of_custom(),
    }
}

fn skipped(timer: &Timer, reason: SkipReason) -> Event {
    Event::TimerSkipped { timer: timer.clone(), reason }
}

fn record_engagements(campaign: &Campaign, total: u64) -> Result<Vec<Event>, Rejection> {
    let from = campaign.status();
    if from != Status::Running {
        return Err(Rejection::WrongStatus { status: from });
    }
    if total <= campaign.engagements {
        return Ok(Vec::new());
    }
    let mut events = vec![Event::EngagementsRecorded { total }];
    if let Some(target) = campaign.definition.target_engagements
        && total >= target
        && !campaign.target_reached
    {
        events.push(Event::TargetReached { total, target });
        if campaign.definition.close_on_target {
            events.push(Event::StatusChanged {
                from,
                to: Status::Closed,
                trigger: Trigger::Target,
                reason: None,
                timer: None,
            });
        }
    }
    Ok(events)
}
