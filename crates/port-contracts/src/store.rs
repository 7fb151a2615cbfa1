//! The suite of the store: the harness, the macro, and what one commit is (S1 to S4, S10).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::CampaignKey;
use ports::dead_letters::{DeadLetters, NewLetter};
use ports::feed::Outbox;
use ports::journal::Position;
use ports::query::Queries;
use ports::store::{Changes, MAX_BATCH, Outcome, Scope, Store, View};

use crate::dead_letters::letter;
use crate::fixtures::{
    assert_refused, campaigns, command, command_key, commit, commit_facts, deciding, definition, journal, key, look,
    nothing, notice, now, positions, seconds, stored,
};
use crate::orders::{Order, Orders, carry_out, create, run};

/// A store of its own for one case, with everything that reads it.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// The write side.
    fn store(&self) -> Arc<dyn Store>;

    /// The read side.
    fn queries(&self) -> Arc<dyn Queries>;

    /// The facts that wait.
    fn outbox(&self) -> Arc<dyn Outbox>;

    /// The queue that takes the letters of a commit.
    fn dead_letters(&self) -> Arc<dyn DeadLetters>;

    /// Lets the store's clock move on by `by` or a little more; where time cannot be moved, waits. Cases ask for a few
    /// seconds at most.
    async fn advance(&self, by: TimeDelta);

    /// Ends everything and opens the same data again, as a new process would.
    async fn reopen(&mut self);

    /// Damages the stored state of a campaign, behind the store's back, so that it cannot be read.
    async fn spoil_campaign(&self, key: &CampaignKey);
}

/// One test per case of the store, the outbox and the read side; `$make` gives a fresh [`StoreHarness`].
#[macro_export]
macro_rules! store_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            store {
                a_commit_brings_all_that_its_decision_wanted,
                a_refused_commit_leaves_nothing,
                letters_commit_with_the_rest,
                what_was_confirmed_survives_the_process,
                a_batch_of_the_largest_size_commits,
                two_decisions_never_see_the_same_version,
                a_decision_sees_what_its_scope_names,
                facts_get_the_next_positions_in_order,
                a_commit_without_facts_has_no_position,
                positions_go_on_after_a_reopen,
                concurrent_commits_leave_no_gap,
                now_follows_the_clock_and_never_goes_back,
                a_caller_that_stops_waiting_leaves_all_or_nothing,
            }
            store_rules {
                an_answered_command_is_found_for_ever_after,
                every_outcome_is_remembered_as_it_was,
                a_second_answer_to_a_command_is_refused,
                a_command_id_is_of_one_tenant,
                a_command_id_is_of_one_sender,
                only_old_commands_are_forgotten,
                a_write_on_another_version_is_refused,
                a_campaign_is_created_only_where_there_is_none,
                a_second_pending_timer_of_a_kind_is_refused,
                a_kind_is_free_again_when_its_timer_ended,
                reminders_are_told_apart_by_name,
                an_unreadable_campaign_does_not_stop_the_others,
                an_unreadable_campaign_does_not_stop_due_timers,
                a_campaign_is_shown_or_reported_whoever_else_is_at_work_on_it,
            }
            store_timers {
                due_timers_come_earliest_first_with_their_campaigns,
                no_more_due_timers_come_than_were_asked_for,
                a_timer_is_due_at_its_instant_and_not_before,
                a_held_timer_is_not_due,
                a_retried_timer_is_due_again_at_its_retry_time,
                an_ended_timer_is_never_due_again,
                a_receipt_tells_when_the_next_timer_comes_due,
                every_due_timer_fires_once_among_several_firers,
                a_timer_that_was_given_up_can_still_be_ended,
                what_ended_stays_as_it_ended,
                pending_timers_survive_the_process,
            }
        }
    };
}

/// S1: the campaign, its facts, its timers and its answer are all there after one commit.
pub async fn a_commit_brings_all_that_its_decision_wanted(h: &mut impl StoreHarness) {
    let (store, spring) = (h.store(), key("spring"));
    let at = now(&store).await;
    let order = Order::create(&spring, definition(at)).named(command("c-1"));
    let receipt = run(&store, vec![order.clone()]).await.expect("a new campaign");

    let view = look(&store, Orders(vec![order]).scope()).await;
    let campaign = &view.campaigns[&spring];
    assert_eq!((campaign.version, campaign.created_at), (1, receipt.now));
    assert_eq!(view.inbox[&command_key("c-1")].outcome, Outcome::Applied { version: 1 });
    assert_eq!(receipt.next_due, campaign.next_timer().map(|timer| timer.due));
    let records = journal(&h.outbox()).await;
    assert_eq!(receipt.first_position, Some(Position(1)));
    assert_eq!(positions(&records), [1]);
    assert_eq!(records[0].fact.entry.campaign(), Some(&spring.id));
}

