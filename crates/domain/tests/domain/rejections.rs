//! Every reason for which a command is refused, each with its stable code.

use domain::{
    Changes, Command, Definition, DefinitionError, LifecycleTimer, MAX_REMINDERS, PolicyOverrides, Rejection,
    Requester, Status, TimerId, Trigger, WindowChange, WindowEnd, WindowError,
};
use uuid::Uuid;

use crate::world::{World, at, clock_fires, definition, move_to, name, operator_fires, secs, update, window};

fn reminder(text: &str, seconds: i64) -> Command {
    Command::ScheduleReminder { name: name(text), at: at(seconds), payload: None }
}

fn new_window(start: Option<i64>, end: Option<i64>) -> Command {
    let ends = end.map(|end| WindowEnd::At(at(end))).into_iter().collect();
    update(Changes { window: WindowChange { start: start.map(at), ends }, ..Changes::default() })
}

#[test]
fn a_stale_version_is_refused_whatever_is_asked() {
    let mut world = World::in_status(Status::Running);
    let refused = world.send_at(&move_to(Status::Closed), Some(1), at(150));
    assert_eq!(refused, Err(Rejection::VersionMismatch { expected: 1, actual: 2 }));
    assert!(world.send_at(&move_to(Status::Closed), Some(2), at(150)).is_ok());
}

#[test]
fn people_who_earned_rewards_keep_them_closed_and_claim_cannot_be_cancelled() {
    for status in [Status::Closed, Status::RewardClaim] {
        for (by, trigger) in [(Requester::Producer, Trigger::Producer), (Requester::Operator, Trigger::Operator)] {
            let refused = World::in_status(status).refused(&Command::Cancel { by, reason: None }, 300);
            assert_eq!(refused, Rejection::TransitionNotAllowed { from: status, to: Status::Cancelled, trigger });
        }
    }
}

#[test]
fn a_definition_that_breaks_a_rule_is_refused_with_the_rule() {
    let bad_policy = PolicyOverrides { closed_expiry_seconds: Some(u32::MAX), ..PolicyOverrides::default() };
    let policy_error = bad_policy.check().expect_err("too long");
    let cases = [
        (Definition { window: window(-20, -10), ..definition() }, DefinitionError::Window(WindowError::EndsInPast)),
        (Definition { window: window(-20, 0), ..definition() }, DefinitionError::Window(WindowError::EndsInPast)),
        (Definition { close_on_target: true, ..definition() }, DefinitionError::NoTarget),
        (Definition { target_engagements: Some(0), ..definition() }, DefinitionError::TargetOutOfRange),
        (Definition { target_engagements: Some(1 << 53), ..definition() }, DefinitionError::TargetOutOfRange),
        (Definition { policy: bad_policy, ..definition() }, DefinitionError::Policy(policy_error)),
    ];
    for (definition, error) in cases {
        let refused = World::new().refused(&Command::Create { definition }, 0);
        assert_eq!(refused, Rejection::InvalidDefinition(error));
        assert_eq!(refused.code(), "invalid_campaign");
    }
}

#[test]
fn a_new_window_must_be_in_order_and_end_in_the_future() {
    let mut world = World::in_status(Status::Created);
    assert_eq!(world.refused(&new_window(Some(300), None), 0), Rejection::InvalidWindow(WindowError::OutOfOrder));
    assert_eq!(world.refused(&new_window(None, Some(150)), 150), Rejection::InvalidWindow(WindowError::EndsInPast));
    let disagreeing = update(Changes {
        window: WindowChange { start: None, ends: vec![WindowEnd::At(at(300)), WindowEnd::After(secs(300))] },
        ..Changes::default()
    });
    assert_eq!(world.refused(&disagreeing, 0), Rejection::InvalidWindow(WindowError::EndsDisagree));
}

#[test]
fn a_running_campaign_may_move_its_end_and_not_its_start() {
    let mut world = World::in_status(Status::Running);
    let refused = world.refused(&new_window(Some(110), Some(300)), 150);
    assert_eq!(refused, Rejection::FieldIsFixed { field: "startTime", status: Status::Running });
    world.must(&new_window(Some(100), Some(300)), 150);
}

#[test]
fn fields_are_fixed_once_their_moment_has_passed() {
    let auto_close = update(Changes { auto_close: Some(false), ..Changes::default() });
    let rewards = update(Changes { rewards_enabled: Some(false), ..Changes::default() });
    for status in [Status::Closed, Status::RewardClaim] {
        let mut world = World::in_status(status);
        let fixed = |field| Rejection::FieldIsFixed { field, status };
        assert_eq!(world.refused(&new_window(None, Some(900)), 400), fixed("endTime"));
        assert_eq!(world.refused(&new_window(Some(101), None), 400), fixed("startTime"));
        assert_eq!(world.refused(&auto_close, 400), fixed("autoClose"));
    }
    World::in_status(Status::Closed).must(&rewards, 210);
    let refused = World::in_status(Status::RewardClaim).refused(&rewards, 600);
    assert_eq!(refused, Rejection::FieldIsFixed { field: "rewardsEnabled", status: Status::RewardClaim });
}

#[test]
fn a_campaign_that_is_over_takes_no_update_and_no_reminder() {
    for status in [Status::Expired, Status::Cancelled] {
        let mut world = World::in_status(status);
        assert_eq!(world.refused(&update(Changes::default()), 60), Rejection::WrongStatus { status });
        assert_eq!(world.refused(&reminder("late", 2_000_000), 60), Rejection::WrongStatus { status });
    }
}

