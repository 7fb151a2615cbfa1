//! CUSTOM reminders, and what operators do with timers.

use domain::{Command, Event, Firing, JsonText, LifecycleTimer, Rejection, Status};

use crate::world::{World, at, clock_fires, name, operator_fires};

fn reminder(seconds: i64, payload: Option<&str>) -> Command {
    let payload = payload.map(|text| JsonText::new(text).expect("small"));
    Command::ScheduleReminder { name: name("n"), at: at(seconds), payload }
}

#[test]
fn a_reminder_fires_once_in_every_status_that_is_not_terminal() {
    for status in [Status::Created, Status::Running, Status::Closed, Status::RewardClaim] {
        let mut world = World::in_status(status);
        world.must(&reminder(1_000, Some(r#"{"to":"owner"}"#)), 600);
        let timer = world.reminder("n").clone();
        let events = world.must(&clock_fires(timer.id), 1_000);
        assert_eq!(events, [Event::ReminderFired { timer: timer.clone(), by: Firing::Clock }]);
        assert_eq!(world.campaign().status(), status);
        assert_eq!(world.refused(&clock_fires(timer.id), 1_001), Rejection::UnknownTimer);
    }
}

#[test]
fn an_equal_reminder_is_unchanged_and_a_different_one_needs_another_name() {
    let mut world = World::in_status(Status::Created);
    world.must(&reminder(50, Some("{}")), 0);
    world.unchanged(&reminder(50, Some("{}")), 10);
    world.unchanged(&reminder(50, Some("{}")), 60);
    for other in [reminder(51, Some("{}")), reminder(50, None), reminder(50, Some(r#"{"a":1}"#))] {
        assert_eq!(world.refused(&other, 10), Rejection::TimerNameTaken);
    }
    assert_eq!(world.campaign().version, 2);
}

#[test]
fn a_name_is_free_again_once_its_reminder_fired_or_was_deleted() {
    let mut world = World::in_status(Status::Created);
    world.must(&reminder(50, None), 0);
    let id = world.reminder("n").id;
    world.must(&clock_fires(id), 50);
    world.must(&reminder(70, None), 50);
    let id = world.reminder("n").id;
    let events = world.must(&Command::CancelTimer { id }, 60);
    assert!(matches!(events[..], [Event::ReminderCancelled { .. }]));
    world.must(&reminder(90, None), 60);
}

#[test]
fn an_operator_may_execute_a_reminder_early() {
    let mut world = World::in_status(Status::Created);
    world.must(&reminder(50, None), 0);
    let id = world.reminder("n").id;
    let events = world.must(&operator_fires(id), 1);
    assert!(matches!(events[..], [Event::ReminderFired { by: Firing::Operator, .. }]));
}

#[test]
fn the_reward_reminder_can_be_deleted_and_stays_deleted() {
    let mut world = World::in_status(Status::RewardClaim);
    let id = world.timer(LifecycleTimer::RewardReminder).id;
    world.must(&Command::CancelTimer { id }, 600);
    let metadata = JsonText::new(r#"{"a":1}"#).expect("small");
    world.must(&crate::world::update(domain::Changes { metadata: Some(metadata), ..domain::Changes::default() }), 700);
    assert_eq!(world.pending().len(), 1, "only the expiry is left");
}

#[test]
fn the_reward_reminder_leaves_the_expiry_where_it_was() {
    let mut world = World::in_status(Status::RewardClaim);
    let expire = world.timer(LifecycleTimer::Expire).clone();
    let reminder = world.timer(LifecycleTimer::RewardReminder).clone();
    world.send_at(&clock_fires(reminder.id), None, reminder.due).expect("it is due");
    assert_eq!(world.campaign().timers, [expire]);
}
