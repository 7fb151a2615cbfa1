//! The suite of hints (W1, W2).

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use ports::wakeups::{Hint, Sleeper, Wakeups};

/// A place to tell hints.
pub trait WakeupsHarness: Send + Sync {
    /// The place.
    fn wakeups(&self) -> Arc<dyn Wakeups>;
}

/// One test per case of the hints; `$make` gives a fresh [`WakeupsHarness`].
#[macro_export]
macro_rules! wakeups_contract {
    ($make:expr) => {
        $crate::contract_tests! {
            $make;
            wakeups {
                every_kind_of_hint_wakes_who_sleeps,
                a_hint_waits_for_who_was_awake,
                hints_of_one_kind_merge,
                the_earliest_timer_wins,
                kinds_do_not_stand_in_for_each_other,
                every_sleeper_is_told,
                a_wait_that_was_given_up_loses_no_hint,
                a_hint_that_nobody_takes_harms_nobody,
            }
        }
    };
}

const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(20);

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

async fn timer(sleeper: &mut Box<dyn Sleeper>) -> Timestamp {
    tokio::time::timeout(PATIENCE, sleeper.timer_armed()).await.expect("a timer was armed")
}

async fn committed(sleeper: &mut Box<dyn Sleeper>) {
    tokio::time::timeout(PATIENCE, sleeper.committed()).await.expect("facts were committed");
}

async fn appended(sleeper: &mut Box<dyn Sleeper>) {
    tokio::time::timeout(PATIENCE, sleeper.appended()).await.expect("entries were appended");
}

async fn sleeps_on(sleeper: &mut Box<dyn Sleeper>) {
    assert!(tokio::time::timeout(MOMENT, sleeper.timer_armed()).await.is_err(), "no timer was armed");
    assert!(tokio::time::timeout(MOMENT, sleeper.committed()).await.is_err(), "nothing was committed");
    assert!(tokio::time::timeout(MOMENT, sleeper.appended()).await.is_err(), "nothing was appended");
}

/// W1: a sleeper that waits is woken.
pub async fn every_kind_of_hint_wakes_who_sleeps(h: &mut impl WakeupsHarness) {
    let wakeups = h.wakeups();
    let mut sleeper = wakeups.subscribe();
    sleeps_on(&mut sleeper).await;
    let asleep = tokio::spawn(async move {
        appended(&mut sleeper).await;
        committed(&mut sleeper).await;
        timer(&mut sleeper).await
    });
    for hint in [Hint::Appended, Hint::Committed, Hint::TimerArmed(at(7))] {
        tokio::time::sleep(MOMENT).await;
        wakeups.announce(hint);
    }
    assert_eq!(asleep.await.expect("no panic"), at(7));
}

/// W1: what was announced while the sleeper was awake is there when it goes to sleep.
pub async fn a_hint_waits_for_who_was_awake(h: &mut impl WakeupsHarness) {
    let mut sleeper = h.wakeups().subscribe();
    for hint in [Hint::TimerArmed(at(7)), Hint::Committed, Hint::Appended] {
        h.wakeups().announce(hint);
    }
    tokio::time::sleep(MOMENT).await;
    appended(&mut sleeper).await;
    committed(&mut sleeper).await;
    assert_eq!(timer(&mut sleeper).await, at(7));
    sleeps_on(&mut sleeper).await;
}

/// W1: many hints of one kind wake once; the next one after that wakes again.
pub async fn hints_of_one_kind_merge(h: &mut impl WakeupsHarness) {
    let mut sleeper = h.wakeups().subscribe();
    for _ in 0..3 {
        for _ in 0..100 {
            h.wakeups().announce(Hint::Committed);
            h.wakeups().announce(Hint::Appended);
            h.wakeups().announce(Hint::TimerArmed(at(9)));
        }
        tokio::time::sleep(MOMENT).await;
        committed(&mut sleeper).await;
        appended(&mut sleeper).await;
        timer(&mut sleeper).await;
        sleeps_on(&mut sleeper).await;
    }
}

/// W1: of several armed timers the sleeper hears the earliest.
pub async fn the_earliest_timer_wins(h: &mut impl WakeupsHarness) {
    let mut sleeper = h.wakeups().subscribe();
    for seconds in [9, 4, 6, 4, 8] {
        h.wakeups().announce(Hint::TimerArmed(at(seconds)));
    }
    tokio::time::sleep(MOMENT).await;
    assert_eq!(timer(&mut sleeper).await, at(4));
    h.wakeups().announce(Hint::TimerArmed(at(2)));
    assert_eq!(timer(&mut sleeper).await, at(2));
}

/// W1: a hint of one kind neither wakes for another kind nor takes its place.
pub async fn kinds_do_not_stand_in_for_each_other(h: &mut impl WakeupsHarness) {
    let mut sleeper = h.wakeups().subscribe();
    h.wakeups().announce(Hint::Committed);
    assert!(tokio::time::timeout(MOMENT, sleeper.appended()).await.is_err());
    assert!(tokio::time::timeout(MOMENT, sleeper.timer_armed()).await.is_err());
    h.wakeups().announce(Hint::Appended);
    committed(&mut sleeper).await;
    appended(&mut sleeper).await;
}

/// W1: every sleeper is told, each takes its own hint.
pub async fn every_sleeper_is_told(h: &mut impl WakeupsHarness) {
    let mut sleepers: Vec<_> = (0..5).map(|_| h.wakeups().subscribe()).collect();
    h.wakeups().announce(Hint::Committed);
    h.wakeups().announce(Hint::TimerArmed(at(3)));
    for sleeper in &mut sleepers {
        committed(sleeper).await;
        assert_eq!(timer(sleeper).await, at(3));
    }
}

/// W1: a wait that was given up, as in a `select`, loses no hint.
pub async fn a_wait_that_was_given_up_loses_no_hint(h: &mut impl WakeupsHarness) {
    let wakeups = h.wakeups();
    let mut sleeper = wakeups.subscribe();
    for seconds in 0..200 {
        let teller = wakeups.clone();
        let told = tokio::spawn(async move {
            teller.announce(Hint::TimerArmed(at(seconds)));
            teller.announce(Hint::Committed);
        });
        let early = tokio::select! {
            biased;
            armed = sleeper.timer_armed() => Some(armed),
            () = tokio::task::yield_now() => None,
        };
        told.await.expect("no panic");
        let armed = match early {
            Some(armed) => armed,
            None => timer(&mut sleeper).await,
        };
        assert_eq!(armed, at(seconds));
        committed(&mut sleeper).await;
    }
}

/// W2: hints to nobody, to somebody who is gone or who never looks are announced all the same, at once.
pub async fn a_hint_that_nobody_takes_harms_nobody(h: &mut impl WakeupsHarness) {
    let wakeups = h.wakeups();
    wakeups.announce(Hint::Committed);
    drop(wakeups.subscribe());
    let lazy = wakeups.subscribe();
    for n in 0..100_000 {
        wakeups.announce(Hint::TimerArmed(at(n)));
        wakeups.announce(Hint::Appended);
    }
    let mut late = wakeups.subscribe();
    sleeps_on(&mut late).await;
    drop(lazy);
}
