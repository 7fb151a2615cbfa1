//! The timers that each status has, overrides, reschedules and generations.

use domain::{
    Changes, Command, Definition, LifecycleTimer, Misfire, MisfireRules, Policy, PolicyOverrides, Rejection, Status,
    WindowChange, WindowEnd,
};

use crate::world::{World, at, clock_fires, definition, name, operator_fires, secs, update};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

pub(crate) fn window_change(start: Option<i64>, end: Option<i64>) -> Command {
    let ends = end.map(|end| WindowEnd::At(at(end))).into_iter().collect();
    update(Changes { window: WindowChange { start: start.map(at), ends }, ..Changes::default() })
}

#[test]
fn every_status_has_the_timers_of_the_default_policy() {
    use LifecycleTimer::{Close, Expire, OpenRewardClaim, RewardReminder, Start};
    let pending = |status| World::in_status(status).pending();
    assert_eq!(pending(Status::Created), [(Start, 100), (Expire, 200 + HOUR)]);
    assert_eq!(pending(Status::Running), [(Close, 200), (Expire, 200 + 2 * HOUR)]);
    assert_eq!(pending(Status::Closed), [(OpenRewardClaim, 200 + 300), (Expire, 200 + 2 * DAY)]);
    assert_eq!(pending(Status::RewardClaim), [(RewardReminder, 500 + 6 * DAY), (Expire, 500 + 7 * DAY)]);
    assert_eq!(pending(Status::Expired), []);
    assert_eq!(pending(Status::Cancelled), []);
}

#[test]
fn every_wait_can_be_overridden() {
    use LifecycleTimer::{Close, Expire, OpenRewardClaim, RewardReminder, Start};
    let policy = PolicyOverrides {
        created_expiry_seconds: Some(1),
        running_expiry_seconds: Some(2),
        reward_claim_delay_seconds: Some(3),
        closed_expiry_seconds: Some(40),
        reward_claim_seconds: Some(50),
        reminder_lead_seconds: Some(6),
        ..PolicyOverrides::default()
    };
    let pending = |status| World::with(Definition { policy, ..definition() }).moved_to(status).pending();
    assert_eq!(pending(Status::Created), [(Start, 100), (Expire, 201)]);
    assert_eq!(pending(Status::Running), [(Close, 200), (Expire, 202)]);
    assert_eq!(pending(Status::Closed), [(OpenRewardClaim, 203), (Expire, 240)]);
    assert_eq!(pending(Status::RewardClaim), [(RewardReminder, 203 + 44), (Expire, 203 + 50)]);
}

#[test]
fn without_auto_close_nothing_closes_it_and_without_rewards_nothing_opens_a_claim() {
    let quiet = Definition { auto_close: false, rewards_enabled: false, ..definition() };
    let mut world = World::with(quiet).moved_to(Status::Running);
    assert_eq!(world.pending(), [(LifecycleTimer::Expire, 200 + 2 * HOUR)]);
    world.must(&crate::world::move_to(Status::Closed), 150);
    assert_eq!(world.pending(), [(LifecycleTimer::Expire, 150 + 2 * DAY)]);
}

#[test]
fn a_claim_shorter_than_the_lead_has_no_reminder() {
    for (claim, reminders) in [(10, 0), (11, 1)] {
        let policy = PolicyOverrides {
            reward_claim_seconds: Some(claim),
            reminder_lead_seconds: Some(10),
            ..PolicyOverrides::default()
        };
        let world = World::with(Definition { policy, ..definition() }).moved_to(Status::RewardClaim);
        assert_eq!(world.pending().len(), reminders + 1);
    }
}

#[test]
fn a_campaigns_own_policy_lies_over_its_tenants_and_stays_as_it_was_created() {
    let mut world = World::new();
    world.policy = Policy { created_expiry: secs(5), running_expiry: secs(7), ..Policy::default() };
    world.policy.misfire.start = Some(Misfire::Hold);
    let policy = PolicyOverrides {
        running_expiry_seconds: Some(9),
        misfire: MisfireRules { close: Some(Misfire::Skip), ..MisfireRules::default() },
        ..PolicyOverrides::default()
    };
    world.must(&Command::Create { definition: Definition { policy, ..definition() } }, 0);
    let effective = world.campaign().policy;
    assert_eq!((effective.created_expiry, effective.running_expiry), (secs(5), secs(9)));
    assert_eq!(effective.misfire.of(LifecycleTimer::Start), Misfire::Hold);
    assert_eq!(effective.misfire.of(LifecycleTimer::Close), Misfire::Skip);
    world.policy = Policy { running_expiry: secs(1_000), ..Policy::default() };
    let world = world.moved_to(Status::Running);
    assert_eq!(world.campaign().policy, effective);
    assert_eq!(world.pending(), [(LifecycleTimer::Close, 200), (LifecycleTimer::Expire, 209)]);
}

