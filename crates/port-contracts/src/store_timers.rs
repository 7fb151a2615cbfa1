//! Which timers are due (S5). The harness and the macro live in `store`.

use std::sync::Arc;

use domain::{LifecycleTimer, Timer, TimerId, TimerKind, Timestamp};
use ports::query::TimerState;
use ports::store::{Changes, Receipt, Scope, Store, TimerWrite, View};

use crate::fixtures::{
    campaigns, commit, due, journal, key, look, new_id, nothing, now, seconds, starting, stored, tenant, timer_name,
};
use crate::orders::{FireDue, create};
use crate::store::StoreHarness;

/// Creates campaigns `c-0`, `c-1`, ... that start so many seconds after now.
async fn starting_in(store: &Arc<dyn Store>, delays: &[i64]) -> Timestamp {
    let at = now(store).await;
    for (n, delay) in delays.iter().enumerate() {
        create(store, &key(&format!("c-{n}")), starting(at + seconds(*delay))).await;
    }
    at
}

async fn write(store: &Arc<dyn Store>, timers: Vec<TimerWrite>) -> Receipt {
    let changes = move |_: &View| Changes { timers: timers.clone(), ..Changes::default() };
    commit(store, nothing(), changes).await.expect("timers alone are fine")
}

async fn start_timer(store: &Arc<dyn Store>, id: &str) -> TimerId {
    stored(store, &key(id)).await.expect("it is there").next_timer().expect("it has one").id
}

fn due_campaigns(view: &View) -> Vec<&str> {
    view.due.iter().map(|due| due.key.id.as_str()).collect()
}

/// S5: due timers come earliest first, each with its campaign.
pub async fn due_timers_come_earliest_first_with_their_campaigns(h: &mut impl StoreHarness) {
    let store = h.store();
    starting_in(&store, &[3, 1, 2, 600]).await;
    h.advance(seconds(3)).await;
    let view = look(&store, due()).await;
    assert_eq!(due_campaigns(&view), ["c-1", "c-2", "c-0"]);
    assert_eq!(view.campaigns.len(), 3);
    for due in &view.due {
        assert_eq!(view.campaigns[&due.key].timer(due.timer.id), Some(&due.timer));
        assert_eq!(due.attempts, 0);
    }
}

/// S5: at most as many come as were asked for, the earliest of them; the receipt counts them.
pub async fn no_more_due_timers_come_than_were_asked_for(h: &mut impl StoreHarness) {
    let store = h.store();
    starting_in(&store, &[3, 1, 2]).await;
    h.advance(seconds(3)).await;
    assert_eq!(due_campaigns(&look(&store, Scope::Due { limit: 2 }).await), ["c-1", "c-2"]);
    let receipt = store.transact(Scope::Due { limit: 2 }, Arc::new(FireDue)).await.expect("firing");
    assert_eq!(receipt.due, 2);
    assert_eq!(due_campaigns(&look(&store, due()).await), ["c-0"]);
}

/// S5: a timer is due at its very instant, and not a moment before.
pub async fn a_timer_is_due_at_its_instant_and_not_before(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = starting_in(&store, &[2]).await;
    let early = look(&store, due()).await;
    assert!(early.due.is_empty() && early.now < at + seconds(2));
    h.advance(seconds(2)).await;
    let view = look(&store, due()).await;
    assert!(view.now >= at + seconds(2));
    assert_eq!(due_campaigns(&view), ["c-0"]);
}

/// S5: a held timer is out of the clock's reach, also for the receipt.
pub async fn a_held_timer_is_not_due(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = starting_in(&store, &[1]).await;
    let receipt = write(&store, vec![TimerWrite::Hold { id: start_timer(&store, "c-0").await }]).await;
    assert!(receipt.next_due > Some(at + seconds(3_600)), "{receipt:?}");
    h.advance(seconds(2)).await;
    assert!(look(&store, due()).await.due.is_empty());
}

/// S5: a timer that waits for a retry is due again at its retry time, and knows how often it was tried.
pub async fn a_retried_timer_is_due_again_at_its_retry_time(h: &mut impl StoreHarness) {
    let store = h.store();
    starting_in(&store, &[1]).await;
    let id = start_timer(&store, "c-0").await;
    h.advance(seconds(1)).await;
    let at = now(&store).await + seconds(2);
    let retry = TimerWrite::Retry { id, at, attempts: 1, error: "no luck".to_owned() };
    let receipt = write(&store, vec![retry]).await;
    assert_eq!(receipt.next_due, Some(at));
    assert!(look(&store, due()).await.due.is_empty(), "it waits");
    h.advance(seconds(2)).await;
    let view = look(&store, due()).await;
    assert_eq!((due_campaigns(&view), view.due[0].attempts), (vec!["c-0"], 1));
    assert_eq!(view.due[0].timer, *view.campaigns[&key("c-0")].timer(id).expect("its own"));
}

