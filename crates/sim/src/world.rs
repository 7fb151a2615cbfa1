//! The world of one run: the servers, virtual time, chance, and who watches that all promises are kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::TimeDelta;
use domain::Timestamp;
use ports::store::{Changes, View};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::calls::wakeups::SimWakeups;
use crate::fault::Fault;
use crate::model::bus::Bus;
use crate::model::store::{Committed, Database, Failure};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::sabotage::Sabotage;
use crate::trace::Trace;

/// 2026-01-01T00:00:00Z, in seconds: when every world begins.
const BEGIN: i64 = 1_767_225_600;

/// The world of one run.
pub struct World {
    pub(crate) plan: Plan,
    started: Instant,
    /// What the clock of this world is ahead of the runtime's, in microseconds.
    moved: AtomicI64,
    /// How far the store's clock was set, in microseconds.
    store_set: AtomicI64,
    /// The latest that the store's clock has shown, in microseconds since the beginning: it may be set back.
    store_latest: AtomicI64,
    state: Mutex<State>,
    /// A transaction has let go of its campaigns.
    pub(crate) released: Notify,
    /// The inbound stream has something new.
    pub(crate) appended: Notify,
    /// An instance came up.
    pub(crate) came_up: Notify,
    /// A promise was broken.
    pub(crate) broken: CancellationToken,
    /// Nothing goes wrong any more.
    pub(crate) calm: CancellationToken,
}

/// What changes in it.
pub(crate) struct State {
    pub(crate) rng: Rng,
    pub(crate) db: Database,
    pub(crate) bus: Bus,
    pub(crate) audit: Audit,
    pub(crate) trace: Trace,
    /// The bus as it was, in microseconds since the beginning.
    pub(crate) past: VecDeque<(i64, Bus)>,
    /// Until then the store is away.
    pub(crate) store_back: i64,
    /// Until then the bus is away.
    pub(crate) bus_back: i64,
    /// How often all connections to the bus were lost.
    pub(crate) bus_losses: u64,
    pub(crate) wakeups: Vec<Weak<SimWakeups>>,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(plan: Plan, with_lines: bool) -> Arc<Self> {
        let state = State {
            rng: Rng::new(plan.seed),
            db: Database::default(),
            bus: Bus::default(),
            audit: Audit::new(&plan),
            trace: Trace::new(with_lines),
            past: VecDeque::new(),
            store_back: 0,
            bus_back: 0,
            bus_losses: 0,
            wakeups: Vec::new(),
        };
        Arc::new(Self {
            plan,
            started: Instant::now(),
            moved: AtomicI64::new(0),
            store_set: AtomicI64::new(0),
            store_latest: AtomicI64::new(0),
            state: Mutex::new(state),
            released: Notify::new(),
            appended: Notify::new(),
            came_up: Notify::new(),
            broken: CancellationToken::new(),
            calm: CancellationToken::new(),
        })
    }

    /// What changes. Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the beginning.
    pub(crate) fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX) + self.moved.load(Ordering::Relaxed)
    }

    /// The true time.
    pub(crate) fn now(&self) -> Timestamp {
        instant(self.elapsed())
    }

    /// What the store's clock shows.
    pub(crate) fn store_clock(&self) -> Timestamp {
        let shown = self.elapsed() + self.store_set.load(Ordering::Relaxed);
        self.store_latest.fetch_max(shown, Ordering::Relaxed);
        instant(shown)
    }

    /// The latest that the store's clock has shown: no timer that is due later may have fired.
    fn latest_store_clock(&self) -> Timestamp {
        self.store_clock();
        instant(self.store_latest.load(Ordering::Relaxed))
    }

    pub(crate) fn set_store_clock(&self, by: TimeDelta) {
        self.store_set.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }

    /// Moves time on, where the runtime's does not: in the suites of the ports.
    pub fn move_on(&self, by: TimeDelta) {
        self.moved.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }

    /// Makes the row of a campaign unreadable.
    pub fn spoil(&self, key: &domain::CampaignKey) {
        self.state().db.spoil(key, true);
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm_down(&self) {
        self.calm.cancel();
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.is_cancelled()
    }

    /// Whether `fault` happens now, at a call of `who`.
    pub(crate) fn strikes(&self, fault: Fault, who: u64) -> bool {
        let rate = self.plan.rates.of(fault);
        if rate == 0 || self.is_calm() {
            return false;
        }
        let at = self.elapsed();
        let mut state = self.state();
        let strikes = state.rng.chance(rate);
        if strikes {
            state.trace.event(at, "fault", [fault as u64, who], || format!("{fault:?} at {who}"));
        }
        strikes
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        self.state().rng.between(low, high)
    }

    /// Whether this bug is planted.
    pub(crate) fn has(&self, sabotage: Sabotage) -> bool {
        cfg!(feature = "sabotage") && self.plan.sabotage == Some(sabotage)
    }

    /// Something happened.
    pub(crate) fn tell(&self, tag: &'static str, numbers: [u64; 2], line: impl FnOnce() -> String) {
        let at = self.elapsed();
        self.state().trace.event(at, tag, numbers, line);
    }

    /// Commits what was decided on `view`, and checks what that did.
    pub(crate) fn commit(&self, view: &View, changes: Changes, who: u64) -> Result<Committed, Failure> {
        let (at, clock, cursed) = (self.elapsed(), self.latest_store_clock(), !self.is_calm());
        let mut state = self.state();
        let State { db, audit, trace, .. } = &mut *state;
        let committed = db.commit(view, changes, cursed)?;
        for record in &committed.records {
            let number = record.position.0;
            trace.event(at, "commit", [number, who], || format!("{number} by {who}: {}", crate::audit::shown(record)));
        }
        audit.committed(db, &committed, clock);
        let is_broken = audit.is_broken();
        drop(state);
        if is_broken {
            self.broken.cancel();
        }
        Ok(committed)
    }

    /// Looks at something with the auditor.
    pub(crate) fn audit<T>(&self, look: impl FnOnce(&mut Audit, &Database, &Bus) -> T) -> T {
        let mut state = self.state();
        let State { db, bus, audit, .. } = &mut *state;
        let found = look(audit, db, bus);
        if audit.is_broken() {
            self.broken.cancel();
        }
        found
    }

    pub(crate) fn is_store_away(&self) -> bool {
        self.state().store_back > self.elapsed() && !self.is_calm()
    }

    pub(crate) fn is_bus_away(&self) -> bool {
        self.state().bus_back > self.elapsed() && !self.is_calm()
    }
}

/// So many microseconds after the beginning.
fn instant(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(BEGIN * 1_000_000 + micros).unwrap_or_default()
}
