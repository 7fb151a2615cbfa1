//! Where a fault happens: the rig under load, the time it has, chance from the seed, and what it notes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::interrupt::{pause, wait};
use crate::journal::{self, Attempt};
use crate::load::{CAMPAIGNS, Generator, hot};
use crate::oracles::{Finding, Kind};
use crate::rig::{Instance, Rig};

/// How long something may take on a machine that others use, too, where only outcomes are judged: what needs longer hangs.
const GENEROUS: Duration = Duration::from_mins(2);

/// How long each part of a run takes, and what it is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) steady: Duration,
    pub(crate) fault: Duration,
    /// Of a load that is too much.
    pub(crate) burst: Duration,
    /// At most.
    pub(crate) heal: Duration,
    /// Which findings break a run beside those about outcomes.
    pub(crate) measures: Measures,
}

/// What becomes of findings about times, rates and amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measures {
    Judged,
    /// Told, and no more.
    Told,
}

/// The short form.
pub(crate) const SHORT: Profile = Profile {
    name: "short",
    measures: Measures::Judged,
    steady: Duration::from_secs(5),
    fault: Duration::from_secs(10),
    burst: Duration::from_secs(10),
    heal: Duration::from_secs(10),
};

/// Before a release.
pub(crate) const FULL: Profile = Profile {
    name: "full",
    measures: Measures::Judged,
    steady: Duration::from_secs(15),
    fault: Duration::from_secs(20),
    burst: Duration::from_mins(1),
    heal: Duration::from_secs(30),
};

/// With every change: nothing is waited for that is not there to be seen.
pub(crate) const CORRECTNESS: Profile = Profile {
    name: "correctness",
    measures: Measures::Told,
    steady: Duration::from_secs(2),
    fault: Duration::from_secs(5),
    burst: Duration::from_secs(5),
    heal: GENEROUS,
};

impl Profile {
    /// How long to wait for what should come within `limit`.
    pub(crate) fn patience(&self, limit: Duration) -> Duration {
        match self.measures {
            Measures::Judged => limit,
            Measures::Told => limit.max(GENEROUS),
        }
    }

    /// Whether `finding` breaks a run.
    pub(crate) fn judges(&self, finding: &Finding) -> bool {
        finding.kind == Kind::Outcome || self.measures == Measures::Judged
    }
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    /// Between two times.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX).max(1);
        least + Duration::from_millis(self.next() % span)
    }
}

/// What a fault has in hand.
pub(crate) struct Scene<'a> {
    pub(crate) rig: &'a mut Rig,
    pub(crate) profile: Profile,
    pub(crate) chance: Chance,
    /// What every id of this run begins with.
    pub(crate) run: &'a str,
    /// The senders, which do what they are told.
    pub(crate) commands: &'a mut Generator,
    /// Where the load writes its journals.
    pub(crate) journals: &'a Path,
    /// What the fault itself found.
    pub(crate) findings: Vec<Finding>,
    /// What it has to tell.
    pub(crate) notes: Vec<String>,
}

impl Scene<'_> {
    /// Lets the fault last as long as the profile says.
    pub(crate) fn last(&self) -> Result<()> {
        pause(self.profile.fault)
    }

    /// Asks for something beside the oracles.
    pub(crate) fn expect(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.findings.push(Finding::outcome("extra", otherwise));
        }
    }

    /// Asks for a time, a rate or an amount beside the oracles.
    pub(crate) fn measure(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.findings.push(Finding::measure("extra", otherwise));
        }
    }

    /// Asks for something that should come within `limit`, and came after `took`, or never.
    pub(crate) fn in_time(&mut self, took: Option<Duration>, limit: Duration, otherwise: String) {
        self.findings.extend(Finding::late("extra", took, limit, otherwise));
    }

    /// What the senders were told so far.
    pub(crate) fn attempts(&self) -> Result<Vec<Attempt>> {
        journal::read(&self.journals.join("commands"))
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// One of the campaigns that are changed all the time.
    pub(crate) fn campaign(&mut self) -> String {
        hot(self.run, self.chance.below(CAMPAIGNS) as u64)
    }

    /// Stops an instance in order, and starts it in another environment.
    pub(crate) fn restart_with(&mut self, number: usize, environment: Vec<(String, String)>) -> Result<()> {
        let instance = &mut self.rig.instances[number];
        instance.stop()?;
        instance.environment = environment;
        instance.start()
    }

    /// Which instance holds the lease `name`.
    pub(crate) fn holder(&self, name: &str) -> Result<usize> {
        let mut found = None;
        wait(self.profile.patience(Duration::from_secs(10)), || {
            found = self.find_holder(name).ok().flatten();
            found.is_some()
        })?;
        let Some(found) = found else { bail!("nobody holds the lease {name}") };
        Ok(found)
    }

    /// Each instance names itself first.
    fn find_holder(&self, name: &str) -> Result<Option<usize>> {
        let holder =
            self.rig.sql(&format!("SELECT holder FROM leases WHERE name = '{name}' AND until > lifecycle_now()"))?;
        let is_it = |instance: &Instance| {
            let (_, system) = instance.get("/api/v1/system").ok()?;
            let system: serde_json::Value = serde_json::from_str(&system).ok()?;
            Some(system["instances"][0]["id"].as_str()? == holder.trim())
        };
        Ok(self.rig.instances.iter().position(|instance| is_it(instance).unwrap_or(false)))
    }
}
