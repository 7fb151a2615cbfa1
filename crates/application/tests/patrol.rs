//! The proof that never ends: little by little, by whoever holds the lease; what is wrong is told once, and once more when it
//! is right again.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::CampaignKey;
use domain::invariants::{Invariant, Violation};
use lifecycle_application::{Ground, Heartbeats, Notices, Patrol, PatrolParts, PatrolReport, PatrolSettings};
use ports::PortError;
use ports::journal::{Entry, Position};
use ports::leases::MockLeases;
use ports::query::{MockQueries, StoreStatus};
use ports::store::{MockStore, Receipt, View};
use ports::verification::{CaseFile, ChainFault, ChainPage, RebuildOrder, RebuildReport, Verification};
use support::{CountingIds, VirtualClock, created, epoch};
use tokio_util::sync::CancellationToken;

/// How many campaigns, and how many records, the store has.
const CAMPAIGNS: usize = 10;
const RECORDS: u64 = 100;

#[derive(Default)]
struct Stored {
    /// What is wrong with the first campaign.
    faults: Mutex<Vec<Violation>>,
    /// The log was cut off after this many records.
    cut: Mutex<Option<u64>>,
    /// How many campaigns, and links, were asked for at each time.
    asked: Mutex<Vec<(usize, u64)>>,
}

fn hash(position: u64) -> String {
    format!("{position:064x}")
}

#[async_trait]
impl Verification for Stored {
    async fn case_files(&self, after: Option<CampaignKey>, limit: usize) -> Result<Vec<CaseFile>, PortError> {
        self.asked.lock().expect("no panic").push((limit, 0));
        let number = |key: &CampaignKey| key.id.as_str()[1..].parse::<usize>().expect("a number");
        let first = after.as_ref().map_or(0, |key| number(key) + 1);
        let files = (first..CAMPAIGNS.min(first + limit)).map(|n| {
            let (stored, step) = created(&format!("c{n}"));
            CaseFile {
                key: stored.key.clone(),
                pending: stored.timers.clone(),
                stored: Ok(stored),
                log: Ok(vec![step]),
                failed: Vec::new(),
                faults: if n == 0 { self.faults.lock().expect("no panic").clone() } else { Vec::new() },
            }
        });
        Ok(files.collect())
    }

    async fn doubled_commands(&self, _: Position, _: TimeDelta, _: usize) -> Result<Vec<(String, u64)>, PortError> {
        Ok(Vec::new())
    }

    async fn check_chain(&self, after: Position, known: &str, limit: usize) -> Result<ChainPage, PortError> {
        self.asked.lock().expect("no panic").push((0, limit as u64));
        let end = self.cut.lock().expect("no panic").unwrap_or(RECORDS);
        let mut faults = Vec::new();
        if !known.is_empty() && after.0 > end {
            faults.push(ChainFault { position: after, detail: "it is gone".to_owned() });
        }
        let last = Position((after.0 + limit as u64).min(end).max(after.0));
        let checked = last.0 - after.0;
        Ok(ChainPage { last, hash: hash(last.0), checked, faults, done: checked < limit as u64 })
    }

    async fn rebuild(&self, _: &RebuildOrder) -> Result<RebuildReport, PortError> {
        unreachable!("a patrol changes nothing")
    }
}

/// The names and subjects of what was written to the log.
type Written = Arc<Mutex<Vec<(String, String)>>>;

fn notices(written: &Written) -> Notices {
    let mut store = MockStore::new();
    let written = Arc::clone(written);
    store.expect_transact().returning(move |_, decision| {
        for fact in decision.decide(&View::default()).facts {
            if let Entry::Notice { name, subject, .. } = fact.entry {
                written.lock().expect("no panic").push((name, subject));
            }
        }
        Ok(Receipt { now: epoch(), first_position: None, due: 0, next_due: None })
    });
    Notices::new(Arc::new(store), Arc::new(CountingIds::default()))
}

fn patrol(stored: &Arc<Stored>, term: Option<u64>, written: &Written) -> Arc<Patrol> {
    let mut leases = MockLeases::new();
    leases.expect_hold().returning(move |_, _, _| Ok(term));
    leases.expect_release().returning(|_, _| Ok(()));
    let mut queries = MockQueries::new();
    let store = Arc::clone(stored);
    queries.expect_status().returning(move || {
        let head = Position(store.cut.lock().expect("no panic").unwrap_or(RECORDS));
        Ok(StoreStatus { head, ..StoreStatus::default() })
    });
    let parts = PatrolParts {
        verification: Arc::clone(stored) as Arc<dyn Verification>,
        telling: None,
        queries: Arc::new(queries),
        leases: Arc::new(leases),
        notices: notices(written),
        clock: Arc::new(VirtualClock::new()),
    };
    let settings = PatrolSettings {
        campaigns_per_second: 3,
        records_per_second: 20,
        every: Duration::from_mins(1),
        memory: Duration::from_hours(24),
    };
    Arc::new(Patrol::new(parts, settings, "one".to_owned(), Heartbeats::default().register("verification")))
}

