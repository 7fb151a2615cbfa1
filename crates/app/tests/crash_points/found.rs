//! What a dead service left behind, as it lies in the store and on the bus before anybody starts it again.

use std::sync::Arc;
use std::time::Duration;

use adapters_embedded::clock::SystemClock;
use adapters_embedded::wakeups::LocalWakeups;
use adapters_embedded::{Embedded, EmbeddedSettings};
use ports::dead_letters::DeadLetters as _;
use ports::feed::{MAX_READ, Outbox};
use ports::inbound::Inbound;
use ports::journal::Position;
use ports::verification::Verification;
use serde_json::json;
use testkit::Place;

use crate::rig::{Rig, Wiring};

/// What there is of one campaign. `None` is what does not exist in that wiring, or may be either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// Its records in the log.
    pub(crate) log: usize,
    /// Answers to its commands in the inbox.
    pub(crate) answers: Option<usize>,
    /// Its timers that are pending.
    pub(crate) timers: usize,
    /// Records of the log that the world was told.
    pub(crate) told: Option<usize>,
    /// Inbound entries that were not acknowledged.
    pub(crate) unacknowledged: usize,
    /// Open dead letters.
    pub(crate) letters: usize,
}

impl Found {
    /// Nothing at all.
    pub(crate) const NOTHING: Self =
        Self { log: 0, answers: Some(0), timers: 0, told: Some(0), unacknowledged: 0, letters: 0 };

    /// The same, but that nobody can say whether it was told: the relay was at it.
    pub(crate) const fn perhaps_told(self) -> Self {
        Self { told: None, ..self }
    }

    /// Checks that this is what `expected` says.
    #[track_caller]
    pub(crate) fn is(self, expected: Self, at: &str) {
        let known = Self {
            answers: self.answers.or(expected.answers),
            told: if expected.told.is_none() { None } else { self.told.or(expected.told) },
            ..self
        };
        assert_eq!(known, expected, "what there is of it after {at}");
    }
}

impl Rig {
    /// What there is of the campaign called `id`.
    pub(crate) async fn found(&self, id: &str) -> Found {
        match self.wiring {
            Wiring::Embedded => self.in_file(id).await,
            Wiring::Servers => on_servers(self.service.place(), id),
        }
    }

    /// Looks into a copy of the file, so that the service finds its own as it left it.
    async fn in_file(&self, id: &str) -> Found {
        let (data, folder) = (self.service.folder().join("data"), tempfile::tempdir().expect("a folder"));
        for name in ["lifecycle.db", "lifecycle.db-wal"] {
            std::fs::copy(data.join(name), folder.path().join(name)).expect("copying");
        }
        let path = folder.path().join("lifecycle.db");
        let clock = Arc::new(SystemClock::new());
        let opened = Embedded::open(&path, EmbeddedSettings::default(), clock, LocalWakeups::new());
        let store = opened.expect("the copy opens");
        let mut log = 0;
        let mut after = Position::START;
        loop {
            let records = Outbox::read(store.as_ref(), after, MAX_READ).await.expect("the log");
            let Some(last) = records.last() else { break };
            after = last.position;
            let campaign = |record: &&Arc<ports::journal::Record>| {
                record.fact.entry.campaign().is_some_and(|campaign| campaign.as_str() == id)
            };
            log += records.iter().filter(campaign).count();
        }
        let files = store.case_files(None, 1_000).await.expect("the campaigns");
        let timers = files.iter().filter(|file| file.key.id.as_str() == id).map(|file| file.pending.len()).sum();
        let again = store.reclaim("test", 1, Duration::ZERO, 100).await.expect("the entries");
        let new = store.fetch("test", 1, 100, Duration::ZERO).await.expect("the entries");
        let letters = store.open_count().await.expect("the letters");
        Found {
            log,
            answers: None,
            timers,
            told: None,
            unacknowledged: again.len() + new.len(),
            letters: usize::try_from(letters).expect("a few"),
        }
    }
}

fn on_servers(place: &Place, id: &str) -> Found {
    let count = |sql: &str| -> usize { place.psql(&format!("SELECT count(*) FROM {sql}")).trim().parse().expect(sql) };
    let positions = place.psql(&format!("SELECT position FROM journal WHERE campaign = '{id}'"));
    let positions: Vec<u64> = positions.lines().map(|line| line.trim().parse().expect("a position")).collect();
    let told = place.entry_ids("lifecycle-events");
    let pending = place.redis_command("XPENDING", "campaign-events", &["lifecycle-service"]);
    Found {
        log: positions.len(),
        answers: Some(count(&format!("inbox WHERE campaign = '{id}'"))),
        timers: count(&format!(
            "timers WHERE state = 'PENDING' AND campaign = (SELECT number FROM campaigns WHERE id = '{id}')"
        )),
        told: Some(positions.iter().filter(|position| told.iter().any(|entry| entry.0 == **position)).count()),
        unacknowledged: usize::try_from(pending.get(0).unwrap_or(&json!(0)).as_u64().expect("a count")).expect("a few"),
        letters: count("dead_letters WHERE state = 'open'"),
    }
}
