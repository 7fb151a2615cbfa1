//! Timers that come late: no step is lost, and what people rely on counts from what really happened.

use domain::{
    Command, Definition, Event, LifecycleTimer, Misfire, MisfireRules, Policy, PolicyOverrides, Rejection, SkipReason,
    Status, Timer, plan,
};

use crate::world::{World, at, clock_fires, definition, move_to, name, operator_fires, secs};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A window long enough to be hours late in: 100 s to 10 h.
fn long_definition(misfire: MisfireRules) -> Definition {
    let window = crate::world::window(100, 10 * HOUR);
    Definition { window, policy: PolicyOverrides { misfire, ..PolicyOverrides::default() }, ..definition() }
}

fn skipped(timer: Timer, reason: SkipReason) -> Vec<Event> {
    vec![Event::TimerSkipped { timer, reason }]
}

#[test]
fn a_late_start_starts_while_the_window_is_open() {
    let mut world = World::with(long_definition(MisfireRules::default()));
    let start = world.timer(LifecycleTimer::Start).id;
    world.must(&clock_fires(start), 10 * HOUR - 1);
    assert_eq!(world.campaign().status(), Status::Running);
    assert_eq!(world.pending(), [(LifecycleTimer::Close, 10 * HOUR), (LifecycleTimer::Expire, 12 * HOUR)]);
}

#[test]
fn a_start_after_the_window_is_skipped_and_the_campaign_expires() {
    let mut world = World::in_status(Status::Created);
    let start = world.timer(LifecycleTimer::Start).clone();
    assert_eq!(world.must(&clock_fires(start.id), 200), skipped(start, SkipReason::WindowOver));
    assert_eq!(world.campaign().status(), Status::Created);
    assert_eq!(world.pending(), [(LifecycleTimer::Expire, 200 + HOUR)]);
    let world = world.moved_to(Status::Expired);
    assert_eq!(world.campaign().updated_at, at(200 + HOUR));
}

#[test]
fn a_skipped_start_is_armed_again_when_the_window_moves() {
    let mut world = World::in_status(Status::Created);
    let start = world.timer(LifecycleTimer::Start).id;
    world.must(&clock_fires(start), 250);
    world.must(&crate::plans::window_change(Some(300), Some(400)), 260);
    assert_eq!(world.pending(), [(LifecycleTimer::Start, 300), (LifecycleTimer::Expire, 400 + HOUR)]);
}

#[test]
fn when_close_and_expiry_are_both_overdue_the_close_comes_first_and_rewards_follow() {
    let mut world = World::in_status(Status::Running);
    let now = 200 + 5 * HOUR;
    let expire = world.timer(LifecycleTimer::Expire).id;
    let next = world.campaign().next_timer().expect("two are due").clone();
    assert_eq!(next.kind.lifecycle(), Some(LifecycleTimer::Close));
    world.must(&clock_fires(next.id), now);
    assert_eq!(world.campaign().status(), Status::Closed);
    assert_eq!(world.refused(&clock_fires(expire), now), Rejection::UnknownTimer, "the old expiry died with the close");
    assert_eq!(
        world.pending(),
        [(LifecycleTimer::OpenRewardClaim, now + 300), (LifecycleTimer::Expire, now + 2 * DAY)]
    );
}

#[test]
fn among_timers_due_at_one_instant_the_step_of_life_goes_before_the_expiry() {
    let policy = PolicyOverrides {
        running_expiry_seconds: Some(0),
        reward_claim_delay_seconds: Some(60),
        closed_expiry_seconds: Some(60),
        ..PolicyOverrides::default()
    };
    let world = World::with(Definition { policy, ..definition() });
    let world = world.moved_to(Status::Running);
    assert_eq!(world.pending(), [(LifecycleTimer::Close, 200), (LifecycleTimer::Expire, 200)]);
    let mut ids: Vec<_> = world.campaign().timers.iter().map(|t| (t.due, t.id)).collect();
    ids.sort_unstable();
    let first = world.campaign().next_timer().expect("two are due");
    assert_eq!(first.kind.lifecycle(), Some(LifecycleTimer::Close));
    assert_eq!(ids[0].1, first.id, "a store that orders by due time and id fires in the same order");
    let world = world.moved_to(Status::RewardClaim);
    assert_eq!(
        world.campaign().status(),
        Status::RewardClaim,
        "closed and opened, though every expiry was due as well"
    );
}

