//! Most of the load is about one campaign. The others do not wait for it.

use anyhow::Result;

use super::{Fault, USUAL};
use crate::interrupt::pause;
use crate::journal::{Attempt, Via};
use crate::load::{RATE, hot};
use crate::oracles::http_p99;
use crate::scene::Scene;

/// How many of 100 commands are about it.
const CROWD: u8 = 90;

/// So many calls about the others are something to judge by.
const FEWEST: usize = 60;

pub(super) const FAULT: Fault = Fault {
    number: 42,
    name: "one-hot-campaign",
    what: "90 of 100 commands are about one campaign, at twice the usual rate",
    strike,
    limits: USUAL,
    needs: None,
};

fn strike(scene: &mut Scene<'_>) -> Result<()> {
    let crowded = hot(scene.run, 0);
    let of_others = |attempt: &&Attempt| attempt.via == Via::Http && attempt.campaign != crowded;
    let before = http_p99(scene.attempts()?.iter().filter(of_others));
    let begun = testkit::now_millis();
    scene.commands.tell(&format!("crowd {CROWD}"))?;
    // At the usual rate there would be few calls about the others.
    scene.commands.tell(&format!("rate {}", RATE * 2))?;
    pause(scene.profile.fault * 2)?;
    scene.commands.tell(&format!("rate {RATE}"))?;
    scene.commands.tell("crowd 0")?;
    let attempts = scene.attempts()?;
    let during: Vec<_> = attempts.iter().filter(|attempt| attempt.sent >= begun).collect();
    let others: Vec<_> = during.iter().copied().filter(of_others).collect();
    let p99 = http_p99(others.iter().copied());
    let of_it = http_p99(during.iter().copied().filter(|attempt| attempt.campaign == crowded));
    scene.note(format!(
        "HTTP p99 about the others: {before} ms before, {p99} ms during it ({} calls); about the one: {of_it} ms",
        others.len()
    ));
    scene.measure(others.len() >= FEWEST, format!("only {} calls about the others: nothing was tested", others.len()));
    scene.measure(p99 <= before * 3 / 2 + 100, format!("HTTP p99 about the others was {before} ms, and {p99} ms"));
    Ok(())
}
