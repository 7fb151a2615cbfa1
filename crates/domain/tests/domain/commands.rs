//! Creating again, and counting engagements towards a target.

use domain::{
    Changes, Command, Definition, Event, JsonText, Misfire, MisfireRules, OwnerId, PolicyOverrides, Rejection, Status,
    Trigger, WindowChange, WindowEnd,
};

use crate::world::{World, at, definition, update, window};

fn create(definition: Definition) -> Command {
    Command::Create { definition }
}

#[test]
fn an_equal_create_is_unchanged_in_every_status() {
    for status in Status::ALL {
        World::in_status(status).unchanged(&create(definition()), 50);
    }
}

#[test]
fn an_equal_create_is_unchanged_after_its_window_and_after_updates() {
    let mut world = World::in_status(Status::Created);
    let ends = vec![WindowEnd::At(at(900))];
    let changes = Changes { window: WindowChange { start: None, ends }, ..Changes::default() };
    world.must(&update(changes), 50);
    world.must(&update(Changes { auto_close: Some(false), ..Changes::default() }), 51);
    world.unchanged(&create(definition()), 60);
    world.unchanged(&create(definition()), 5_000);
    let as_updated = world.campaign().definition.clone();
    assert_eq!(world.refused(&create(as_updated), 60), Rejection::AlreadyExists);
}

#[test]
fn a_create_that_differs_in_anything_is_a_conflict() {
    let metadata = JsonText::new(r#"{"a":1}"#).expect("small");
    let policy = PolicyOverrides { closed_expiry_seconds: Some(1), ..PolicyOverrides::default() };
    let different = [
        Definition { window: window(100, 201), ..definition() },
        Definition { auto_close: false, ..definition() },
        Definition { rewards_enabled: false, ..definition() },
        Definition { target_engagements: Some(5), ..definition() },
        Definition { target_engagements: Some(5), close_on_target: true, ..definition() },
        Definition { owner: Some(OwnerId::parse("o").expect("an id")), ..definition() },
        Definition { policy, ..definition() },
        Definition { metadata, ..definition() },
    ];
    let mut world = World::in_status(Status::Created);
    for definition in different {
        assert_eq!(world.refused(&create(definition), 50), Rejection::AlreadyExists);
    }
    assert_eq!(Rejection::AlreadyExists.code(), "conflict");
}

#[test]
fn a_campaign_created_inside_its_window_starts_at_once_and_is_not_late() {
    let mut world = World::new();
    let misfire = MisfireRules { start: Some(Misfire::Skip), ..MisfireRules::default() };
    let impatient = PolicyOverrides { reminder_max_late_seconds: Some(0), misfire, ..PolicyOverrides::default() };
    world.must(&create(Definition { policy: impatient, ..definition() }), 150);
    let start = world.campaign().next_timer().expect("it starts").clone();
    assert_eq!(start.due, at(150), "nothing is due before it was planned");
    world.must(&crate::world::clock_fires(start.id), 150);
    assert_eq!(world.campaign().status(), Status::Running);
}

#[test]
fn reaching_the_target_closes_a_campaign_that_asks_for_it() {
    let wishes = Definition { target_engagements: Some(10), close_on_target: true, ..definition() };
    let mut world = World::with(wishes).moved_to(Status::Running);
    assert_eq!(world.must(&Command::RecordEngagements { total: 9 }, 120).len(), 1);
    let events = world.must(&Command::RecordEngagements { total: 12 }, 130);
    let [Event::EngagementsRecorded { total: 12 }, Event::TargetReached { total: 12, target: 10 }, last] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert!(matches!(last, Event::StatusChanged { to: Status::Closed, trigger: Trigger::Target, timer: None, .. }));
    assert_eq!(world.campaign().status(), Status::Closed);
    assert_eq!(world.campaign().version, 6, "each event is a step of its own");
}

#[test]
fn reaching_the_target_is_told_once_and_closes_nothing_that_does_not_ask() {
    let wishes = Definition { target_engagements: Some(10), ..definition() };
    let mut world = World::with(wishes).moved_to(Status::Running);
    let events = world.must(&Command::RecordEngagements { total: 10 }, 120);
    assert_eq!(events.len(), 2);
    assert!(world.campaign().target_reached);
    assert_eq!(world.must(&Command::RecordEngagements { total: 20 }, 130), [Event::EngagementsRecorded { total: 20 }]);
    assert_eq!(world.campaign().status(), Status::Running);
}

#[test]
fn a_total_that_is_not_higher_than_the_known_one_changes_nothing() {
    let mut world = World::in_status(Status::Running);
    world.must(&Command::RecordEngagements { total: 5 }, 120);
    world.unchanged(&Command::RecordEngagements { total: 5 }, 121);
    world.unchanged(&Command::RecordEngagements { total: 4 }, 122);
    assert_eq!(world.campaign().engagements, 5);
}
