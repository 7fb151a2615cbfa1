//! The faults: one idea a file, and here the table of all of them, with the numbers of the fault matrix.

mod backends_terminated;
mod instance_frozen;
mod instance_killed;
mod postgres_restarted;
mod redis_restarted;

use std::time::Duration;

use anyhow::Result;

use crate::oracles::Finding;
use crate::run::Ran;
use crate::scene::Scene;

/// A fault.
pub(crate) struct Fault {
    /// Its number in the matrix.
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    /// What happens, in one line.
    pub(crate) what: &'static str,
    /// Makes it happen, lets it last, and takes it away again.
    pub(crate) strike: fn(&mut Scene<'_>) -> Result<()>,
    pub(crate) limits: Limits,
}

/// What a fault asks for beside the oracles, and what it excuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long healing may take.
    pub(crate) heal: Duration,
    /// How late a timer may be, and how long a command may wait.
    pub(crate) timers: Option<Duration>,
    pub(crate) commands: Option<Duration>,
    /// How much of the load is answered during the fault.
    pub(crate) served_percent: Option<u32>,
    /// Redis forgets events that nobody had read: their producers send them again.
    pub(crate) loses_inbound: bool,
    /// There are dead letters afterwards, as there should be.
    pub(crate) letters: bool,
    /// The rig is not what it was: the next fault gets a new one.
    pub(crate) ruins: bool,
}

/// What most faults ask for.
pub(crate) const USUAL: Limits = Limits {
    heal: Duration::from_secs(10),
    timers: None,
    commands: None,
    served_percent: None,
    loses_inbound: false,
    letters: false,
    ruins: false,
};

impl Limits {
    /// Adds findings to `ran` for what is not kept.
    pub(crate) fn check(&self, ran: &mut Ran) {
        let mut add = |text| ran.findings.push(Finding { oracle: "extra", text });
        let late = |worst: i64, limit: Option<Duration>| {
            limit.filter(|limit| u128::try_from(worst).is_ok_and(|worst| worst > limit.as_millis()))
        };
        if let Some(limit) = late(ran.figures.worst_lateness_ms, self.timers) {
            add(format!("a timer was {} ms late, not {limit:?}", ran.figures.worst_lateness_ms));
        }
        if let Some(limit) = late(ran.figures.worst_command_ms, self.commands) {
            add(format!("a command waited for {} ms, not {limit:?}", ran.figures.worst_command_ms));
        }
        if let Some(percent) = self.served_percent
            && ran.rate_during * 100.0 < ran.rate_before * f64::from(percent)
        {
            add(format!("{:.0}/s of {:.0}/s were served, not {percent} %", ran.rate_during, ran.rate_before));
        }
    }
}

/// How a row of the matrix is covered.
pub(crate) enum Row {
    /// By a run of this command.
    Run(Fault),
    /// By tests of its own.
    Elsewhere { number: u8, name: &'static str, test: &'static str },
    /// Not on any machine that lacks something.
    NotHere { number: u8, name: &'static str, why: &'static str },
}

impl Row {
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::Run(fault) => fault.number,
            Self::Elsewhere { number, .. } | Self::NotHere { number, .. } => *number,
        }
    }
}

/// The rows that every change is held to.
pub(crate) const IN_CI: &[u8] = &[1, 2, 3, 6, 7, 9, 10, 11, 12, 14, 24, 29, 30, 31, 32, 35, 37, 40, 41, 44, 46];

/// All rows of the matrix.
pub(crate) const ROWS: &[Row] = &[
    Row::Run(instance_killed::FAULT),
    Row::Run(instance_frozen::FAULT),
    Row::Run(postgres_restarted::FAST),
    Row::Run(postgres_restarted::IMMEDIATE),
    Row::Run(backends_terminated::FAULT),
    Row::Run(redis_restarted::FAULT),
];