#[test]
fn an_outage_never_shortens_the_claim_window() {
    let mut world = World::in_status(Status::Closed);
    let late = 200 + DAY;
    let open = world.timer(LifecycleTimer::OpenRewardClaim).id;
    world.must(&clock_fires(open), late);
    assert_eq!(
        world.pending(),
        [(LifecycleTimer::RewardReminder, late + 6 * DAY), (LifecycleTimer::Expire, late + 7 * DAY)]
    );
}

#[test]
fn the_wait_before_the_claim_counts_from_the_real_close() {
    let mut world = World::in_status(Status::Running);
    let close = world.timer(LifecycleTimer::Close).id;
    world.must(&clock_fires(close), 200 + DAY);
    assert_eq!(
        world.pending(),
        [(LifecycleTimer::OpenRewardClaim, 200 + DAY + 300), (LifecycleTimer::Expire, 200 + 3 * DAY)]
    );
}

#[test]
fn a_reminder_is_sent_up_to_an_hour_late_and_then_skipped_and_recorded() {
    let sent = |late: i64| {
        let mut world = World::in_status(Status::RewardClaim);
        let reminder = world.timer(LifecycleTimer::RewardReminder).clone();
        let events = world.send_at(&clock_fires(reminder.id), None, reminder.due + secs(late)).expect("it is due");
        assert_eq!(world.pending().len(), 1, "either way it is done");
        (events, reminder)
    };
    let (events, _) = sent(HOUR);
    assert!(matches!(events[..], [Event::ReminderFired { .. }]));
    let (events, reminder) = sent(HOUR + 1);
    assert_eq!(events, skipped(reminder, SkipReason::TooLate));
}

#[test]
fn a_custom_reminder_follows_the_same_rule() {
    for (late, fires) in [(HOUR, true), (HOUR + 1, false)] {
        let mut world = World::in_status(Status::Created);
        world.must(&Command::ScheduleReminder { name: name("n"), at: at(10), payload: None }, 0);
        let id = world.reminder("n").id;
        let events = world.must(&clock_fires(id), 10 + late);
        assert_eq!(matches!(events[..], [Event::ReminderFired { .. }]), fires);
        assert!(world.campaign().timer(id).is_none());
    }
}

#[test]
fn steps_fire_however_late_and_reminders_are_skipped_unless_the_policy_says_otherwise() {
    let rules = MisfireRules::default();
    for kind in LifecycleTimer::ALL {
        let expected = if kind == LifecycleTimer::RewardReminder { Misfire::Skip } else { Misfire::Fire };
        assert_eq!(rules.of(kind), expected);
    }
    assert_eq!(rules.of_custom(), Misfire::Skip);
}

fn every_kind(rule: Misfire) -> MisfireRules {
    let rule = Some(rule);
    MisfireRules {
        start: rule,
        close: rule,
        open_reward_claim: rule,
        reward_reminder: rule,
        expire: rule,
        custom: rule,
    }
}

/// For each kind: a world where it is pending, and the timer.
fn worlds(rule: Misfire) -> Vec<(World, Timer)> {
    let homes = [
        (Status::Created, LifecycleTimer::Start),
        (Status::Running, LifecycleTimer::Close),
        (Status::Closed, LifecycleTimer::OpenRewardClaim),
        (Status::RewardClaim, LifecycleTimer::RewardReminder),
        (Status::RewardClaim, LifecycleTimer::Expire),
    ];
    let mut worlds: Vec<_> = homes
        .into_iter()
        .map(|(status, kind)| {
            let world = World::with(long_definition(every_kind(rule))).moved_to(status);
            let timer = world.timer(kind).clone();
            (world, timer)
        })
        .collect();
    let mut world = World::with(long_definition(every_kind(rule)));
    world.must(&Command::ScheduleReminder { name: name("n"), at: at(10), payload: None }, 0);
    let timer = world.reminder("n").clone();
    worlds.push((world, timer));
    worlds
}