#[test]
fn a_reschedule_arms_new_timers_and_the_old_ones_can_never_fire() {
    let mut world = World::in_status(Status::Created);
    let old: Vec<_> = world.campaign().timers.clone();
    world.must(&window_change(Some(300), Some(400)), 50);
    assert_eq!(world.pending(), [(LifecycleTimer::Start, 300), (LifecycleTimer::Expire, 400 + HOUR)]);
    assert_eq!(world.campaign().generation, 2);
    assert!(world.campaign().timers.iter().all(|t| t.generation == 2));
    for timer in old {
        assert_eq!(world.refused(&clock_fires(timer.id), 100_000), Rejection::UnknownTimer);
        assert_eq!(world.refused(&operator_fires(timer.id), 100_000), Rejection::UnknownTimer);
    }
    assert_eq!(world.campaign().status(), Status::Created);
}

#[test]
fn every_change_of_status_begins_a_new_generation() {
    let mut world = World::in_status(Status::Running);
    let old = world.campaign().timers.clone();
    world.must(&crate::world::move_to(Status::Closed), 150);
    assert!(old.iter().all(|t| world.campaign().timer(t.id).is_none()));
    assert!(world.campaign().timers.iter().all(|t| t.generation == world.campaign().version));
}

#[test]
fn a_running_campaign_can_end_later_or_earlier_but_not_in_the_past() {
    let mut world = World::in_status(Status::Running);
    world.must(&window_change(None, Some(900)), 150);
    assert_eq!(world.pending(), [(LifecycleTimer::Close, 900), (LifecycleTimer::Expire, 900 + 2 * HOUR)]);
    world.must(&window_change(None, Some(160)), 150);
    assert_eq!(world.pending(), [(LifecycleTimer::Close, 160), (LifecycleTimer::Expire, 160 + 2 * HOUR)]);
    assert!(world.send(&window_change(None, Some(149)), 150).is_err());
}

#[test]
fn a_duration_counts_from_the_start_that_the_window_then_has() {
    let lasting = |start: Option<i64>, seconds: i64| {
        let window = WindowChange { start: start.map(at), ends: vec![WindowEnd::After(secs(seconds))] };
        update(Changes { window, ..Changes::default() })
    };
    let mut world = World::in_status(Status::Created);
    world.must(&lasting(Some(120), 60), 0);
    assert_eq!(world.campaign().definition.window, crate::world::window(120, 180));
    world.must(&lasting(None, 70), 0);
    assert_eq!(world.campaign().definition.window, crate::world::window(120, 190));
}

#[test]
fn switching_auto_close_and_rewards_changes_the_plan() {
    let switch = |auto_close, rewards_enabled| update(Changes { auto_close, rewards_enabled, ..Changes::default() });
    let mut world = World::in_status(Status::Running);
    world.must(&switch(Some(false), None), 150);
    assert_eq!(world.pending(), [(LifecycleTimer::Expire, 200 + 2 * HOUR)]);
    world.must(&switch(Some(true), Some(false)), 150);
    let mut world = world.moved_to(Status::Closed);
    assert_eq!(world.pending(), [(LifecycleTimer::Expire, 200 + 2 * DAY)]);
    world.must(&switch(None, Some(true)), 210);
    assert_eq!(world.pending(), [(LifecycleTimer::OpenRewardClaim, 500), (LifecycleTimer::Expire, 200 + 2 * DAY)]);
}

#[test]
fn reminders_survive_a_reschedule_and_a_change_of_status_and_die_with_the_campaign() {
    let mut world = World::in_status(Status::Created);
    world.must(&Command::ScheduleReminder { name: name("n"), at: at(5_000), payload: None }, 0);
    let reminder = world.reminder("n").clone();
    world.must(&window_change(Some(300), Some(400)), 50);
    world.must(&crate::world::move_to(Status::Running), 60);
    assert_eq!(world.reminder("n"), &reminder);
    world.must(&crate::world::move_to(Status::Cancelled), 70);
    assert!(world.campaign().timers.is_empty());
    assert_eq!(world.refused(&clock_fires(reminder.id), 6_000), Rejection::UnknownTimer);
}

#[test]
fn what_says_nothing_new_is_unchanged_and_arms_nothing() {
    let mut world = World::in_status(Status::Created);
    let timers = world.campaign().timers.clone();
    world.unchanged(&update(Changes::default()), 50);
    world.unchanged(&window_change(Some(100), Some(200)), 50);
    let same = Changes { auto_close: Some(true), rewards_enabled: Some(true), ..Changes::default() };
    world.unchanged(&update(same), 50);
    let metadata = domain::JsonText::new(r#"{"a":1}"#).expect("small");
    world.must(&update(Changes { metadata: Some(metadata), ..Changes::default() }), 50);
    assert_eq!(world.campaign().timers, timers, "metadata moves no timer");
    assert_eq!(world.campaign().version, 2);
}
