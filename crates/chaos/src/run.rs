//! One run: load, steady for a while, a fault, healing, and the judgement.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use testkit::now_millis;

use crate::faults::{Fault, Limits};
use crate::interrupt::{pause, wait};
use crate::journal::{self, Attempt, Outcome};
use crate::load::{CLIENTS, Generator, RATE, hot};
use crate::oracles::{self, Baseline, Circumstances, Facts, Figures, Finding, OVERDUE, inbound_left};
use crate::rig::Rig;
use crate::scene::{Chance, Measures, Profile, Scene};

/// A run with less load before the fault proves nothing.
const LEAST_RATE: f64 = 40.0;

/// Commands a second while it heals, where measures are not judged.
const LIGHT: u32 = 10;

/// How long after the end of the fault nothing may be unknown any more.
const ALL_SETTLED: Duration = Duration::from_mins(1);

/// How long after the load has ended the last events may be under way.
const DRAINED: Duration = Duration::from_secs(20);

/// What became of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ran {
    pub(crate) number: u8,
    pub(crate) fault: &'static str,
    pub(crate) seed: u64,
    pub(crate) verdict: Verdict,
    /// Answers a second before the fault, and during it.
    pub(crate) rate_before: f64,
    pub(crate) rate_during: f64,
    pub(crate) http_p99_before_ms: i64,
    pub(crate) http_p99_during_ms: i64,
    /// From the end of the fault until everything works, and nothing is late any more.
    pub(crate) heal_ms: Option<u64>,
    pub(crate) took_seconds: f64,
    pub(crate) figures: Figures,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Held,
    Broken,
    /// There was too little load to say anything.
    Void,
}

/// The processes of the load.
struct Load {
    commands: Generator,
    watch: Generator,
    read: Generator,
}

impl Load {
    fn start(rig: &Rig, profile: Profile, run: &str, folder: &Path, seed: u64, from: u64) -> Result<Self> {
        let (service, redis, token) = (rig.service(), rig.outside_redis(), Rig::token());
        let start = |what: &str, rest: &[(&str, String)]| {
            let journal = folder.join(what).display().to_string();
            let mut arguments = vec![what.to_owned(), "--journal".to_owned(), journal];
            arguments.extend(rest.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]));
            Generator::start(&arguments)
        };
        let of_run = ("run", run.to_owned());
        let (to_service, to_redis) = (("service", service.to_string()), ("redis", redis.to_string()));
        let token = ("token", token);
        let read = start("read", &[to_redis.clone(), ("after", from.to_string())])?;
        let patience = ("patience", profile.patience(ALL_SETTLED).as_secs().to_string());
        let commands = start("commands", &[to_service.clone(), to_redis, of_run.clone(), token.clone(), patience])?;
        let watch = start("watch", &[to_service, of_run, token, ("seed", seed.to_string())])?;
        Ok(Self { commands, watch, read })
    }
}

