//! The future of a campaign, played by the domain itself.

mod support;

use chrono::TimeDelta;
use domain::{LifecycleTimer, Policy, Rejection, Status, TimerKind, Window};
use lifecycle_application::Timeline;
use support::{definition, epoch, key};

#[test]
fn a_new_campaign_lives_through_every_status_at_the_planned_instants() {
    let definition = definition();
    let timeline = Timeline::of_new(&key("a"), &definition, &Policy::default(), epoch()).expect("a valid campaign");
    let start = definition.window.start();
    let close = definition.window.end();
    let open = close + TimeDelta::minutes(5);
    let expected = [
        (start, LifecycleTimer::Start, Some(Status::Running)),
        (close, LifecycleTimer::Close, Some(Status::Closed)),
        (open, LifecycleTimer::OpenRewardClaim, Some(Status::RewardClaim)),
        (open + TimeDelta::days(6), LifecycleTimer::RewardReminder, None),
        (open + TimeDelta::days(7), LifecycleTimer::Expire, Some(Status::Expired)),
    ];
    let entries: Vec<_> = timeline.entries.iter().map(|e| (e.at, e.timer.clone(), e.status)).collect();
    let expected = expected.map(|(at, kind, status)| (at, TimerKind::Lifecycle(kind), status));
    assert_eq!(entries, expected);
}

#[test]
fn a_campaign_that_nobody_closes_expires_after_its_grace() {
    let mut definition = definition();
    definition.auto_close = false;
    let timeline = Timeline::of_new(&key("a"), &definition, &Policy::default(), epoch()).expect("a valid campaign");
    let last = timeline.entries.last().expect("it ends");
    assert_eq!(last.at, definition.window.end() + TimeDelta::hours(2));
    assert_eq!(last.status, Some(Status::Expired));
    assert_eq!(timeline.entries.len(), 2);
}

#[test]
fn a_dry_run_is_refused_as_the_create_would_be() {
    let mut definition = definition();
    let past = epoch() - TimeDelta::hours(2);
    definition.window = Window::new(past, past + TimeDelta::hours(1)).expect("in order");
    let refused = Timeline::of_new(&key("a"), &definition, &Policy::default(), epoch());
    assert!(matches!(refused, Err(Rejection::InvalidDefinition(_))));
}
