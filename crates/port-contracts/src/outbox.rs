//! The suite of the outbox (F1): what was committed waits there, in order and whole.

use domain::{
    Event, Firing, LifecycleTimer, OwnerId, Policy, PolicyOverrides, Reason, SkipReason, Status, Step, Timer, TimerId,
    TimerKind, Timestamp, Trigger, Window,
};
use ports::feed::MAX_READ;
use ports::journal::{Actor, ActorKind, CampaignStep, Cause, Entry, Fact, Position};

use crate::fixtures::{
    command, commit_facts, definition, fact, journal, json, key, new_id, notice, now, owner, positions, seconds,
    tenant, timer_name,
};
use crate::store::StoreHarness;

/// One test per case of the outbox; `$make` gives a fresh [`StoreHarness`].
#[macro_export]
macro_rules! outbox_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            outbox {
                facts_are_read_after_a_position_in_order,
                a_read_brings_at_most_what_was_asked_for,
                every_kind_of_fact_reads_back_as_committed,
                every_kind_of_actor_and_cause_reads_back_as_committed,
                facts_wait_for_the_next_process,
                everything_after_its_beginning_is_there,
            }
        }
    };
}

/// F1: a read begins strictly after its position and leaves nothing out.
pub async fn facts_are_read_after_a_position_in_order(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    assert!(h.outbox().read(Position::START, MAX_READ).await.expect("reading").is_empty());
    commit_facts(&h.store(), (0..5).map(|n| notice(at, &format!("n-{n}"))).collect()).await;
    for after in 0..=5 {
        let read = h.outbox().read(Position(after), MAX_READ).await.expect("reading");
        assert_eq!(positions(&read), (after + 1..=5).collect::<Vec<_>>(), "after {after}");
    }
    assert!(h.outbox().read(Position(99), MAX_READ).await.expect("reading").is_empty());
}

/// F1: a limited read brings the first ones, so that the next read goes on without a gap.
pub async fn a_read_brings_at_most_what_was_asked_for(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    commit_facts(&h.store(), (0..5).map(|n| notice(at, &format!("n-{n}"))).collect()).await;
    let read = h.outbox().read(Position(1), 2).await.expect("reading");
    assert_eq!(positions(&read), [2, 3]);
}

/// F1: whatever a fact says is read back as it was committed.
pub async fn every_kind_of_fact_reads_back_as_committed(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    let facts: Vec<Fact> = every_entry(at).into_iter().map(|entry| fact(at, entry)).collect();
    commit_facts(&h.store(), facts.clone()).await;
    assert_committed(h, &facts).await;
    h.reopen().await;
    assert_committed(h, &facts).await;
}

/// F1: so is who did it and why.
pub async fn every_kind_of_actor_and_cause_reads_back_as_committed(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    let causes = [
        Cause::default(),
        Cause { command: Some(command("c-1")), correlation: None },
        Cause { command: Some(command("c-2")), correlation: Some("é\u{1f600} and \"quotes\"".to_owned()) },
    ];
    let mut facts = Vec::new();
    for kind in ActorKind::ALL {
        for cause in &causes {
            let actor = Actor { kind, subject: "ada@example.org".to_owned() };
            facts.push(Fact { actor, cause: cause.clone(), tenant: tenant("globex"), ..notice(at, "n") });
        }
    }
    commit_facts(&h.store(), facts.clone()).await;
    assert_committed(h, &facts).await;
    h.reopen().await;
    assert_committed(h, &facts).await;
}

async fn assert_committed(h: &impl StoreHarness, facts: &[Fact]) {
    let records = journal(&h.outbox()).await;
    assert_eq!(records.len(), facts.len());
    for (record, fact) in records.iter().zip(facts) {
        assert_eq!(&record.fact, fact);
    }
}

/// F1: facts that nobody read yet wait for the next process.
pub async fn facts_wait_for_the_next_process(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    commit_facts(&h.store(), vec![notice(at, "one"), notice(at, "two")]).await;
    let before = journal(&h.outbox()).await;
    h.reopen().await;
    assert_eq!(journal(&h.outbox()).await, before);
    assert_eq!(before.len(), 2);
}

