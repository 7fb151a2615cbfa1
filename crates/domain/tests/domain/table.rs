//! Every row and every missing row of the transition table, driven through `decide`.

use domain::lifecycle::{TRANSITIONS, is_allowed};
use domain::{
    Campaign, Command, Definition, Event, Firing, LifecycleTimer, Policy, Rejection, Requester, Status, Timer, TimerId,
    TimerKind, Trigger, decide,
};
use uuid::Uuid;

use crate::world::{World, at, clock_fires, definition, move_to, operator_fires};

/// A campaign in `status` that wants to close on its first engagement.
fn campaign_in(status: Status) -> Campaign {
    let wishes = Definition { target_engagements: Some(1), close_on_target: true, ..definition() };
    World::with(wishes).moved_to(status).campaign().clone()
}

/// A campaign in `status` with a timer of `kind` due now, whether its plan has one or not: what a bug, or a timer that
/// escaped its reschedule, would bring.
fn campaign_with(status: Status, kind: LifecycleTimer) -> (Campaign, TimerId) {
    let mut campaign = campaign_in(status);
    let id = TimerId(Uuid::from_u128(u128::MAX));
    let kind = TimerKind::Lifecycle(kind);
    campaign.timers.retain(|t| t.kind != kind);
    campaign.timers.push(Timer { id, kind, due: at(150), generation: campaign.generation, payload: None });
    (campaign, id)
}

fn timer_of(trigger: Trigger) -> Option<LifecycleTimer> {
    match trigger {
        Trigger::StartTimer => Some(LifecycleTimer::Start),
        Trigger::CloseTimer => Some(LifecycleTimer::Close),
        Trigger::OpenRewardClaimTimer => Some(LifecycleTimer::OpenRewardClaim),
        Trigger::ExpireTimer => Some(LifecycleTimer::Expire),
        Trigger::Producer | Trigger::Operator | Trigger::Target => None,
    }
}

/// Tries to go from `from` to `to` by `trigger` at an instant inside the window; `None` where no command can say that.
fn attempt(from: Status, to: Status, trigger: Trigger) -> Option<Result<Vec<Event>, Rejection>> {
    let command = match trigger {
        Trigger::Operator => move_to(to),
        Trigger::Producer if to == Status::Cancelled => Command::Cancel { by: Requester::Producer, reason: None },
        Trigger::Target if to == Status::Closed => Command::RecordEngagements { total: 1 },
        Trigger::Producer | Trigger::Target => return None,
        timer => {
            let kind = timer_of(timer)?;
            let target = match kind {
                LifecycleTimer::Start => Status::Running,
                LifecycleTimer::Close => Status::Closed,
                LifecycleTimer::OpenRewardClaim => Status::RewardClaim,
                LifecycleTimer::Expire | LifecycleTimer::RewardReminder => Status::Expired,
            };
            if to != target {
                return None;
            }
            let (campaign, id) = campaign_with(from, kind);
            return Some(decide(Some(&campaign), &clock_fires(id), None, &Policy::default(), at(150)));
        }
    };
    Some(decide(Some(&campaign_in(from)), &command, None, &Policy::default(), at(150)))
}

/// The change of status among these events.
fn transition(events: &[Event]) -> Option<(Status, Status, Trigger)> {
    events.iter().find_map(|event| match event {
        Event::StatusChanged { from, to, trigger, .. } => Some((*from, *to, *trigger)),
        _ => None,
    })
}

#[test]
fn the_table_has_exactly_the_rows_that_are_promised() {
    use Status::{Cancelled, Closed, Created, Expired, RewardClaim, Running};
    use Trigger::{CloseTimer, ExpireTimer, OpenRewardClaimTimer, Operator, Producer, StartTimer, Target};
    let promised = [
        (None, Created, vec![Producer]),
        (Some(Created), Running, vec![StartTimer, Operator]),
        (Some(Created), Expired, vec![ExpireTimer]),
        (Some(Created), Cancelled, vec![Producer, Operator]),
        (Some(Running), Cancelled, vec![Producer, Operator]),
        (Some(Running), Closed, vec![CloseTimer, Operator, Target]),
        (Some(Running), Expired, vec![ExpireTimer]),
        (Some(Closed), RewardClaim, vec![OpenRewardClaimTimer, Operator]),
        (Some(Closed), Expired, vec![ExpireTimer]),
        (Some(RewardClaim), Expired, vec![ExpireTimer]),
    ];
    let rows: Vec<_> = promised.iter().flat_map(|(from, to, by)| by.iter().map(|t| (*from, *to, *t))).collect();
    assert_eq!(TRANSITIONS.iter().map(|t| (t.from, t.to, t.trigger)).collect::<Vec<_>>(), rows);
}