/// S1: one bad item, and nothing of the batch is there: no campaign, no fact, no timer, no answer.
/// S3: the refused commit uses up no position.
pub async fn a_refused_commit_leaves_nothing(h: &mut impl StoreHarness) {
    let (store, good, bad) = (h.store(), key("good"), key("bad"));
    let at = now(&store).await;
    let orders = vec![
        Order::create(&good, definition(at)).named(command("c-1")),
        Order::create(&bad, definition(at)).named(command("c-2")),
    ];
    let both = Orders(orders.clone());
    let scope = both.scope();
    let decide = move |view: &View| {
        let mut changes = carry_out(view, &orders);
        changes.campaigns[1].from_version = 5;
        changes.letters.push(letter("timer-1"));
        changes
    };
    assert_refused(commit(&store, scope, decide).await);

    let view = look(&store, both.scope()).await;
    assert!(view.campaigns.is_empty() && view.inbox.is_empty(), "something was left: {view:?}");
    assert!(journal(&h.outbox()).await.is_empty());
    assert_eq!(h.dead_letters().open_count().await.expect("counting"), 0);
    let receipt = commit_facts(&store, vec![notice(at, "after")]).await;
    assert_eq!((receipt.first_position, receipt.next_due), (Some(Position(1)), None));
}

/// S1: letters go to the dead-letter queue in the same commit.
/// D1: as if they had been added there, so that an origin that is open already gets no second one.
pub async fn letters_commit_with_the_rest(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    let first = letter("timer-1");
    let again = NewLetter { attempts: 4, ..letter("timer-1") };
    for letter in [first.clone(), again, letter("timer-2")] {
        let changes = move |_: &View| Changes {
            facts: vec![notice(at, "n")],
            letters: vec![letter.clone()],
            ..Changes::default()
        };
        commit(&h.store(), nothing(), changes).await.expect("a letter is fine");
    }
    h.reopen().await;
    assert_eq!(h.dead_letters().open_count().await.expect("counting"), 2);
    let kept = h.dead_letters().get(&first.tenant, first.id).await.expect("reading").expect("it is there");
    assert!(kept.letter.attempts > first.attempts);
    assert_eq!(kept.letter.original, first.original);
}

/// S1: what was confirmed is there after the process ended.
pub async fn what_was_confirmed_survives_the_process(h: &mut impl StoreHarness) {
    let spring = key("spring");
    let at = now(&h.store()).await;
    let before = create(&h.store(), &spring, definition(at)).await;
    let records = journal(&h.outbox()).await;
    h.reopen().await;
    assert_eq!(stored(&h.store(), &spring).await, Some(before));
    assert_eq!(journal(&h.outbox()).await, records);
}

/// S1: a batch may be as large as the port says.
pub async fn a_batch_of_the_largest_size_commits(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let keys: Vec<CampaignKey> = (0..MAX_BATCH).map(|n| key(&format!("c-{n}"))).collect();
    let orders = keys.iter().map(|key| Order::create(key, definition(at)).named(command(key.id.as_str()))).collect();
    run(&store, orders).await.expect("the largest batch");
    assert_eq!(look(&store, campaigns(&keys)).await.campaigns.len(), MAX_BATCH);
    assert_eq!(journal(&h.outbox()).await.len(), MAX_BATCH);
}