#[test]
fn engagements_count_only_while_running() {
    for status in Status::ALL.into_iter().filter(|s| *s != Status::Running) {
        let refused = World::in_status(status).refused(&Command::RecordEngagements { total: 1 }, 60);
        assert_eq!(refused, Rejection::WrongStatus { status });
    }
}

#[test]
fn nobody_starts_a_campaign_whose_window_is_over() {
    let mut world = World::in_status(Status::Created);
    let over = Rejection::WindowIsOver { end: at(200) };
    assert_eq!(world.refused(&move_to(Status::Running), 200), over);
    let id = world.timer(LifecycleTimer::Start).id;
    assert_eq!(world.refused(&operator_fires(id), 200), over);
    world.must(&move_to(Status::Running), 199);
}

#[test]
fn a_timer_that_is_unknown_or_already_gone_cannot_fire_or_be_deleted() {
    let mut world = World::in_status(Status::Created);
    let start = world.timer(LifecycleTimer::Start).id;
    world.must(&clock_fires(start), 100);
    for id in [start, TimerId(Uuid::from_u128(999))] {
        for command in [clock_fires(id), operator_fires(id), Command::CancelTimer { id }] {
            assert_eq!(world.refused(&command, 150), Rejection::UnknownTimer);
        }
    }
}

#[test]
fn the_clock_fires_nothing_early() {
    let mut world = World::in_status(Status::Created);
    let id = world.timer(LifecycleTimer::Start).id;
    let early = world.send_at(&clock_fires(id), None, at(100) - chrono::TimeDelta::microseconds(1));
    assert_eq!(early, Err(Rejection::TimerNotDue { due: at(100) }));
    assert!(world.send_at(&clock_fires(id), None, at(100)).is_ok(), "due means at its instant, not after it");
}

#[test]
fn an_operator_may_help_an_overdue_expiry_along_and_not_bring_it_forward() {
    for status in [Status::Created, Status::Running, Status::Closed, Status::RewardClaim] {
        let mut world = World::in_status(status);
        let timer = world.timer(LifecycleTimer::Expire).clone();
        let early = world.send_at(&operator_fires(timer.id), None, timer.due - secs(1));
        assert_eq!(early, Err(Rejection::TimerNotDue { due: timer.due }));
        assert!(world.send_at(&operator_fires(timer.id), None, timer.due).is_ok());
        assert_eq!(world.campaign().status(), Status::Expired);
    }
}

#[test]
fn a_step_of_the_plan_cannot_be_deleted() {
    for status in [Status::Created, Status::Running, Status::Closed, Status::RewardClaim] {
        let mut world = World::in_status(status);
        for timer in world.campaign().timers.clone() {
            let command = Command::CancelTimer { id: timer.id };
            if timer.kind.lifecycle() == Some(LifecycleTimer::RewardReminder) {
                world.must(&command, 600);
            } else {
                assert_eq!(world.refused(&command, 150), Rejection::TimerIsPlanned { kind: timer.kind.as_str() });
            }
        }
    }
}

#[test]
fn a_reminder_lies_in_the_future_and_within_366_days() {
    let mut world = World::in_status(Status::Created);
    let year = 366 * 86_400;
    for seconds in [-1, 0, year + 1] {
        assert_eq!(world.refused(&reminder("n", seconds), 0), Rejection::TimerOutOfRange);
    }
    world.must(&reminder("soon", 1), 0);
    world.must(&reminder("late", year), 0);
}

#[test]
fn a_campaign_has_at_most_its_limit_of_reminders() {
    let mut world = World::in_status(Status::Created);
    for i in 0..MAX_REMINDERS {
        world.must(&reminder(&format!("n{i}"), 10), 0);
    }
    assert_eq!(world.refused(&reminder("more", 10), 0), Rejection::TooManyTimers { limit: MAX_REMINDERS });
    let first = world.reminder("n0").id;
    world.must(&clock_fires(first), 10);
    world.must(&reminder("more", 20), 10);
}

#[test]
fn every_rejection_has_a_code_of_its_own() {
    let at = at(0);
    let status = Status::Closed;
    let policy = PolicyOverrides { reward_claim_seconds: Some(u32::MAX), ..PolicyOverrides::default() };
    let all = [
        Rejection::UnknownCampaign,
        Rejection::AlreadyExists,
        Rejection::VersionMismatch { expected: 1, actual: 2 },
        Rejection::TransitionNotAllowed { from: status, to: status, trigger: Trigger::Target },
        Rejection::InvalidDefinition(policy.check().expect_err("too long").into()),
        Rejection::InvalidWindow(WindowError::NoEnd),
        Rejection::FieldIsFixed { field: "autoClose", status },
        Rejection::WrongStatus { status },
        Rejection::WindowIsOver { end: at },
        Rejection::UnknownTimer,
        Rejection::TimerNotDue { due: at },
        Rejection::TimerIsPlanned { kind: "CLOSE_CAMPAIGN" },
        Rejection::TimerNameTaken,
        Rejection::TimerOutOfRange,
        Rejection::TooManyTimers { limit: 1 },
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(Rejection::code).collect();
    assert_eq!(codes.len(), all.len());
    assert!(all.iter().all(|r| !r.to_string().is_empty()));
}
