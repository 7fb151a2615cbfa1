//! One campaign in a world of its own: its state, its log, and a timer table kept from what changes beside it, as a store
//! keeps it. Every step that is taken is checked against all invariants.

use chrono::TimeDelta;
use domain::invariants::check_campaign;
use domain::{
    Campaign, CampaignId, CampaignKey, Command, Definition, Event, Firing, JsonText, LifecycleTimer, Policy,
    PolicyOverrides, Rejection, Status, Step, TenantId, Timer, TimerId, TimerKind, TimerName, Timestamp, Window,
    advance, decide, fold,
};
use uuid::Uuid;

/// The instant `seconds` after the world's beginning; windows start at 100 and end at 200 where nothing else is said.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
}

pub(crate) fn secs(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

pub(crate) fn window(start: i64, end: i64) -> Window {
    Window::new(at(start), at(end)).expect("a window in order")
}

pub(crate) fn definition() -> Definition {
    Definition {
        window: window(100, 200),
        auto_close: true,
        rewards_enabled: true,
        target_engagements: None,
        close_on_target: false,
        owner: None,
        policy: PolicyOverrides::default(),
        metadata: JsonText::empty(),
    }
}

pub(crate) fn name(text: &str) -> TimerName {
    TimerName::parse(text).expect("a name")
}

pub(crate) fn update(changes: domain::Changes) -> Command {
    Command::Update { changes, reason: None }
}

pub(crate) fn move_to(to: Status) -> Command {
    Command::ChangeStatus { to, reason: None }
}

pub(crate) fn clock_fires(id: TimerId) -> Command {
    Command::FireTimer { id, by: Firing::Clock }
}

pub(crate) fn operator_fires(id: TimerId) -> Command {
    Command::FireTimer { id, by: Firing::Operator }
}

pub(crate) struct World {
    pub(crate) key: CampaignKey,
    /// The service's policy for new campaigns.
    pub(crate) policy: Policy,
    pub(crate) state: Option<Campaign>,
    pub(crate) log: Vec<Step>,
    /// What a store's timer table holds in state PENDING.
    pub(crate) table: Vec<Timer>,
    /// Every timer that was ever armed.
    pub(crate) armed: Vec<TimerId>,
    ids: u128,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            key: CampaignKey { tenant: TenantId::default_tenant(), id: CampaignId::parse("c-1").expect("an id") },
            policy: Policy::default(),
            state: None,
            log: Vec::new(),
            table: Vec::new(),
            armed: Vec::new(),
            ids: 0,
        }
    }

    /// A world whose campaign was created at 0.
    pub(crate) fn with(definition: Definition) -> Self {
        let mut world = Self::new();
        world.must(&Command::Create { definition }, 0);
        world
    }

    /// A world whose default campaign was moved to `status` by its timers, or cancelled, at the usual instants.
    pub(crate) fn in_status(status: Status) -> Self {
        Self::with(definition()).moved_to(status)
    }

    /// Lives on by timers until the campaign stands in `status`.
    pub(crate) fn moved_to(mut self, status: Status) -> Self {
        if status == Status::Cancelled {
            self.must(&move_to(Status::Cancelled), 50);
        }
        while self.campaign().status() != status {
            let next = self.campaign().next_timer().expect("something must come next").clone();
            let events = self.send_at(&clock_fires(next.id), None, next.due).expect("a due timer fires");
            assert!(!events.is_empty(), "a due timer does something");
        }
        self
    }

    pub(crate) fn campaign(&self) -> &Campaign {
        self.state.as_ref().expect("the campaign exists")
    }

    /// The pending timer of this kind.
    pub(crate) fn timer(&self, kind: LifecycleTimer) -> &Timer {
        let found = self.campaign().timers.iter().find(|t| t.kind == TimerKind::Lifecycle(kind));
        found.unwrap_or_else(|| panic!("no pending {}", kind.as_str()))
    }

    /// The pending reminder of this name.
    pub(crate) fn reminder(&self, wanted: &str) -> &Timer {
        let found = self.campaign().timers.iter().find(|t| t.kind.name() == Some(&name(wanted)));
        found.unwrap_or_else(|| panic!("no pending reminder {wanted}"))
    }

    /// Kind and due second of every pending lifecycle timer, by due time.
    pub(crate) fn pending(&self) -> Vec<(LifecycleTimer, i64)> {
        let mut pending: Vec<_> = self
            .campaign()
            .timers
            .iter()
            .filter_map(|t| t.kind.lifecycle().map(|kind| (kind, (t.due - at(0)).num_seconds())))
            .collect();
        pending.sort_by_key(|(kind, due)| (*due, *kind));
        pending
    }

    pub(crate) fn send(&mut self, command: &Command, seconds: i64) -> Result<Vec<Event>, Rejection> {
        self.send_at(command, None, at(seconds))
    }

    /// Sends a command that must change something.
    pub(crate) fn must(&mut self, command: &Command, seconds: i64) -> Vec<Event> {
        let events = self.send(command, seconds).unwrap_or_else(|e| panic!("{command:?} was refused: {e}"));
        assert!(!events.is_empty(), "{command:?} changed nothing");
        events
    }

    /// Sends a command that must be refused.
    pub(crate) fn refused(&mut self, command: &Command, seconds: i64) -> Rejection {
        match self.send(command, seconds) {
            Err(rejection) => rejection,
            Ok(events) => panic!("{command:?} was accepted: {events:?}"),
        }
    }

    /// Sends a command that finds all as it asks.
    pub(crate) fn unchanged(&mut self, command: &Command, seconds: i64) {
        assert_eq!(self.send(command, seconds), Ok(Vec::new()), "{command:?}");
    }

    /// Decides, and takes the steps that follow; checks all invariants after each.
    pub(crate) fn send_at(
        &mut self,
        command: &Command,
        expected_version: Option<u64>,
        now: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        let events = decide(self.state.as_ref(), command, expected_version, &self.policy, now)?;
        for event in &events {
            self.take(event.clone(), now);
        }
        Ok(events)
    }

    fn take(&mut self, event: Event, now: Timestamp) {
        let before = self.state.take();
        let old = before.as_ref().map_or_else(Vec::new, |c| c.timers.clone());
        let ids = &mut self.ids;
        let mut new_id = || {
            *ids += 1;
            TimerId(Uuid::from_u128(*ids))
        };
        let (campaign, step) = advance(&self.key, before, event, now, &mut new_id).expect("decide's events follow");
        self.table.retain(|t| !old.contains(t) || campaign.timers.contains(t));
        self.table.extend(campaign.timers.iter().filter(|t| !old.contains(t)).cloned());
        self.armed.extend(step.armed.iter().map(|t| t.id));
        self.log.push(step);
        self.state = Some(campaign);
        self.check();
    }

    fn check(&self) {
        let campaign = self.campaign();
        assert_eq!(check_campaign(campaign, &self.log, &self.table, &[]), Vec::new());
        assert_eq!(fold(&self.key, &self.log).as_ref(), Ok(campaign), "the state is the fold of the log");
        for (i, timer) in self.table.iter().enumerate() {
            assert!(self.table[..i].iter().all(|t| t.kind != timer.kind), "two pending {:?}", timer.kind);
        }
    }
}