/// S5: what is completed, cancelled or given up is not pending any more.
pub async fn an_ended_timer_is_never_due_again(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = starting_in(&store, &[1, 1, 1, 1]).await;
    let ended = vec![
        TimerWrite::Complete { id: start_timer(&store, "c-0").await, at },
        TimerWrite::Cancel { id: start_timer(&store, "c-1").await },
        TimerWrite::Fail { id: start_timer(&store, "c-2").await, attempts: 5, error: "no luck".to_owned() },
    ];
    write(&store, ended).await;
    h.advance(seconds(2)).await;
    assert_eq!(due_campaigns(&look(&store, due()).await), ["c-3"]);
}

/// S5: a receipt tells when the next timer comes due, those counted in that the commit itself armed.
pub async fn a_receipt_tells_when_the_next_timer_comes_due(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = starting_in(&store, &[500, 300]).await;
    assert_eq!(write(&store, Vec::new()).await.next_due, Some(at + seconds(300)));
    let kind = TimerKind::Custom(timer_name("call"));
    let timer = Timer { id: TimerId(new_id()), kind, due: at + seconds(200), generation: 2, payload: None };
    let arm = TimerWrite::Arm { key: key("c-0"), timer: timer.clone() };
    let changes = move |_: &View| Changes { timers: vec![arm.clone()], ..Changes::default() };
    let receipt = commit(&store, campaigns(&[key("c-0")]), changes).await.expect("a reminder");
    assert_eq!(receipt.next_due, Some(timer.due));
    let receipt = write(&store, vec![TimerWrite::Cancel { id: timer.id }]).await;
    assert_eq!(receipt.next_due, Some(at + seconds(300)));
}

/// S5: several firers at once fire each due timer once.
/// S2: because none of them sees a campaign that another one holds.
pub async fn every_due_timer_fires_once_among_several_firers(h: &mut impl StoreHarness) {
    let store = h.store();
    starting_in(&store, &[1; 30]).await;
    h.advance(seconds(1)).await;
    let mut firers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        firers.spawn(async move {
            let mut fired = 0;
            loop {
                match store.transact(Scope::Due { limit: 7 }, Arc::new(FireDue)).await.expect("firing").due {
                    0 => return fired,
                    due => fired += due,
                }
            }
        });
    }
    let mut fired = 0;
    while let Some(ended) = firers.join_next().await {
        fired += ended.expect("no firer fails");
    }
    assert_eq!(fired, 30);
    let steps = journal(&h.outbox()).await;
    assert_eq!(steps.len(), 60, "a creation and a start each");
}

/// S5: an operator may still execute or cancel what the clock gave up.
/// S8: what was given up keeps no place: the next of its kind can be armed.
pub async fn a_timer_that_was_given_up_can_still_be_ended(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = starting_in(&store, &[1, 1]).await;
    let ids = [start_timer(&store, "c-0").await, start_timer(&store, "c-1").await];
    let give_up = |id: &TimerId| TimerWrite::Fail { id: *id, attempts: 5, error: "no luck".to_owned() };
    write(&store, ids.iter().map(give_up).collect()).await;
    assert_eq!(states(h, &ids).await, [TimerState::Failed, TimerState::Failed]);
    let kind = TimerKind::Lifecycle(LifecycleTimer::Start);
    let timer = Timer { id: TimerId(new_id()), kind, due: at + seconds(9), generation: 1, payload: None };
    let arm = TimerWrite::Arm { key: key("c-0"), timer };
    write(&store, vec![arm, TimerWrite::Complete { id: ids[0], at }, TimerWrite::Cancel { id: ids[1] }]).await;
    assert_eq!(states(h, &ids).await, [TimerState::Completed, TimerState::Cancelled]);
}

/// S5: a change that comes too late for its timer changes nothing, and is no mistake.
pub async fn what_ended_stays_as_it_ended(h: &mut impl StoreHarness) {
    let store = h.store();
    let at = starting_in(&store, &[1, 1]).await;
    let ids = [start_timer(&store, "c-0").await, start_timer(&store, "c-1").await];
    write(&store, vec![TimerWrite::Complete { id: ids[0], at }, TimerWrite::Cancel { id: ids[1] }]).await;
    for id in ids {
        let error = "too late".to_owned();
        let late = vec![
            TimerWrite::Hold { id },
            TimerWrite::Retry { id, at: at + seconds(1), attempts: 1, error: error.clone() },
            TimerWrite::Fail { id, attempts: 5, error },
            TimerWrite::Cancel { id },
            TimerWrite::Complete { id, at: at + seconds(2) },
        ];
        write(&store, late).await;
    }
    assert_eq!(states(h, &ids).await, [TimerState::Completed, TimerState::Cancelled]);
    h.advance(seconds(2)).await;
    assert!(look(&store, due()).await.due.is_empty());
}

async fn states(h: &impl StoreHarness, ids: &[TimerId]) -> Vec<TimerState> {
    let mut states = Vec::new();
    for id in ids {
        let row = h.queries().timer(&tenant("acme"), *id).await.expect("reading").expect("it is there");
        states.push(row.state);
    }
    states
}

/// S5: pending timers wait for the next process.
pub async fn pending_timers_survive_the_process(h: &mut impl StoreHarness) {
    starting_in(&h.store(), &[1, 2]).await;
    h.reopen().await;
    h.advance(seconds(2)).await;
    let view = look(&h.store(), due()).await;
    assert_eq!(due_campaigns(&view), ["c-0", "c-1"]);
}
