//! Random lives: any sequence of commands and timers, under a clock that also steps back, keeps every invariant. The
//! invariants themselves are checked by `World` after every single step.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::invariants::check_campaign;
use domain::{
    Changes, Command, Definition, Firing, JsonText, Misfire, MisfireRules, PolicyOverrides, Rejection, Requester,
    Status, TimerId, Timestamp, WindowChange, WindowEnd,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::world::{World, at, clock_fires, definition, name, secs, window};

/// One thing that happens to the world.
#[derive(Debug, Clone)]
enum Happening {
    /// The clock moves, maybe backwards.
    Clock(TimeDelta),
    /// The clock moves to the next due timer, plus this.
    ToNextDue(TimeDelta),
    /// The service fires what is due.
    FireDue,
    /// Somebody asks for something.
    Ask(Command),
    /// Somebody asks for something, having seen this version.
    AskAtVersion(Command, u64),
    /// Somebody names one of all timers that ever were: fires or deletes it.
    Touch { which: prop::sample::Index, by: Touch },
}

#[derive(Debug, Clone, Copy)]
enum Touch {
    Clock,
    Operator,
    Cancel,
}

fn misfire() -> impl Strategy<Value = Misfire> {
    prop_oneof![Just(Misfire::Fire), Just(Misfire::Skip), Just(Misfire::Hold)]
}

fn misfire_rules() -> impl Strategy<Value = MisfireRules> {
    let rule = || option::of(misfire());
    (rule(), rule(), rule(), rule(), rule(), rule()).prop_map(
        |(start, close, open_reward_claim, reward_reminder, expire, custom)| MisfireRules {
            start,
            close,
            open_reward_claim,
            reward_reminder,
            expire,
            custom,
        },
    )
}

fn policy() -> impl Strategy<Value = PolicyOverrides> {
    let wait = || option::of(0_u32..400);
    ((wait(), wait(), wait(), wait()), (wait(), wait(), wait()), misfire_rules()).prop_map(
        |(first, second, misfire)| PolicyOverrides {
            created_expiry_seconds: first.0,
            running_expiry_seconds: first.1,
            reward_claim_delay_seconds: first.2,
            closed_expiry_seconds: first.3,
            reward_claim_seconds: second.0,
            reminder_lead_seconds: second.1,
            reminder_max_late_seconds: second.2,
            misfire,
        },
    )
}

fn definitions() -> impl Strategy<Value = Definition> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0_i64..300, 1_i64..300, flags, option::of(1_u64..20), policy()).prop_map(
        |(start, length, (auto_close, rewards_enabled, close), target_engagements, policy)| Definition {
            window: window(start, start + length),
            auto_close,
            rewards_enabled,
            close_on_target: close && target_engagements.is_some(),
            target_engagements,
            policy,
            ..definition()
        },
    )
}

fn window_changes() -> impl Strategy<Value = WindowChange> {
    let end = prop_oneof![
        (0_i64..900).prop_map(|s| WindowEnd::At(at(s))),
        (-5_i64..300).prop_map(|s| WindowEnd::After(secs(s)))
    ];
    (option::of((0_i64..600).prop_map(at)), vec(end, 0..3)).prop_map(|(start, ends)| WindowChange { start, ends })
}

