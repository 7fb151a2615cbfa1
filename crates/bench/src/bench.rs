//! One run of the bench: what it is about to measure, how much of it, and what it has read so far.

use std::path::PathBuf;
use std::sync::OnceLock;

use chrono::Utc;

use crate::report::{About, Report};
use crate::servers::Servers;

/// What scenarios share.
pub(crate) struct Bench {
    pub(crate) report: Report,
    pub(crate) scale: Scale,
    /// The program under test.
    pub(crate) binary: PathBuf,
    /// Where the peers' programs are, installed.
    pub(crate) peers: PathBuf,
    /// Whether to tell what the servers were busy with.
    pub(crate) profile: bool,
    servers: OnceLock<Servers>,
}

impl Bench {
    pub(crate) fn new(scale: Scale, binary: PathBuf, peers: PathBuf, profile: bool) -> Self {
        let about = About::new(Utc::now(), !cfg!(debug_assertions), scale);
        Self { report: Report::new(about), scale, binary, peers, profile, servers: OnceLock::new() }
    }

    /// PostgreSQL and Redis, started when they are first needed.
    pub(crate) fn servers(&self) -> &Servers {
        self.servers.get_or_init(|| {
            let servers = Servers::start();
            for (name, version) in servers.versions() {
                self.report.version(name, &version);
            }
            servers
        })
    }
}

/// How much work a run does, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// The short form, for a continuous check of ratios.
    pub(crate) quick: bool,
    pub(crate) runs: usize,
    /// How many timers are due at one instant.
    pub(crate) bursts: &'static [usize],
    /// The same for the peers.
    pub(crate) peer_burst: usize,
    /// Timers a second.
    pub(crate) rates: &'static [usize],
    pub(crate) steady_seconds: usize,
    /// Campaigns created over HTTP.
    pub(crate) creates: usize,
    /// How long pages are asked for.
    pub(crate) api_seconds: u64,
    /// Events sent as fast as they are taken.
    pub(crate) ingest: usize,
    /// Timers that are overdue at a start.
    pub(crate) overdue: usize,
    /// Timers that wait while others are measured.
    pub(crate) pending: usize,
    /// How long the mixed load lasts, and how often it is looked at.
    pub(crate) soak_seconds: usize,
    pub(crate) soak_every: usize,
}

/// What `docs/PERFORMANCE.md` is made of.
pub(crate) const FULL: Scale = Scale {
    quick: false,
    runs: 3,
    bursts: &[20_000, 100_000],
    peer_burst: 20_000,
    rates: &[300, 2_000],
    steady_seconds: 20,
    creates: 20_000,
    api_seconds: 8,
    ingest: 60_000,
    overdue: 100_000,
    pending: 1_000_000,
    soak_seconds: 600,
    soak_every: 10,
};

/// A first impression, and the check of every change.
pub(crate) const QUICK: Scale = Scale {
    quick: true,
    runs: 1,
    bursts: &[5_000],
    peer_burst: 2_000,
    rates: &[300],
    steady_seconds: 5,
    creates: 5_000,
    api_seconds: 3,
    ingest: 10_000,
    overdue: 5_000,
    pending: 10_000,
    soak_seconds: 20,
    soak_every: 2,
};