/// Lets it patrol while `then` looks on.
async fn while_it_patrols(patrol: &Arc<Patrol>, then: impl AsyncFnOnce()) {
    let stop = CancellationToken::new();
    tokio::join!(patrol.run(stop.clone()), async {
        then().await;
        stop.cancel();
    });
}

fn report(patrol: &Patrol) -> PatrolReport {
    patrol.report().expect("it patrols")
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn fault(subject: &str) -> Violation {
    Violation {
        invariant: Invariant::TimersArePlan,
        subject: subject.to_owned(),
        detail: "a timer is not armed".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_takes_its_time_and_the_next_one_waits_for_its_own() {
    let (stored, written) = (Arc::new(Stored::default()), Written::default());
    let patrol = patrol(&stored, Some(1), &written);
    while_it_patrols(&patrol, async || {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let early = report(&patrol);
        assert_eq!((early.grounds[&Ground::Campaigns].checked, early.grounds[&Ground::Chain].checked), (9, 60));
        assert_eq!(early.grounds[&Ground::Chain].rounds, 0);
        seconds(30).await;
        let later = report(&patrol);
        assert_eq!(later.grounds[&Ground::Campaigns].checked, CAMPAIGNS as u64);
        assert_eq!(later.grounds[&Ground::Chain].checked, RECORDS);
        assert_eq!((later.grounds[&Ground::Campaigns].rounds, later.grounds[&Ground::Chain].rounds), (1, 1));
        assert!(!later.grounds.contains_key(&Ground::Streams), "there are none");
        seconds(60).await;
        assert_eq!(report(&patrol).grounds[&Ground::Chain].rounds, 2);
    })
    .await;
    let asked = stored.asked.lock().expect("no panic");
    assert!(asked.iter().all(|(campaigns, links)| *campaigns <= 3 && *links <= 20), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_told_once_and_once_more_when_it_is_right_again() {
    let (stored, written) = (Arc::new(Stored::default()), Written::default());
    stored.faults.lock().expect("no panic").push(fault("this one"));
    let patrol = patrol(&stored, Some(1), &written);
    let told = |name: &str| {
        let written = written.lock().expect("no panic");
        written.iter().filter(|(n, subject)| n == name && subject == "this one").count()
    };
    while_it_patrols(&patrol, async || {
        seconds(2).await;
        assert!(report(&patrol).violations[&Invariant::TimersArePlan] >= 1);
        seconds(120).await;
        assert_eq!((told("verification.violation"), told("verification.cleared")), (1, 0), "over two rounds");
        stored.faults.lock().expect("no panic").clear();
        seconds(120).await;
        assert_eq!((told("verification.violation"), told("verification.cleared")), (1, 1));
        assert!(!report(&patrol).violations.contains_key(&Invariant::TimersArePlan));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_loses_its_end_is_found_by_the_head_that_was_noted() {
    let (stored, written) = (Arc::new(Stored::default()), Written::default());
    let patrol = patrol(&stored, Some(1), &written);
    while_it_patrols(&patrol, async || {
        seconds(2).await;
        assert_eq!(report(&patrol).head.map(|(position, hash, _)| (position, hash)), Some((Position(100), hash(100))));
        *stored.cut.lock().expect("no panic") = Some(90);
        seconds(130).await;
        let told = written.lock().expect("no panic").clone();
        let lost = ("verification.violation".to_owned(), "position 100".to_owned());
        assert_eq!(told.iter().filter(|one| **one == lost).count(), 1, "{told:?}");
        assert_eq!(report(&patrol).head.map(|(position, ..)| position), Some(Position(90)));
        seconds(600).await;
        assert!(report(&patrol).violations.contains_key(&Invariant::EventsAreKept), "no later look brings it back");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hold_the_lease_checks_nothing_and_reports_nothing() {
    let (stored, written) = (Arc::new(Stored::default()), Written::default());
    let patrol = patrol(&stored, None, &written);
    while_it_patrols(&patrol, async || seconds(60).await).await;
    assert!(stored.asked.lock().expect("no panic").is_empty());
    assert_eq!(patrol.report(), None);
}
