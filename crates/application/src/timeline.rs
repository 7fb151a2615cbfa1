//! What is going to happen to a campaign if nobody interferes: its life played forward by the domain itself.

use domain::{
    Campaign, CampaignKey, Command, Definition, Firing, Policy, Rejection, Status, TimerId, TimerKind, Timestamp,
    advance, decide,
};
use uuid::Uuid;

/// One thing that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Which timer does it.
    pub timer: TimerKind,
    /// The status that follows, unless it is a reminder.
    pub status: Option<Status>,
}

/// What is going to happen to a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The campaign as it is, or would be.
    pub campaign: Campaign,
    /// What follows, in order.
    pub entries: Vec<TimelineEntry>,
}

/// Plays the future; its timers need ids that nobody else sees.
struct Player {
    next_id: u128,
}

impl Player {
    fn apply(
        &mut self,
        key: &CampaignKey,
        mut state: Option<Campaign>,
        command: &Command,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Campaign>, Rejection> {
        for event in decide(state.as_ref(), command, None, policy, now)? {
            let mut new_id = || {
                self.next_id += 1;
                TimerId(Uuid::from_u128(self.next_id))
            };
            // The domain decided this event for this very state: it can be folded.
            let Ok((after, _)) = advance(key, state, event, now, &mut new_id) else { return Ok(None) };
            state = Some(after);
        }
        Ok(state)
    }
}

impl Timeline {
    /// What would happen to a campaign created now; stores nothing.
    ///
    /// # Errors
    /// The rejection that creating it would get.
    pub fn of_new(
        key: &CampaignKey,
        definition: &Definition,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let create = Command::Create { definition: definition.clone() };
        let campaign = Player { next_id: 0 }.apply(key, None, &create, policy, now)?;
        campaign.map(Self::of).ok_or(Rejection::UnknownCampaign)
    }

    /// What happens to `campaign` from here. Timers that wait for an operator are left out.
    pub fn of(campaign: Campaign) -> Self {
        let mut player = Player { next_id: 0 };
        let mut entries = Vec::new();
        let mut state = campaign.clone();
        while let Some(timer) = state.next_timer().cloned() {
            let at = timer.due.max(state.updated_at);
            let fire = Command::FireTimer { id: timer.id, by: Firing::Clock };
            let before = state.status();
            let policy = state.policy;
            let key = state.key.clone();
            let Ok(Some(after)) = player.apply(&key, Some(state), &fire, &policy, at) else { break };
            let status = Some(after.status()).filter(|s| *s != before);
            let skipped = status.is_none() && timer.kind == TimerKind::Lifecycle(domain::LifecycleTimer::Start);
            if !skipped {
                entries.push(TimelineEntry { at, timer: timer.kind, status });
            }
            state = after;
        }
        Self { campaign, entries }
    }
}