#[test]
fn the_rule_fire_fires_every_kind_however_late() {
    for (mut world, timer) in worlds(Misfire::Fire) {
        let events = world.send_at(&clock_fires(timer.id), None, timer.due + secs(2 * HOUR)).expect("it is due");
        assert_eq!(events[0].settled_timer(), Some(&timer));
        assert!(!matches!(events[0], Event::TimerSkipped { .. }), "{:?}", timer.kind);
    }
}

#[test]
fn the_rule_skip_records_every_kind_and_leaves_the_status() {
    for (mut world, timer) in worlds(Misfire::Skip) {
        let status = world.campaign().status();
        let events = world.send_at(&clock_fires(timer.id), None, timer.due + secs(2 * HOUR)).expect("it is due");
        assert_eq!(events, skipped(timer.clone(), SkipReason::TooLate));
        assert_eq!(world.campaign().status(), status);
        assert!(world.campaign().timer(timer.id).is_none());
        assert!(plan(world.campaign()).iter().all(|p| Some(p.kind) != timer.kind.lifecycle()), "it is not armed again");
    }
}

#[test]
fn the_rule_hold_keeps_every_kind_until_an_operator_executes_it() {
    for (mut world, timer) in worlds(Misfire::Hold) {
        let late = timer.due + secs(2 * HOUR);
        let events = world.send_at(&clock_fires(timer.id), None, late).expect("it is due");
        assert_eq!(events, [Event::TimerHeld { timer: timer.clone() }]);
        assert_eq!(world.campaign().timer(timer.id), Some(&timer), "a held timer is still pending");
        assert_ne!(world.campaign().next_timer(), Some(&timer), "and the clock passes it by");
        assert_eq!(world.send_at(&clock_fires(timer.id), None, late), Ok(Vec::new()));
        let events = world.send_at(&operator_fires(timer.id), None, late).expect("an operator may");
        assert_eq!(events[0].settled_timer(), Some(&timer));
        assert!(world.campaign().held.is_empty());
    }
}

#[test]
fn a_timer_within_the_allowed_lateness_is_no_misfire() {
    for rule in [Misfire::Skip, Misfire::Hold] {
        for (mut world, timer) in worlds(rule) {
            let events = world.send_at(&clock_fires(timer.id), None, timer.due + secs(HOUR)).expect("it is due");
            assert!(!matches!(events[0], Event::TimerSkipped { .. } | Event::TimerHeld { .. }), "{:?}", timer.kind);
        }
    }
}

#[test]
fn a_held_timer_dies_when_the_campaign_moves_on_without_it() {
    let rules = MisfireRules { close: Some(Misfire::Hold), ..MisfireRules::default() };
    let mut world = World::with(long_definition(rules)).moved_to(Status::Running);
    let close = world.timer(LifecycleTimer::Close).id;
    world.must(&clock_fires(close), 11 * HOUR + 1);
    world.must(&move_to(Status::Closed), 11 * HOUR + 2);
    assert!(world.campaign().held.is_empty());
    assert_eq!(world.refused(&operator_fires(close), 11 * HOUR + 3), Rejection::UnknownTimer);
}

#[test]
fn the_allowed_lateness_is_the_campaigns_own() {
    let policy = PolicyOverrides { reminder_max_late_seconds: Some(10), ..PolicyOverrides::default() };
    let mut world = World::with(Definition { policy, ..definition() });
    assert_eq!(world.campaign().policy, Policy { reminder_max_late: secs(10), ..Policy::default() });
    world.must(&Command::ScheduleReminder { name: name("n"), at: at(10), payload: None }, 0);
    let id = world.reminder("n").id;
    assert!(matches!(world.must(&clock_fires(id), 21)[..], [Event::TimerSkipped { .. }]));
}
