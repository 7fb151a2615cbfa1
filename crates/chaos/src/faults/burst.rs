//! Ten times the load for a time, and then the usual one again. What is too much is refused and comes again, memory stays
//! bounded, and calls are soon answered as fast as before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Fault, Limits, USUAL};
use crate::interrupt::{pause, wait};
use crate::journal::{Attempt, Via};
use crate::load::RATE;
use crate::oracles::http_p99;
use crate::scene::Scene;

/// How many times the usual load.
const TIMES: u32 = 10;

/// By how much an instance may grow until all is as before.
const GROWTH_KIB: u64 = 64 * 1024;

/// How long it may take until calls are answered as fast as before.
const BACK: Duration = Duration::from_secs(30);

/// Over how many milliseconds of answers that is looked at.
const WINDOW: i64 = 5_000;

pub(super) const FAULT: Fault = Fault {
    number: 40,
    name: "burst",
    what: "ten times the load, 600 commands a second, and then the usual one again",
    strike,
    limits: Limits { heal: BACK, ..USUAL },
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let before = http_p99(scene.attempts()?.iter());
    let at_rest = memory(scene)?;
    let begun = testkit::now_millis();
    scene.commands.tell(&format!("rate {}", RATE * TIMES))?;
    let mut highest = at_rest.clone();
    let end = Instant::now() + scene.profile.burst;
    while Instant::now() < end {
        raise(&mut highest, memory(scene)?);
        pause(Duration::from_millis(100))?;
    }
    scene.commands.tell(&format!("rate {RATE}"))?;
    let over = testkit::now_millis();
    let limit = before * 12 / 10 + 100;
    let mut latest = 0;
    let back = wait(scene.profile.patience(BACK), || {
        // What was refused comes again: the most may be held only now.
        raise(&mut highest, memory(scene).unwrap_or_default());
        let end = testkit::now_millis();
        latest = scene.attempts().map_or(i64::MAX, |attempts| p99_of_answers(&attempts, end - WINDOW, end));
        end - over >= WINDOW && latest <= limit
    })?;
    let attempts = scene.attempts()?;
    scene.note(told(&attempts, begun, over));
    for (number, (rest, most)) in at_rest.iter().zip(&highest).enumerate() {
        scene.note(format!("instance {number}: {} MiB before, at most {} MiB", rest / 1024, most / 1024));
        scene.measure(*most <= rest + GROWTH_KIB, format!("instance {number} grew from {rest} to {most} KiB"));
    }
    scene.note(format!("HTTP p99: {before} ms before, {latest} ms in the last {WINDOW} ms, back after {back:?}"));
    scene.in_time(back, BACK, format!("HTTP p99 was {before} ms, and {latest} ms {BACK:?} after the burst"));
    Ok(())
}

/// What each instance holds, in KiB.
fn memory(scene: &Scene<'_>) -> Result<Vec<u64>> {
    scene.rig.instances.iter().map(|instance| Ok(instance.holdings()?.memory_kib)).collect()
}

/// Keeps the most of each.
fn raise(highest: &mut [u64], now: Vec<u64>) {
    for (most, now) in highest.iter_mut().zip(now) {
        *most = now.max(*most);
    }
}

/// The p99 of the calls that were answered between two instants; endless when they are fewer than half of the usual load,
/// of which one half are calls.
fn p99_of_answers(attempts: &[Attempt], begin: i64, end: i64) -> i64 {
    let within = |attempt: &&Attempt| attempt.via == Via::Http && (begin..end).contains(&attempt.answered);
    let answers = attempts.iter().filter(within);
    let expected = i64::from(RATE / 4) * (end - begin) / 1000;
    if i64::try_from(answers.clone().count()).is_ok_and(|count| count < expected) {
        i64::MAX
    } else {
        http_p99(answers)
    }
}

/// How many were sent in the burst, what they were told, and how long the slowest call took.
fn told(attempts: &[Attempt], begun: i64, over: i64) -> String {
    let within: Vec<_> = attempts.iter().filter(|attempt| (begun..over).contains(&attempt.sent)).collect();
    let mut answers = BTreeMap::<&str, usize>::new();
    for attempt in &within {
        // Why a connection failed is long.
        let said = if attempt.said.len() > 30 { "no answer" } else { &attempt.said };
        *answers.entry(said).or_default() += 1;
    }
    let calls = within.iter().filter(|attempt| attempt.via == Via::Http);
    let slowest = calls.map(|attempt| attempt.answered - attempt.sent).max().unwrap_or_default();
    format!("{} sent in {} ms: {answers:?}; the slowest call took {slowest} ms", within.len(), over - begun)
}
