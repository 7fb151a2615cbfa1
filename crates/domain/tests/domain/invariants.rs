//! The checks can fail: for each invariant one corruption that must be reported.

use domain::invariants::{Invariant, check_campaign, check_command, check_positions};
use domain::{Event, LifecycleTimer, Status, Timer, TimerId, TimerKind, Trigger};
use uuid::Uuid;

use crate::world::{World, at, secs};

fn reported(world: &World) -> Vec<Invariant> {
    check_campaign(world.campaign(), &world.log, &world.table, &[]).iter().map(|v| v.invariant).collect()
}

fn sound(status: Status) -> World {
    let world = World::in_status(status);
    assert_eq!(reported(&world), [], "the world is sound before it is corrupted");
    world
}

fn campaign(world: &mut World) -> &mut domain::Campaign {
    world.state.as_mut().expect("the campaign exists")
}

#[test]
fn inv_1_a_state_that_is_not_the_fold_of_its_log_is_reported() {
    let mut world = sound(Status::Running);
    campaign(&mut world).engagements += 1;
    assert_eq!(reported(&world), [Invariant::StateIsFold]);
    let mut world = sound(Status::Running);
    campaign(&mut world).updated_at += secs(1);
    assert_eq!(reported(&world), [Invariant::StateIsFold]);
    let mut world = sound(Status::Running);
    world.log.pop();
    assert_eq!(reported(&world), [Invariant::StateIsFold]);
    world.log.clear();
    assert_eq!(reported(&world), [Invariant::StateIsFold]);
}

#[test]
fn inv_2_a_step_that_is_no_row_of_the_table_is_reported() {
    let mut world = sound(Status::Closed);
    let step = world.log.last_mut().expect("it was closed");
    let Event::StatusChanged { trigger, .. } = &mut step.event else { panic!("{step:?}") };
    *trigger = Trigger::Producer;
    assert_eq!(reported(&world), [Invariant::StepsInTable]);
    let mut world = sound(Status::Closed);
    let step = world.log.last_mut().expect("it was closed");
    let Event::StatusChanged { from, .. } = &mut step.event else { panic!("{step:?}") };
    *from = Status::Created;
    assert_eq!(reported(&world), [Invariant::StepsInTable]);
}

#[test]
fn inv_2_a_second_beginning_is_reported() {
    let mut world = sound(Status::Running);
    world.log[1].event = world.log[0].event.clone();
    assert!(reported(&world).contains(&Invariant::StepsInTable));
}

#[test]
fn inv_3_a_timer_that_the_table_lost_is_reported() {
    for i in 0..2 {
        let mut world = sound(Status::Running);
        world.table.remove(i);
        assert_eq!(reported(&world), [Invariant::TimersArePlan]);
    }
}

#[test]
fn inv_3_a_timer_in_the_table_that_differs_from_the_campaigns_is_reported() {
    let mut world = sound(Status::Running);
    world.table[0].due += secs(1);
    assert_eq!(reported(&world), [Invariant::TimersArePlan]);
    let mut world = sound(Status::Running);
    world.table[0].generation -= 1;
    assert_eq!(reported(&world), [Invariant::TimersArePlan]);
}

#[test]
fn inv_3_an_armed_timer_that_the_campaign_does_not_know_is_reported() {
    let mut world = sound(Status::Running);
    let stray = Timer { id: TimerId(Uuid::from_u128(99)), ..world.table[0].clone() };
    world.table.push(stray);
    assert_eq!(reported(&world), [Invariant::TimersArePlan]);
}

#[test]
fn inv_3_a_timer_armed_twice_is_reported() {
    let mut world = sound(Status::Running);
    world.table.push(world.table[0].clone());
    assert_eq!(reported(&world), [Invariant::TimersArePlan]);
}

#[test]
fn inv_3_timers_that_are_not_the_plans_are_reported_even_when_log_state_and_table_agree() {
    let late = |timer: &mut Timer| timer.due += secs(1);
    let old = |timer: &mut Timer| timer.generation -= 1;
    let corruptions: [fn(&mut Timer); 2] = [late, old];
    for corrupt in corruptions {
        let mut world = sound(Status::Running);
        corrupt(&mut campaign(&mut world).timers[0]);
        corrupt(&mut world.table[0]);
        corrupt(&mut world.log.last_mut().expect("it was started").armed[0]);
        assert_eq!(reported(&world), [Invariant::TimersArePlan]);
    }
}

#[test]
fn inv_3_a_timer_that_was_given_up_is_accounted_for_and_no_violation() {
    let mut world = sound(Status::Running);
    let given_up = world.table.remove(0).id;
    assert_eq!(check_campaign(world.campaign(), &world.log, &world.table, &[given_up]), []);
}

#[test]
fn inv_4_a_timer_of_a_campaign_that_is_over_is_reported() {
    for status in [Status::Expired, Status::Cancelled] {
        let mut world = sound(status);
        let kind = TimerKind::Lifecycle(LifecycleTimer::Expire);
        let timer = Timer { id: TimerId(Uuid::from_u128(99)), kind, due: at(0), generation: 1, payload: None };
        world.table.push(timer);
        assert_eq!(reported(&world), [Invariant::TerminalHasNone]);
    }
}

#[test]
fn inv_5_a_missing_doubled_or_renumbered_step_is_reported() {
    let mut missing = sound(Status::Closed);
    missing.log.remove(1);
    let mut doubled = sound(Status::Closed);
    doubled.log.insert(1, doubled.log[1].clone());
    let mut renumbered = sound(Status::Closed);
    renumbered.log[2].sequence = 7;
    let mut swapped = sound(Status::Closed);
    swapped.log.swap(1, 2);
    for world in [missing, doubled, renumbered, swapped] {
        assert_eq!(reported(&world), [Invariant::LogHasNoGap]);
    }
}

#[test]
fn inv_6_a_gap_between_positions_is_reported() {
    assert_eq!(check_positions(4, 5), None);
    for position in [4, 6] {
        assert_eq!(check_positions(4, position).map(|v| v.invariant), Some(Invariant::EventsAreKept));
    }
}

#[test]
fn inv_7_a_command_with_two_effects_is_reported() {
    assert_eq!(check_command("t/c", 1), None);
    assert_eq!(check_command("t/c", 2).map(|v| v.invariant), Some(Invariant::CommandsActOnce));
}

#[test]
fn inv_8_a_timer_that_the_clock_fired_early_is_reported() {
    for status in [Status::Running, Status::Closed, Status::RewardClaim, Status::Expired] {
        let mut world = sound(status);
        let step = world.log.last_mut().expect("a timer fired");
        step.at -= chrono::TimeDelta::microseconds(1);
        assert!(reported(&world).contains(&Invariant::NeverEarly), "{status}");
    }
}

#[test]
fn a_violation_names_its_invariant_its_campaign_and_what_is_wrong() {
    let mut world = sound(Status::Running);
    campaign(&mut world).engagements += 1;
    let violations = check_campaign(world.campaign(), &world.log, &world.table, &[]);
    let text = violations[0].to_string();
    assert!(text.starts_with("INV-1 campaign default/c-1: "), "{text}");
    let ids: Vec<_> = Invariant::ALL.iter().map(|i| i.id()).collect();
    assert_eq!(ids, ["INV-1", "INV-2", "INV-3", "INV-4", "INV-5", "INV-6", "INV-7", "INV-8"]);
}