/// Lets `fault` happen on `rig`, and judges.
pub(crate) fn run(rig: &mut Rig, fault: &Fault, profile: Profile, seed: u64, run: &str) -> Result<Ran> {
    let begun = Instant::now();
    let folder = rig.folder().join(run);
    std::fs::create_dir_all(&folder)?;
    let limits = fault.limits;
    let anchor = rig.sql("SELECT position || ':' || encode(hash, 'hex') FROM journal_head")?.trim().to_owned();
    let from = anchor.split(':').next().context("no position")?.parse()?;
    let mut load = Load::start(rig, profile, run, &folder, seed, from)?;
    let steady = now_millis();
    pause(profile.steady)?;
    if profile.measures == Measures::Told {
        // As much as the usual load is in a second, however long that takes here.
        wait(profile.patience(Duration::ZERO), || accepted(&folder).is_ok_and(|count| count >= RATE as usize))?;
    }
    let baseline = Baseline::of(rig)?;
    let struck = now_millis();
    let rate_before = oracles::rate(&journal::read(&folder.join("commands"))?, steady, struck);
    let mut ran = Ran {
        number: fault.number,
        fault: fault.name,
        seed,
        verdict: Verdict::Void,
        rate_before,
        rate_during: 0.0,
        http_p99_before_ms: 0,
        http_p99_during_ms: 0,
        heal_ms: None,
        took_seconds: 0.0,
        figures: Figures::default(),
        findings: Vec::new(),
        notes: Vec::new(),
    };
    let is_void = match profile.measures {
        Measures::Judged => rate_before < LEAST_RATE,
        Measures::Told => accepted(&folder)? == 0,
    };
    if is_void {
        ran.took_seconds = begun.elapsed().as_secs_f64();
        return Ok(ran);
    }
    let mut scene = Scene {
        rig,
        profile,
        chance: Chance::new(seed),
        run,
        commands: &mut load.commands,
        journals: &folder,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    (fault.strike)(&mut scene)?;
    let over = now_millis();
    (ran.findings, ran.notes) = (scene.findings, scene.notes);
    if limits.judged_by_itself {
        drop(load);
        return Ok(ran.judged(profile, begun));
    }
    if profile.measures == Measures::Told {
        // A machine that cannot carry the load is no service that hangs.
        load.commands.tell(&format!("rate {LIGHT}"))?;
    }
    heal(rig, profile, limits, &mut ran)?;
    let settled = load.commands.tell("finish")?;
    if limits.loses_inbound {
        // As producers do that were told no outcome.
        load.commands.tell("again")?;
    }
    drain(rig, profile, &mut ran)?;
    let head: u64 = rig.number("SELECT position FROM journal_head")?;
    let read = load.read.tell(&format!("finish {head}"))?;
    let watched = load.watch.tell(&format!("finish {}", ends(rig, run, head)?))?;
    let facts = Facts::of(rig, run, &folder, from, head)?;
    let patience = profile.patience(Duration::ZERO);
    let circumstances = Circumstances { run, anchor: &anchor, baseline: &baseline, limits: &limits, patience };
    let judgement = oracles::judge(rig, &facts, &circumstances)?;
    drop(load);
    ran.rate_during = facts.rate(struck, over);
    (ran.http_p99_before_ms, ran.http_p99_during_ms) = (facts.http_p99(steady, struck), facts.http_p99(struck, over));
    ran.figures = judgement.figures;
    ran.findings.extend(judgement.findings);
    limits.check(&mut ran);
    if limits.http_slower.is_some() {
        ran.notes
            .push(format!("HTTP p99: {} ms before, {} ms during it", ran.http_p99_before_ms, ran.http_p99_during_ms));
    }
    if !ran.findings.is_empty() {
        ran.notes.extend([settled, read, watched]);
    }
    Ok(ran.judged(profile, begun))
}

/// Up to where live clients have to hear, as they are told: of everything, and of each campaign with the number of a client.
fn ends(rig: &Rig, run: &str, head: u64) -> Result<String> {
    let campaigns: Vec<_> = (0..CLIENTS).map(|number| format!("'{}'", hot(run, number as u64))).collect();
    let ends = rig.sql(&format!(
        "SELECT coalesce(max(position), 0) FROM journal WHERE campaign LIKE '{run}-%' AND position <= {head} \
         UNION ALL (SELECT coalesce(max(position), 0) FROM unnest(ARRAY[{}]) WITH ORDINALITY AS client (name, number) \
           LEFT JOIN journal ON campaign = name AND position <= {head} GROUP BY number ORDER BY number)",
        campaigns.join(", ")
    ))?;
    Ok(ends.lines().collect::<Vec<_>>().join(" "))
}

impl Ran {
    fn judged(mut self, profile: Profile, begun: Instant) -> Self {
        let (findings, told) = self.findings.into_iter().partition(|finding| profile.judges(finding));
        self.findings = findings;
        self.notes.extend(told.iter().map(|Finding { oracle, text, .. }| format!("not judged: {oracle}: {text}")));
        self.verdict = if self.findings.is_empty() { Verdict::Held } else { Verdict::Broken };
        self.took_seconds = begun.elapsed().as_secs_f64();
        self
    }
}

/// How many commands were accepted so far.
fn accepted(folder: &Path) -> Result<usize> {
    let attempts: Vec<Attempt> = journal::read(&folder.join("commands"))?;
    Ok(attempts.iter().filter(|attempt| attempt.outcome == Outcome::Ok).count())
}

/// Waits until everything works again: all are ready, nothing is overdue or waits to be consumed, and the world was told of
/// all that was committed before.
fn heal(rig: &Rig, profile: Profile, limits: Limits, ran: &mut Ran) -> Result<()> {
    let limit = profile.patience(profile.heal.max(limits.heal));
    let begun = Instant::now();
    let mut head = None;
    let healed = wait(limit, || {
        head = head.or_else(|| rig.number("SELECT position FROM journal_head").ok());
        head.is_some_and(|head| rig.is_ready() && works(rig, head).unwrap_or(false))
    })?;
    ran.heal_ms = healed.map(|_| u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    let state = || -> Result<String> {
        let ready: Vec<_> = rig.instances.iter().map(|i| i.get("/readyz?verbose").map(|(_, body)| body)).collect();
        Ok(format!("{ready:?}, {} events left, {} overdue", inbound_left(rig)?, rig.sql(OVERDUE)?))
    };
    match healed {
        None => {
            let text = format!("not healed after {limit:?}: {}", state().unwrap_or_else(|error| format!("{error:#}")));
            ran.findings.push(Finding::outcome("heal", text));
        }
        Some(took) if took > limits.heal => {
            ran.findings.push(Finding::measure("heal", format!("healing took {took:?}, not {:?}", limits.heal)));
        }
        Some(_) => {}
    }
    Ok(())
}

fn works(rig: &Rig, head: u64) -> Result<bool> {
    // With the load going on there is always something under way.
    const UNDER_WAY: u64 = 60;
    Ok(rig.number::<u64>(OVERDUE)? == 0 && inbound_left(rig)? < UNDER_WAY && told(rig)? >= head)
}

/// The last position of which the streams tell.
fn told(rig: &Rig) -> Result<u64> {
    let mut told = 0;
    for stream in ["lifecycle-events", "timer-events", "system-events"] {
        let last = rig.redis().try_cli(&["XREVRANGE", stream, "+", "-", "COUNT", "1"])?;
        let position = last.lines().next().and_then(journal::place).map(|(position, _)| position);
        told = told.max(position.unwrap_or_default());
    }
    Ok(told)
}

/// Waits until all events were consumed.
fn drain(rig: &Rig, profile: Profile, ran: &mut Ran) -> Result<()> {
    let took = wait(profile.patience(DRAINED), || inbound_left(rig).is_ok_and(|left| left == 0))?;
    ran.findings.extend(Finding::late("O9", took, DRAINED, format!("events are not consumed within {DRAINED:?}")));
    Ok(())
}