fn changes() -> impl Strategy<Value = Changes> {
    let metadata = prop_oneof![Just("{}"), Just(r#"{"a":1}"#)].prop_map(|t| JsonText::new(t).expect("small"));
    (window_changes(), option::of(any::<bool>()), option::of(any::<bool>()), option::of(metadata)).prop_map(
        |(window, auto_close, rewards_enabled, metadata)| Changes { window, auto_close, rewards_enabled, metadata },
    )
}

fn commands() -> impl Strategy<Value = Command> {
    let reminder = (prop_oneof![Just("a"), Just("b"), Just("c")], 0_i64..900)
        .prop_map(|(text, s)| Command::ScheduleReminder { name: name(text), at: at(s), payload: None });
    let status = prop::sample::select(Status::ALL.to_vec());
    let by = prop_oneof![Just(Requester::Producer), Just(Requester::Operator)];
    prop_oneof![
        2 => definitions().prop_map(|definition| Command::Create { definition }),
        3 => changes().prop_map(crate::world::update),
        1 => by.prop_map(|by| Command::Cancel { by, reason: None }),
        4 => status.prop_map(crate::world::move_to),
        3 => reminder,
        3 => (0_u64..25).prop_map(|total| Command::RecordEngagements { total }),
    ]
}

fn happenings() -> impl Strategy<Value = Happening> {
    let touch = prop_oneof![Just(Touch::Clock), Just(Touch::Operator), Just(Touch::Cancel)];
    prop_oneof![
        2 => (-200_i64..400).prop_map(|s| Happening::Clock(secs(s))),
        1 => (0_i64..500_000).prop_map(|s| Happening::Clock(secs(s))),
        3 => (-2_i64..10).prop_map(|us| Happening::ToNextDue(TimeDelta::microseconds(us))),
        4 => Just(Happening::FireDue),
        6 => commands().prop_map(Happening::Ask),
        1 => (commands(), 1_u64..12).prop_map(|(command, version)| Happening::AskAtVersion(command, version)),
        3 => (any::<prop::sample::Index>(), touch).prop_map(|(which, by)| Happening::Touch { which, by }),
    ]
}

/// Commands that may be sent again at once and then find all as they ask.
fn can_be_repeated(command: &Command, world: &World) -> bool {
    match command {
        Command::Create { .. }
        | Command::Cancel { .. }
        | Command::ChangeStatus { .. }
        | Command::Update { .. }
        | Command::ScheduleReminder { .. } => true,
        Command::RecordEngagements { .. } => world.campaign().status() == Status::Running,
        Command::CancelTimer { .. } | Command::FireTimer { .. } => false,
    }
}

/// Sends `command` and holds what is true of every answer.
fn ask(world: &mut World, command: &Command, version: Option<u64>, now: Timestamp) {
    let before = world.state.clone();
    let steps = world.log.len();
    match world.send_at(command, version, now) {
        Ok(events) => {
            assert_eq!(world.log.len(), steps + events.len());
            if let (true, Some(campaign)) = (events.is_empty(), &world.state) {
                assert_eq!(before.as_ref(), Some(campaign), "unchanged means unchanged");
            }
            if let Some(before) = &before {
                assert!(events.is_empty() || !before.status().is_terminal(), "a terminal campaign did {events:?}");
                assert!(version.is_none_or(|v| v == before.version), "decided on a version that nobody saw");
            }
            if can_be_repeated(command, world) {
                assert_eq!(world.send_at(command, None, now), Ok(Vec::new()), "again: {command:?}");
            }
        }
        Err(rejection) => {
            assert_eq!((&world.state, world.log.len()), (&before, steps), "a refusal changes nothing");
            assert!(before.is_some() || !matches!(rejection, Rejection::VersionMismatch { .. }));
        }
    }
}

/// Fires what is due, earliest first, as the store brings it, until nothing is.
fn fire_due(world: &mut World, now: Timestamp) {
    for _ in 0..200 {
        let Some(campaign) = &world.state else { return };
        let Some(timer) = campaign.next_timer().filter(|t| t.due <= now) else { return };
        let id = timer.id;
        let events = world.send_at(&clock_fires(id), None, now).expect("a due timer of the campaign is never refused");
        assert!(!events.is_empty(), "a due timer fires, is skipped or is held");
    }
    panic!("timers go on firing at one instant");
}

fn live(happenings: Vec<Happening>) -> (World, Timestamp) {
    let mut world = World::new();
    let mut now = at(0);
    for happening in happenings {
        match happening {
            Happening::Clock(by) => now += by,
            Happening::ToNextDue(plus) => {
                let next = world.state.as_ref().and_then(|c| c.next_timer()).map(|t| t.due);
                now = next.map_or(now, |due| due + plus);
            }
            Happening::FireDue => fire_due(&mut world, now),
            Happening::Ask(command) => ask(&mut world, &command, None, now),
            Happening::AskAtVersion(command, version) => ask(&mut world, &command, Some(version), now),
            Happening::Touch { which, by } => {
                if world.armed.is_empty() {
                    continue;
                }
                let id = *which.get(&world.armed);
                touch(&mut world, id, by, now);
            }
        }
    }
    (world, now)
}

fn touch(world: &mut World, id: TimerId, by: Touch, now: Timestamp) {
    let pending = world.campaign().timer(id).is_some();
    let command = match by {
        Touch::Clock => Command::FireTimer { id, by: Firing::Clock },
        Touch::Operator => Command::FireTimer { id, by: Firing::Operator },
        Touch::Cancel => Command::CancelTimer { id },
    };
    let result = world.send_at(&command, None, now);
    assert_eq!(!pending, result == Err(Rejection::UnknownTimer), "only pending timers can be touched");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_life_keeps_every_invariant(first in definitions(), happenings in vec(happenings(), 1..60)) {
        let create = Happening::Ask(Command::Create { definition: first });
        let (world, _) = live(std::iter::once(create).chain(happenings).collect());
        let mut fired = BTreeSet::new();
        for timer in world.log.iter().filter_map(|step| step.event.settled_timer()) {
            prop_assert!(fired.insert(timer.id), "timer {} fired twice", timer.id);
        }
        let armed: BTreeSet<_> = world.armed.iter().collect();
        prop_assert_eq!(armed.len(), world.armed.len());
    }

    #[test]
    fn a_life_that_begins_with_anything_keeps_every_invariant(happenings in vec(happenings(), 1..30)) {
        live(happenings);
    }

    #[test]
    fn a_campaign_left_alone_comes_to_an_end(first in definitions(), happenings in vec(happenings(), 0..30)) {
        let policy = PolicyOverrides { misfire: MisfireRules::default(), ..first.policy };
        let create = Happening::Ask(Command::Create { definition: Definition { policy, ..first } });
        let (mut world, now) = live(std::iter::once(create).chain(happenings).collect());
        let Some(campaign) = &world.state else { return Ok(()) };
        prop_assume!(campaign.policy.misfire == MisfireRules::default());
        let longest = TimeDelta::days(3 * 366);
        fire_due(&mut world, now.max(at(0)) + longest);
        for _ in 0..10 {
            let next = world.campaign().next_timer().map(|t| t.due);
            let Some(due) = next else { break };
            fire_due(&mut world, due);
        }
        prop_assert!(world.campaign().status().is_terminal(), "it stands in {} for ever", world.campaign().status());
    }

    #[test]
    fn any_step_taken_out_of_a_log_is_noticed(
        first in definitions(),
        happenings in vec(happenings(), 1..30),
        which in any::<prop::sample::Index>(),
    ) {
        let create = Happening::Ask(Command::Create { definition: first });
        let (mut world, _) = live(std::iter::once(create).chain(happenings).collect());
        prop_assume!(!world.log.is_empty());
        world.log.remove(which.index(world.log.len()));
        prop_assert!(!check_campaign(world.campaign(), &world.log, &world.table, &[]).is_empty());
    }
}
