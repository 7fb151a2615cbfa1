//! From one state to the next: how a step of the log changes a campaign.

use crate::Timestamp;
use crate::campaign::{Campaign, Phase};
use crate::event::{Event, Step};
use crate::id::{CampaignKey, TimerId};
use crate::lifecycle::{Status, is_allowed};
use crate::schedule::plan;
use crate::timer::{Timer, TimerKind};

/// Why a log cannot be folded: it was not written by [`decide`](crate::decide).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A step is missing, doubled or out of place (INV-5).
    #[error("the log continues with sequence {found} where {expected} must follow")]
    Gap {
        /// What must come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The first step is not, or a later one is, the beginning of a campaign.
    #[error("step {sequence} is out of place: a campaign begins once, with its first step")]
    Misplaced {
        /// Where.
        sequence: u64,
    },
    /// A status change that is no row of the table, or does not start where the campaign stands (INV-2).
    #[error("step {sequence} goes from {from} to {to}, which the transition table does not have here")]
    NotInTable {
        /// Where.
        sequence: u64,
        /// From.
        from: Status,
        /// To.
        to: Status,
    },
    /// The log is empty.
    #[error("the log is empty")]
    Empty,
}

/// The state after `step`.
///
/// # Errors
/// [`FoldError`] when the step cannot follow `state`.
pub fn evolve(key: &CampaignKey, state: Option<Campaign>, step: &Step) -> Result<Campaign, FoldError> {
    let expected = state.as_ref().map_or(0, |c| c.version) + 1;
    if step.sequence != expected {
        return Err(FoldError::Gap { expected, found: step.sequence });
    }
    let mut campaign = match (state, &step.event) {
        (None, Event::Initialized { definition, policy }) => Campaign {
            key: key.clone(),
            version: 0,
            phase: Phase::Created,
            definition: definition.clone(),
            original: None,
            policy: *policy,
            engagements: 0,
            target_reached: false,
            generation: 0,
            planned_at: step.at,
            settled: std::collections::BTreeSet::new(),
            timers: Vec::new(),
            held: std::collections::BTreeSet::new(),
            created_at: step.at,
            updated_at: step.at,
        },
        (None, _) | (Some(_), Event::Initialized { .. }) => {
            return Err(FoldError::Misplaced { sequence: step.sequence });
        }
        (Some(campaign), _) => campaign,
    };
    apply(&mut campaign, step)?;
    campaign.version = step.sequence;
    campaign.updated_at = step.at;
    settle_timers(&mut campaign, step);
    Ok(campaign)
}

fn apply(campaign: &mut Campaign, step: &Step) -> Result<(), FoldError> {
    match &step.event {
        Event::StatusChanged { from, to, trigger, .. } => {
            if campaign.status() != *from || !is_allowed(Some(*from), *to, *trigger) {
                return Err(FoldError::NotInTable { sequence: step.sequence, from: *from, to: *to });
            }
            campaign.phase = enter(*to, step.at);
        }
        Event::Updated { window, auto_close, rewards_enabled, metadata, .. } => {
            if campaign.original.is_none() {
                campaign.original = Some(Box::new(campaign.definition.clone()));
            }
            let definition = &mut campaign.definition;
            definition.window = window.unwrap_or(definition.window);
            definition.auto_close = auto_close.unwrap_or(definition.auto_close);
            definition.rewards_enabled = rewards_enabled.unwrap_or(definition.rewards_enabled);
            if let Some(metadata) = metadata {
                definition.metadata = metadata.clone();
            }
        }
        Event::EngagementsRecorded { total } => campaign.engagements = *total,
        Event::TargetReached { .. } => campaign.target_reached = true,
        Event::Initialized { .. }
        | Event::ReminderScheduled { .. }
        | Event::ReminderCancelled { .. }
        | Event::ReminderFired { .. }
        | Event::TimerSkipped { .. }
        | Event::TimerHeld { .. } => {}
    }
    Ok(())
}

fn enter(status: Status, at: Timestamp) -> Phase {
    match status {
        Status::Created => Phase::Created,
        Status::Running => Phase::Running { started_at: at },
        Status::Closed => Phase::Closed { closed_at: at },
        Status::RewardClaim => Phase::RewardClaim { opened_at: at },
        Status::Expired => Phase::Expired,
        Status::Cancelled => Phase::Cancelled,
    }
}

/// Ends the timers that this step ends and takes over those that it arms.
fn settle_timers(campaign: &mut Campaign, step: &Step) {
    if step.event.replans() {
        campaign.generation = step.sequence;
        campaign.planned_at = step.at;
        campaign.settled.clear();
        let terminal = campaign.status().is_terminal();
        campaign.timers.retain(|t| !terminal && matches!(t.kind, TimerKind::Custom(_)));
    } else if let Some(timer) = step.event.settled_timer() {
        campaign.timers.retain(|t| t.id != timer.id);
        campaign.settled.extend(timer.kind.lifecycle());
    } else if let Event::ReminderCancelled { timer } = &step.event {
        campaign.timers.retain(|t| t.id != timer.id);
        campaign.settled.extend(timer.kind.lifecycle());
    } else if let Event::TimerHeld { timer } = &step.event {
        campaign.held.insert(timer.id);
    }
    campaign.timers.extend(step.armed.iter().cloned());
    let Campaign { held, timers, .. } = campaign;
    held.retain(|id| timers.iter().any(|t| t.id == *id));
}

/// Makes the next step out of `event`: arms the timers that the state after it must have, with ids from `new_id`.
///
/// # Errors
/// As [`evolve`].
pub fn advance(
    key: &CampaignKey,
    state: Option<Campaign>,
    event: Event,
    at: Timestamp,
    new_id: &mut dyn FnMut() -> TimerId,
) -> Result<(Campaign, Step), FoldError> {
    let sequence = state.as_ref().map_or(0, |c| c.version) + 1;
    let mut step = Step { sequence, at, event, armed: Vec::new() };
    let mut campaign = evolve(key, state, &step)?;
    let mut arm = |kind, due, payload| {
        step.armed.push(Timer { id: new_id(), kind, due, generation: sequence, payload });
    };
    match &step.event {
        Event::ReminderScheduled { name, at, payload } => {
            arm(TimerKind::Custom(name.clone()), *at, payload.clone());
        }
        event if event.replans() => {
            for planned in plan(&campaign) {
                arm(TimerKind::Lifecycle(planned.kind), planned.due, None);
            }
        }
        _ => {}
    }
    campaign.timers.extend(step.armed.iter().cloned());
    Ok((campaign, step))
}

/// The state after a whole log.
///
/// # Errors
/// As [`evolve`]; [`FoldError::Empty`] without a step.
pub fn fold<'a>(key: &CampaignKey, log: impl IntoIterator<Item = &'a Step>) -> Result<Campaign, FoldError> {
    let mut state = None;
    for step in log {
        state = Some(evolve(key, state, step)?);
    }
    state.ok_or(FoldError::Empty)
}