#[test]
fn every_row_happens_and_every_missing_row_is_refused() {
    let mut taken = 0;
    for from in Status::ALL {
        for to in Status::ALL {
            for trigger in Trigger::ALL {
                let row = is_allowed(Some(from), to, trigger);
                let case = format!("{from} -> {to} by {trigger}");
                let Some(result) = attempt(from, to, trigger) else {
                    assert!(!row, "{case} is in the table and no command drives it");
                    continue;
                };
                match result {
                    Ok(events) if row => {
                        assert_eq!(transition(&events), Some((from, to, trigger)), "{case}");
                        taken += 1;
                    }
                    Ok(events) => {
                        assert!(events.is_empty() && from == to, "{case} is not in the table and did {events:?}");
                    }
                    Err(Rejection::WrongStatus { status }) if trigger == Trigger::Target => {
                        assert!(!row && status == from, "{case}");
                    }
                    Err(rejection) => {
                        assert!(!row, "{case} is in the table and was refused: {rejection}");
                        assert_eq!(rejection, Rejection::TransitionNotAllowed { from, to, trigger }, "{case}");
                    }
                }
            }
        }
    }
    // One more row makes a campaign out of nothing.
    assert_eq!(taken + 1, TRANSITIONS.len(), "a row of the table was never taken");
}

#[test]
fn a_campaign_begins_in_created_and_by_nothing_but_a_create() {
    let mut world = World::new();
    world.must(&Command::Create { definition: definition() }, 0);
    assert_eq!(world.campaign().status(), Status::Created);
    for to in Status::ALL {
        for trigger in Trigger::ALL {
            assert_eq!(is_allowed(None, to, trigger), to == Status::Created && trigger == Trigger::Producer);
        }
    }
}

#[test]
fn nothing_but_a_create_works_on_an_unknown_campaign() {
    let id = TimerId(Uuid::from_u128(1));
    let commands = [
        crate::world::update(domain::Changes::default()),
        Command::Cancel { by: Requester::Producer, reason: None },
        Command::Cancel { by: Requester::Operator, reason: None },
        move_to(Status::Running),
        Command::ScheduleReminder { name: crate::world::name("n"), at: at(1), payload: None },
        Command::CancelTimer { id },
        clock_fires(id),
        operator_fires(id),
        Command::RecordEngagements { total: 1 },
    ];
    for command in commands {
        assert_eq!(World::new().refused(&command, 0), Rejection::UnknownCampaign, "{}", command.name());
    }
}

#[test]
fn being_where_one_is_told_to_go_changes_nothing() {
    for status in Status::ALL {
        World::in_status(status).unchanged(&move_to(status), 150);
    }
    for by in [Requester::Producer, Requester::Operator] {
        World::in_status(Status::Cancelled).unchanged(&Command::Cancel { by, reason: None }, 150);
    }
}

#[test]
fn an_operator_who_executes_a_step_timer_moves_the_campaign_as_an_operator() {
    let steps = [
        (Status::Created, LifecycleTimer::Start, Status::Running),
        (Status::Running, LifecycleTimer::Close, Status::Closed),
        (Status::Closed, LifecycleTimer::OpenRewardClaim, Status::RewardClaim),
    ];
    for (from, kind, to) in steps {
        let mut world = World::in_status(from);
        let id = world.timer(kind).id;
        let events = world.must(&Command::FireTimer { id, by: Firing::Operator }, 50);
        assert_eq!(transition(&events), Some((from, to, Trigger::Operator)));
        assert_eq!(events[0].settled_timer().map(|t| t.id), Some(id), "the timer counts as executed");
    }
}
