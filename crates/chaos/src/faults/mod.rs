//! The faults: one idea a file, and here the table of all of them, with the numbers of the fault matrix.

mod backends_terminated;
mod burst;
mod clocks;
mod commit_answers;
mod commit_wait_cancelled;
mod connect_storm;
mod disk_full;
mod inbound_destroyed;
mod instance_frozen;
mod instance_killed;
mod instance_out_of_memory;
mod instances_all_killed;
mod locks_held;
mod marked;
mod months_detached;
mod no_file_handles;
mod one_hot_campaign;
mod poison;
mod postgres_failover;
mod postgres_left_behind;
mod postgres_restarted;
mod postgres_unreachable;
mod redis_evicts;
mod redis_failover;
mod redis_full;
mod redis_restarted;
mod redis_slow;
mod redis_unreachable;
mod redis_wiped;
mod rolling_restart;
mod slow_flushes;
mod slow_readers;
mod standby_as_primary;

pub(crate) use marked::{Cover, cover_of};

use std::time::Duration;

use anyhow::Result;
use test_servers::find;

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
    /// Why this machine cannot do it, if it cannot.
    pub(crate) needs: Option<fn() -> Option<String>>,
}

/// That a program is missing, where it is.
fn lacks(program: &str) -> Option<String> {
    find::on_path(program).is_none().then(|| format!("{program} is not installed"))
}

/// What a fault asks for beside the oracles, and what it excuses.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one excuse, named where it is given")]
pub(crate) struct Limits {
    /// How long healing may take.
    pub(crate) heal: Duration,
    /// How late a timer may be, and how long a command may wait.
    pub(crate) timers: Option<Duration>,
    pub(crate) commands: Option<Duration>,
    /// How much of the load is answered during the fault.
    pub(crate) served_percent: Option<u32>,
    /// By how much longer calls over HTTP may take, at p99: beside 1.2 times as long as before and 100 ms, which is this
    /// machine's noise.
    pub(crate) http_slower: Option<Duration>,
    /// Redis forgets events that nobody had read: their producers send them again.
    pub(crate) loses_inbound: bool,
    /// There are dead letters afterwards, as there should be.
    pub(crate) letters: bool,
    /// The clocks of instances are right, so that a timer's id tells when it was made.
    pub(crate) ids_tell_time: bool,
    /// The fault judges by itself, since what it does breaks promises on purpose.
    pub(crate) judged_by_itself: bool,
    /// The rig is not what it was: the next fault gets a new one.
    pub(crate) ruins: bool,
}

/// What most faults ask for.
pub(crate) const USUAL: Limits = Limits {
    heal: Duration::from_secs(10),
    timers: None,
    commands: None,
    served_percent: None,
    http_slower: None,
    loses_inbound: false,
    letters: false,
    ids_tell_time: true,
    judged_by_itself: false,
    ruins: false,
};

impl Limits {
    /// Adds findings to `ran` for what is not kept: all of them are measures.
    pub(crate) fn check(&self, ran: &mut Ran) {
        let mut add = |text: String| ran.findings.push(Finding::measure("extra", text));
        let late = |worst: i64, limit: Option<Duration>| {
            limit.filter(|limit| u128::try_from(worst).is_ok_and(|worst| worst > limit.as_millis()))
        };
        if let Some(limit) = late(ran.figures.worst_lateness_ms, self.timers) {
            add(format!("a timer was {} ms late, not {limit:?}", ran.figures.worst_lateness_ms));
        }
        if let Some(limit) = late(ran.figures.worst_command_ms, self.commands) {
            add(format!("a command waited for {} ms, not {limit:?}", ran.figures.worst_command_ms));
        }
        let more = ran.http_p99_during_ms - ran.http_p99_before_ms * 12 / 10 - 100;
        if self.http_slower.is_some_and(|slower| u128::try_from(more).is_ok_and(|more| more > slower.as_millis())) {
            add(format!("HTTP p99 was {} ms, and {} ms during it", ran.http_p99_before_ms, ran.http_p99_during_ms));
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
}

impl Row {
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::Run(fault) => fault.number,
            Self::Elsewhere { number, .. } => *number,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Run(fault) => fault.name,
            Self::Elsewhere { name, .. } => name,
        }
    }
}

/// All rows of the matrix.
pub(crate) const ROWS: &[Row] = &[
    Row::Run(instance_killed::FAULT),
    Row::Elsewhere { number: 2, name: "crash-points", test: "crates/app/tests/crash_points" },
    Row::Run(instance_frozen::FAULT),
    Row::Run(instances_all_killed::FAULT),
    Row::Run(instance_out_of_memory::FAULT),
    Row::Elsewhere { number: 6, name: "panics", test: "crates/app/tests/crash_points" },
    Row::Run(rolling_restart::FAULT),
    Row::Run(no_file_handles::FAULT),
    Row::Run(postgres_restarted::FAST),
    Row::Run(postgres_restarted::IMMEDIATE),
    Row::Run(backends_terminated::FAULT),
    Row::Run(commit_answers::LOSES),
    Row::Run(commit_answers::DELAYS),
    Row::Elsewhere {
        number: 14,
        name: "commit-of-aborted",
        test: "crates/adapters-postgres/src/unit.rs: an_overlooked_error_is_never_told_as_success",
    },
    Row::Run(postgres_unreachable::BOTH_WAYS),
    Row::Run(postgres_unreachable::ANSWERS),
    Row::Run(postgres_unreachable::SLOW),
    Row::Run(postgres_failover::FAULT),
    Row::Run(postgres_left_behind::FAULT),
    Row::Run(commit_wait_cancelled::FAULT),
    Row::Run(standby_as_primary::FAULT),
    Row::Run(disk_full::FAULT),
    Row::Run(slow_flushes::FAULT),
    Row::Run(locks_held::OF_A_CAMPAIGN),
    Row::Run(locks_held::OF_THE_LOG),
    Row::Run(locks_held::IN_A_CIRCLE),
    Row::Run(locks_held::OF_THE_HEAD),
    Row::Run(locks_held::OF_A_SNAPSHOT),
    Row::Run(redis_restarted::FAULT),
    Row::Run(redis_wiped::FAULT),
    Row::Run(redis_failover::FAULT),
    Row::Run(redis_unreachable::FAULT),
    Row::Run(redis_slow::FAULT),
    Row::Run(redis_full::FAULT),
    Row::Run(inbound_destroyed::FAULT),
    Row::Run(redis_evicts::FAULT),
    Row::Run(clocks::OF_INSTANCES),
    Row::Run(clocks::OF_THE_DATABASE),
    Row::Elsewhere { number: 39, name: "summer-time", test: "crates/wire/src/time.rs: times are UTC instants only" },
    Row::Run(burst::FAULT),
    Row::Run(poison::FAULT),
    Row::Run(one_hot_campaign::FAULT),
    Row::Run(months_detached::FAULT),
    Row::Run(slow_readers::FAULT),
    Row::Run(connect_storm::FAULT),
    Row::Elsewhere { number: 46, name: "hostile-input", test: "crates/app/tests/scenarios" },
    Row::Elsewhere {
        number: 47,
        name: "embedded-cuts",
        test: "crates/adapters-embedded/tests/power_cuts.rs, crates/app/tests/scenarios/process_kills.rs",
    },
];
