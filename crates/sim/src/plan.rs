//! What one seed does: how large its world is, which faults it knows and how often they come (swarm testing).

use std::time::Duration;

use crate::fault::{Fault, Rates};
use crate::rng::Rng;
use crate::sabotage::Sabotage;

/// The plan of one run. The same plan is always the same run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// How often what goes wrong, in the first phase.
    pub rates: Rates,
    /// How many operations clients and producers do.
    pub operations: u64,
    /// How many instances there are.
    pub instances: usize,
    /// A bug that is planted.
    pub sabotage: Option<Sabotage>,
    pub(crate) campaigns: u64,
    pub(crate) callers: usize,
    pub(crate) producers: usize,
    pub(crate) watchers: usize,
    /// How long the first phase is, in virtual time, beside what everything is down for.
    pub(crate) active: Duration,
    /// The longest time that a call to a server takes.
    pub(crate) latency_ms: u64,
    /// Batches that a live client may be behind.
    pub(crate) live_batches: usize,
    pub(crate) settings: Settings,
    pub(crate) lines: Lines,
}

/// What can be configured, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) command_batch: usize,
    pub(crate) timer_batch: usize,
    pub(crate) event_batch: usize,
    pub(crate) timer_attempts: u32,
    pub(crate) safety_poll: Duration,
    pub(crate) retry_window: Duration,
    pub(crate) waiting: usize,
    pub(crate) take_over_after: Duration,
}

impl Settings {
    fn of(rng: &mut Rng) -> Self {
        Self {
            command_batch: rng.pick(&[1, 2, 10, 500]),
            timer_batch: rng.pick(&[1, 3, 20, 500]),
            event_batch: rng.pick(&[1, 3, 20, 500]),
            timer_attempts: rng.pick(&[2, 5, 8]),
            safety_poll: Duration::from_millis(rng.pick(&[500, 1_000, 5_000])),
            retry_window: Duration::from_secs(rng.pick(&[2, 10, 20])),
            waiting: rng.pick(&[2, 50, 10_000]),
            take_over_after: Duration::from_secs(rng.pick(&[1, 5])),
        }
    }
}

/// What live clients and their hubs have: small in most worlds, so that limits are met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    /// Bytes that are on their way to a client.
    pub(crate) pipe: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) resume_limit: usize,
    /// Reads for clients at once.
    pub(crate) reads: usize,
    pub(crate) send_limit: Duration,
    pub(crate) slow_limit: Duration,
    /// Records that the feed keeps; older ones cannot be resumed from.
    pub(crate) kept: u64,
}

impl Lines {
    fn of(rng: &mut Rng) -> Self {
        Self {
            pipe: rng.pick(&[1_024, 4_096, 65_536]),
            queue_bytes: rng.pick(&[1, 2_000, 20_000, 262_144]),
            resume_limit: rng.pick(&[5, 100, 10_000]),
            reads: rng.pick(&[1, 4]),
            send_limit: Duration::from_millis(rng.pick(&[500, 5_000])),
            slow_limit: Duration::from_secs(rng.pick(&[2, 15])),
            kept: rng.pick(&[30, 200, u64::MAX, u64::MAX]),
        }
    }
}

impl Plan {
    /// What `seed` does.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5EED_5EED_5EED_5EED);
        let mut rates = Rates::none();
        // A few seeds are all calm, and show what holds where nothing goes wrong.
        if !rng.chance(30) {
            let share = rng.pick(&[100, 250, 450]);
            for fault in Fault::ALL {
                if rng.chance(share) {
                    rates.set(fault, rate(&mut rng, fault));
                }
            }
        }
        Self {
            seed,
            rates,
            operations: rng.pick(&[200, 400, 400, 600]),
            instances: rng.pick(&[1, 2, 2, 3, 3]),
            sabotage: None,
            campaigns: rng.between(3, 25),
            callers: rng.index(6) + 2,
            producers: rng.index(3) + 1,
            watchers: rng.index(3) + 1,
            active: Duration::from_secs(rng.between(30, 100)),
            latency_ms: rng.pick(&[0, 0, 1, 2, 8]),
            live_batches: rng.pick(&[1, 4, 64]),
            settings: Settings::of(&mut rng),
            lines: Lines::of(&mut rng),
        }
    }

    /// The same with a planted bug, if any.
    pub fn with(self, sabotage: Option<Sabotage>) -> Self {
        Self { sabotage, ..self }
    }

    /// The smallest world there is, in which nothing goes wrong: for the contracts of the ports.
    pub fn calm() -> Self {
        let mut plan = Self::of(0);
        plan.rates = Rates::none();
        plan.latency_ms = 0;
        plan.live_batches = 16;
        plan.lines.kept = u64::MAX;
        plan
    }

    /// The settings of an instance: all have the same, unless different versions work side by side.
    pub(crate) fn settings_of(&self, rng: &mut Rng) -> Settings {
        if self.rates.of(Fault::Mixed) > 0 { Settings::of(rng) } else { self.settings }
    }

    /// Whether events of one producer about one campaign must take effect in the order in which they were sent.
    pub(crate) fn keeps_order(&self) -> bool {
        !self.rates.any(Fault::disorders_events)
    }
}

fn rate(rng: &mut Rng, fault: Fault) -> u32 {
    match fault {
        Fault::AllDown => rng.pick(&[3, 10]),
        Fault::ClockSkew | Fault::Mixed => 1,
        fault if fault.is_weather() => rng.pick(&[10, 30, 100]),
        Fault::Impatience | Fault::Poison | Fault::SlowReader => rng.pick(&[10, 50, 100]),
        _ => rng.pick(&[2, 10, 40, 120]),
    }
}