/// Every kind of entry, and every event of a campaign's life, with all that they can carry.
fn every_entry(at: Timestamp) -> Vec<Entry> {
    let reminder = timer(at, TimerKind::Custom(timer_name("call")));
    let mut entries: Vec<Entry> =
        (1..).zip(every_event(at)).map(|(sequence, event)| step(at, sequence, event, Some(owner("ada")))).collect();
    entries.push(step(at, 99, Event::EngagementsRecorded { total: 7 }, None));
    entries.push(Entry::Rejected {
        campaign: key("spring").id,
        command: "cancel".to_owned(),
        code: "transition_not_allowed".to_owned(),
        message: "a CLOSED campaign cannot become CANCELLED by producer".to_owned(),
    });
    for owner in [None, Some(owner("ada"))] {
        let (campaign, error) = (key("spring").id, "no luck\nat all".to_owned());
        entries.push(Entry::TimerFailed { campaign, owner, timer: reminder.clone(), attempts: 5, error });
    }
    let detail = json(r#"{"deep":{"list":[1,2.5,null,"é"]}}"#);
    entries.push(Entry::Notice {
        name: "recovery.completed".to_owned(),
        campaign: None,
        subject: "one".to_owned(),
        detail,
    });
    entries
}

fn every_event(at: Timestamp) -> Vec<Event> {
    let reason = Some(Reason::parse("because – \"so\"").expect("a reason"));
    let reminder = timer(at, TimerKind::Custom(timer_name("call")));
    let mut full = definition(at);
    full.target_engagements = Some(domain::Definition::MAX_ENGAGEMENTS);
    full.close_on_target = true;
    full.policy = PolicyOverrides { closed_expiry_seconds: Some(9), ..PolicyOverrides::default() };
    full.policy.misfire.close = Some(domain::Misfire::Hold);
    let policy = Policy::default().with(&full.policy);
    let changed = |trigger, timer| Event::StatusChanged {
        from: Status::Created,
        to: Status::Running,
        trigger,
        reason: reason.clone(),
        timer,
    };
    let mut events = vec![
        Event::Initialized { definition: full, policy },
        Event::Updated {
            window: Some(Window::new(at, at + seconds(9)).expect("a window")),
            auto_close: Some(false),
            rewards_enabled: Some(false),
            metadata: Some(json(r#"{ "kept" : "as given" }"#)),
            reason: reason.clone(),
        },
        Event::Updated { window: None, auto_close: None, rewards_enabled: None, metadata: None, reason: None },
        Event::EngagementsRecorded { total: 1 },
        Event::TargetReached { total: 12, target: 10 },
        Event::ReminderScheduled { name: timer_name("call"), at, payload: Some(json(r#"{"a":1}"#)) },
        Event::ReminderScheduled { name: timer_name("mail"), at, payload: None },
        Event::ReminderCancelled { timer: reminder.clone() },
        Event::TimerHeld { timer: reminder.clone() },
    ];
    events.extend(Trigger::ALL.map(|trigger| changed(trigger, None)));
    for kind in LifecycleTimer::ALL {
        events.push(changed(Trigger::StartTimer, Some(timer(at, TimerKind::Lifecycle(kind)))));
    }
    for by in [Firing::Clock, Firing::Operator] {
        events.push(Event::ReminderFired { timer: reminder.clone(), by });
    }
    for reason in [SkipReason::TooLate, SkipReason::WindowOver] {
        events.push(Event::TimerSkipped { timer: reminder.clone(), reason });
    }
    events
}

fn timer(due: Timestamp, kind: TimerKind) -> Timer {
    let payload = kind.name().map(|_| json(r#"{"to":"ada"}"#));
    Timer { id: TimerId(new_id()), kind, due, generation: 3, payload }
}

fn step(at: Timestamp, sequence: u64, event: Event, owner: Option<OwnerId>) -> Entry {
    let armed = vec![timer(at, TimerKind::Lifecycle(LifecycleTimer::Expire))];
    let cancelled = vec![timer(at, TimerKind::Custom(timer_name("call")))];
    Entry::Step(Box::new(CampaignStep {
        campaign: key("spring").id,
        metadata: owner.is_some().then(|| json(r#"{"name":"spring"}"#)),
        owner,
        status: Status::Running,
        step: Step { sequence, at, event, armed },
        cancelled,
    }))
}

/// F6: after its beginning the outbox is whole; a fresh one begins at the start.
pub async fn everything_after_its_beginning_is_there(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    assert_eq!(h.outbox().begin().await.expect("its beginning"), Position::START);
    commit_facts(&h.store(), (0..5).map(|n| notice(at, &format!("n-{n}"))).collect()).await;
    let begin = h.outbox().begin().await.expect("its beginning");
    let read = h.outbox().read(begin, MAX_READ).await.expect("reading");
    assert_eq!(positions(&read), (begin.0 + 1..=5).collect::<Vec<_>>());
}
