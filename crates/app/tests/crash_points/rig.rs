//! A service that dies where it is told to. What is found behind it lives in `found`.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use failpoints::{Point, VARIABLE};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Api, Place, Service, until};

use crate::BINARY;

/// What `abort` ends a process with.
const SIGABRT: i32 = 6;

/// Where the service keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wiring {
    Embedded,
    Servers,
}

impl Wiring {
    /// Whether its store comes by `point`.
    pub(crate) fn has(self, point: Point) -> bool {
        self == Self::Embedded || point != Point::StoreLogWritten
    }
}

/// A service with crash points.
pub(crate) struct Rig {
    pub(crate) wiring: Wiring,
    pub(crate) service: Service,
    orders: TempDir,
}

impl Rig {
    /// One that runs, and has nothing to do.
    pub(crate) async fn start(wiring: Wiring) -> Self {
        let orders = tempfile::tempdir().expect("a folder");
        let file = orders.path().join("orders");
        let settings = [
            (VARIABLE, file.to_str().expect("UTF-8")),
            // Nobody passes a point but for the sake of what the test does.
            ("LIFECYCLE_TIMERS__SAFETY_POLL", "5m"),
        ];
        let place = (wiring == Wiring::Servers).then(|| Arc::new(Place::fresh(BINARY)));
        let mut rig = Self { wiring, service: Service::prepare(BINARY, place, &settings), orders };
        rig.launch().await;
        rig
    }

    /// Starts it, and waits until it has nothing to do.
    pub(crate) async fn launch(&mut self) {
        self.service.launch().await;
        self.settle().await;
    }

    /// Waits until it has recovered, and told everything.
    pub(crate) async fn settle(&self) {
        let api = self.api();
        until("it has nothing to do", async || {
            let system = api.get("/api/v1/system").await.expect(200);
            (!system["recovery"].is_null() && system["published"] == system["head"]).then_some(())
        })
        .await;
    }

    pub(crate) fn api(&self) -> Api {
        self.service.admin()
    }

    fn file(&self) -> PathBuf {
        self.orders.path().join("orders")
    }

    /// The next one who comes to `point` does `action`.
    pub(crate) fn arm(&self, point: Point, action: &str) {
        let new = self.orders.path().join("new");
        std::fs::write(&new, format!("{} {action}", point.name())).expect("written");
        std::fs::rename(new, self.file()).expect("in place");
    }

    /// Whether nobody came yet.
    pub(crate) fn is_armed(&self) -> bool {
        self.file().exists()
    }

    /// Waits until it dies at `point`, where it was told to.
    pub(crate) async fn dies(&mut self, point: Point) {
        let status = self.service.ended().await;
        assert_eq!(status.signal(), Some(SIGABRT), "{status}:\n{}", self.service.log());
        let last = format!("aborted at {}\n", point.name());
        assert!(self.service.log().ends_with(&last), "{}", self.service.log());
        assert!(!self.is_armed());
    }

    /// What must hold at the end of every test: all that was committed was told, once and in order, and every invariant
    /// holds after an orderly stop.
    pub(crate) async fn finish(self) {
        self.settle().await;
        if self.wiring == Wiring::Servers {
            self.check_streams();
        }
        self.service.finish().await;
    }

    /// Checks that the outbound streams hold every position of the log exactly once, in order.
    fn check_streams(&self) {
        let place = self.service.place();
        let head: u64 = place.psql("SELECT position FROM journal_head").trim().parse().expect("a position");
        let mut told: Vec<(u64, u64)> = Vec::new();
        for stream in ["lifecycle-events", "timer-events", "system-events"] {
            let ids = place.entry_ids(stream);
            assert!(ids.is_sorted(), "{stream} is not in order");
            told.extend(ids);
        }
        told.sort_unstable();
        let mut expected = (1, 0);
        for id in told {
            assert!(id == expected || id == (expected.0 + 1, 0), "after {expected:?} comes {id:?}");
            expected = (id.0, id.1 + 1);
        }
        assert_eq!(expected.0, head, "the end was not told");
    }
}

/// The statuses in `transitions`.
pub(crate) fn path(transitions: &[Value]) -> Vec<&str> {
    transitions.iter().filter_map(|transition| transition["toStatus"].as_str()).collect()
}