/// S2: concurrent decisions on one campaign each see what the one before left, so that none is lost.
pub async fn two_decisions_never_see_the_same_version(h: &mut impl StoreHarness) {
    const WRITERS: u64 = 8;
    const STEPS: u64 = 5;
    let (store, spring) = (h.store(), key("spring"));
    let at = now(&store).await;
    create(&store, &spring, definition(at)).await;
    let start = domain::Command::ChangeStatus { to: domain::Status::Running, reason: None };
    run(&store, vec![Order::new(&spring, start)]).await.expect("an operator starts it");

    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (store, spring) = (store.clone(), spring.clone());
        writers.spawn(async move {
            for _ in 0..STEPS {
                let scope = campaigns(std::slice::from_ref(&spring));
                let spring = spring.clone();
                let one_more = deciding(move |view| {
                    let seen = view.campaigns[&spring].engagements;
                    carry_out(view, &[Order::engage(&spring, seen + 1)])
                });
                store.transact(scope, one_more).await.expect("writers wait for each other");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no writer fails");
    }
    let after = stored(&store, &spring).await.expect("it is there");
    assert_eq!((after.engagements, after.version), (WRITERS * STEPS, 2 + WRITERS * STEPS));
}

/// S2: the view has the campaigns of the scope that exist, and no others.
pub async fn a_decision_sees_what_its_scope_names(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let spring = create(&store, &key("spring"), definition(at)).await;
    create(&store, &key("autumn"), definition(at)).await;
    let scope = Scope::Campaigns { keys: vec![key("spring"), key("nowhere")], commands: vec![command_key("c-1")] };
    let view = look(&store, scope).await;
    assert_eq!(view.campaigns.into_iter().collect::<Vec<_>>(), [(key("spring"), spring)]);
    assert!(view.inbox.is_empty() && view.unreadable.is_empty() && view.due.is_empty());
}

/// S3: facts get the next positions, in the order given.
pub async fn facts_get_the_next_positions_in_order(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let facts: Vec<_> = (0..5).map(|n| notice(at, &format!("n-{n}"))).collect();
    let first = commit_facts(&store, facts[..3].to_vec()).await;
    let second = commit_facts(&store, facts[3..].to_vec()).await;
    assert_eq!((first.first_position, second.first_position), (Some(Position(1)), Some(Position(4))));
    let records = journal(&h.outbox()).await;
    assert_eq!(positions(&records), [1, 2, 3, 4, 5]);
    assert_eq!(records.iter().map(|record| record.fact.clone()).collect::<Vec<_>>(), facts);
}

/// S3: a commit that says nothing takes no position.
pub async fn a_commit_without_facts_has_no_position(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let empty = commit(&store, nothing(), |_| Changes::default()).await.expect("nothing is fine");
    assert_eq!((empty.first_position, empty.due), (None, 0));
    assert_eq!(commit_facts(&store, vec![notice(at, "one")]).await.first_position, Some(Position(1)));
}

/// S3: positions go on where they were, also in the next process.
pub async fn positions_go_on_after_a_reopen(h: &mut impl StoreHarness) {
    let at = now(&h.store()).await;
    commit_facts(&h.store(), vec![notice(at, "one"), notice(at, "two")]).await;
    h.reopen().await;
    let next = commit_facts(&h.store(), vec![notice(at, "three")]).await;
    assert_eq!(next.first_position, Some(Position(3)));
}

/// S3: writers at the same time, some of them refused, share one sequence without a gap.
pub async fn concurrent_commits_leave_no_gap(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = store.clone();
        writers.spawn(async move {
            let mine = key(&format!("c-{n}"));
            let orders = vec![Order::create(&mine, definition(at))];
            let decide = move |view: &View| {
                let mut changes = carry_out(view, &orders);
                if n % 4 == 0 {
                    changes.campaigns[0].from_version = 9;
                }
                changes
            };
            let answer = commit(&store, campaigns(&[mine]), decide).await;
            assert_eq!(answer.is_err(), n % 4 == 0, "writer {n}: {answer:?}");
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no writer fails");
    }
    assert_eq!(positions(&journal(&h.outbox()).await), (1..=15).collect::<Vec<u64>>());
}

/// S4: what a decision takes for now is the store's clock, is what the receipt tells, and only grows.
pub async fn now_follows_the_clock_and_never_goes_back(h: &mut impl StoreHarness) {
    let mut last = now(&h.store()).await;
    for _ in 0..3 {
        h.advance(seconds(1)).await;
        let view = look(&h.store(), nothing()).await;
        assert!(view.now >= last + seconds(1), "{} is less than a second after {last}", view.now);
        assert_eq!(view.now.timestamp_subsec_nanos() % 1_000, 0, "not in whole microseconds");
        last = view.now;
    }
    h.reopen().await;
    assert!(now(&h.store()).await >= last, "the clock went back with the process");
}

/// S10: however early the caller goes away, the commit happens as a whole or not at all, and the store goes on.
pub async fn a_caller_that_stops_waiting_leaves_all_or_nothing(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = now(&store).await;
    let (mut kept, mut lost) = (0_u32, 0_u32);
    for patience in 0..40_u32 {
        let id = format!("c-{patience}");
        let order = Order::create(&key(&id), definition(at)).named(command(&id));
        let scope = Orders(vec![order.clone()]).scope();
        // From no patience at all to plenty.
        let patience = Duration::from_micros(u64::from(patience * patience * 20));
        let impatient = tokio::time::timeout(patience, run(&store, vec![order])).await;

        let view = look(&store, scope).await;
        assert_eq!(view.campaigns.len(), view.inbox.len(), "{id}: half a commit is there");
        assert!(impatient.is_err() || view.campaigns.len() == 1, "{id}: confirmed, and not there");
        if view.campaigns.is_empty() { lost += 1 } else { kept += 1 }
    }
    let settled = commit_facts(&store, vec![notice(at, "after")]).await;
    let records = journal(&h.outbox()).await;
    assert_eq!(settled.first_position, records.last().map(|last| last.position));
    assert_eq!(positions(&records), (1..=records.len() as u64).collect::<Vec<_>>());
    assert!(records.len() > kept as usize, "{kept} campaigns were seen, {lost} not");
}
