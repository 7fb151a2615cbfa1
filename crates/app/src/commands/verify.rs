//! `lifecycle verify`: the proof, told to people or to programs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use application::{Progress, Proof, Repaired, prove, repair};
use domain::invariants::Invariant;

use crate::cli::{Format, Settings, Verify};
use crate::commands::block_on;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::style::{BOLD, DIM, GREEN, RED, RESET};
use crate::report::ProofBody;
use crate::{output, wiring};

/// How many mended campaigns are listed for people.
const LISTED: usize = 100;

/// What was wrong, what was mended, and what is wrong still.
struct Outcome {
    before: Timed,
    /// What was mended, and the proof after it; none where nothing was to be mended.
    mended: Option<(Repaired, Timed)>,
}

/// A proof, and how long it took.
struct Timed {
    proof: Proof,
    took: Duration,
}

pub(crate) fn run(settings: &Settings, options: &Verify) -> Result<(), Failure> {
    let config = settings.load()?.config;
    let Outcome { before, mended } = block_on(async {
        let before = prove_once(&config, options).await?;
        let mended = if options.repair && before.proof.repairable > 0 {
            let repaired = mend(&config, options, &before.proof).await?;
            Some((repaired, prove_once(&config, options).await?))
        } else {
            None
        };
        Ok(Outcome { before, mended })
    })?;
    let (repaired, last) = match &mended {
        Some((repaired, after)) => (Some(repaired), after),
        None => (None, &before),
    };
    match options.report.output {
        Format::Json => output::json(&ProofBody::new(&last.proof, repaired, last.took))?,
        Format::Human => {
            let place = wiring::place(&config);
            if let Some(repaired) = repaired {
                output::print(&human(&before.proof, before.took, &place))?;
                output::print(&mended_text(repaired))?;
            }
            output::print(&human(&last.proof, last.took, &place))?;
        }
    }
    verdict(&last.proof)
}

async fn prove_once(config: &Config, options: &Verify) -> Result<Timed, Failure> {
    let started = Instant::now();
    let parts = wiring::proving(config, !options.without_streams).await?;
    let mut shown = Shown::new();
    let memory = config.inbox.retention.0;
    let proof = prove(parts.verification.as_ref(), parts.telling.as_ref(), memory, &mut |progress| {
        shown.show(progress);
    })
    .await;
    shown.clear();
    Ok(Timed { proof: proof?, took: started.elapsed() })
}

async fn mend(config: &Config, options: &Verify, proof: &Proof) -> Result<Repaired, Failure> {
    let reason = options.reason.as_ref().map_or("lifecycle verify --repair", |reason| reason.as_str());
    let repairing = wiring::repairing(config, reason).await?;
    Ok(repair(&repairing.parts, &repairing.order, &proof.damaged).await?)
}

fn verdict(proof: &Proof) -> Result<(), Failure> {
    let count = proof.violation_count();
    if count == 0 {
        return Ok(());
    }
    let advice = match (proof.repairable, count - proof.repairable) {
        (repairable, 0) => format!("`lifecycle verify --repair` mends {}", if repairable == 1 { "it" } else { "them" }),
        (0, _) if proof.chain.fault_count > 0 => {
            "the log itself was changed, and nothing is repaired from it: compare \
            it with a backup, and restore it; what is not from the log may be the last that is right"
                .to_owned()
        }
        (0, _) => "the log does not tell how it must be: compare with a backup, and restore it".to_owned(),
        (repairable, rest) => format!(
            "`lifecycle verify --repair` mends {}; for the other {} compare with a backup, and restore it",
            grouped(repairable),
            grouped(rest)
        ),
    };
    Err(Failure::Check(format!("{} found. Keep a copy of the data; {advice}", violations(count))))
}

fn mended_text(repaired: &Repaired) -> String {
    let mut out = format!("{BOLD}Repaired{RESET}\n");
    for key in repaired.campaigns.iter().take(LISTED) {
        let _ = writeln!(
            out,
            "  campaign {key}: state and timers are written anew from its log; its history tells what was different"
        );
    }
    if repaired.campaigns.len() > LISTED {
        let _ = writeln!(out, "  ... and {} more", grouped((repaired.campaigns.len() - LISTED) as u64));
    }
    for key in &repaired.unreadable {
        let _ = writeln!(out, "  campaign {key}: its log cannot be folded; left as it was");
    }
    for (stream, from) in &repaired.streams {
        let _ = writeln!(
            out,
            "  stream {stream}: told again; its readers get everything from position {from} on once more"
        );
    }
    out.push('\n');
    out
}

/// A progress line on the terminal of a person, gone at the end.
pub(crate) struct Shown {
    watched: bool,
}

impl Shown {
    pub(crate) fn new() -> Self {
        Self { watched: output::notes_are_watched() }
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        if self.watched {
            let text = match progress {
                Progress::Campaigns(count) => format!("{} campaigns", grouped(count)),
                Progress::Records(count) => format!("{} records of the audit chain", grouped(count)),
                Progress::Told(count) => format!("{} records against the streams", grouped(count)),
            };
            output::note_in_place(&format!("checked {text} ..."));
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.watched {
            output::note_in_place("");
        }
    }
}

/// What an invariant says, in a few words.
fn words(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::StateIsFold => "a campaign's state is the fold of its log",
        Invariant::StepsInTable => "every step of the log is a row of the table",
        Invariant::TimersArePlan => "a campaign has exactly its plan's timers",
        Invariant::TerminalHasNone => "a campaign that is over has no timer",
        Invariant::LogHasNoGap => "a campaign's log has no gap",
        Invariant::EventsAreKept => "every event is kept for publication, unchanged",
        Invariant::CommandsActOnce => "a command has at most one effect",
        Invariant::NeverEarly => "no timer fired before its due time",
    }
}

/// The proof for people. `store` says what was checked.
pub(crate) fn human(proof: &Proof, took: Duration, store: &str) -> String {
    let mut out = String::new();
    let told = proof.told.map_or_else(String::new, |told| format!(", {} of them against the streams", grouped(told)));
    let _ = writeln!(
        out,
        "Checked {store} in {:.1} s: {} campaigns, {} steps, {} pending timers, {} records{told}\n",
        took.as_secs_f64(),
        grouped(proof.campaigns),
        grouped(proof.steps),
        grouped(proof.timers),
        grouped(proof.chain.records),
    );
    for invariant in Invariant::ALL {
        let verdict = match proof.counts.get(&invariant) {
            None => format!("{GREEN}ok{RESET}"),
            Some(count) => format!("{RED}{BOLD}{}{RESET}", violations(*count)),
        };
        let _ = writeln!(out, "  {}  {:<48} {verdict}", invariant.id(), words(invariant));
    }
    let _ = writeln!(out, "  {DIM}audit chain head: {}:{}{RESET}\n", proof.chain.head, proof.chain.hash);
    for violation in &proof.violations {
        let mark = if violation.repairable { " (repairable)" } else { "" };
        let _ = writeln!(out, "  {}{mark}", violation.violation);
    }
    let count = proof.violation_count();
    let listed = proof.violations.len() as u64;
    if count > listed {
        let _ = writeln!(out, "  ... and {} more", grouped(count - listed));
    }
    let colour = if count == 0 { GREEN } else { RED };
    let _ = writeln!(out, "{colour}{BOLD}{}{RESET}", violations(count));
    out
}

/// How many violations there are, in words.
pub(crate) fn violations(count: u64) -> String {
    if count == 1 { "1 violation".to_owned() } else { format!("{} violations", grouped(count)) }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use application::Found;
    use domain::invariants::Violation;

    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_report_names_every_invariant_and_lists_what_is_broken() {
        let mut proof = Proof::default();
        assert!(human(&proof, Duration::ZERO, "x").contains("0 violations"));
        proof.counts.insert(Invariant::LogHasNoGap, 1);
        assert!(!human(&proof, Duration::ZERO, "x").contains("1 violations"));
        proof.counts.clear();
        proof.counts.insert(Invariant::NeverEarly, 2);
        let violation = Violation {
            invariant: Invariant::NeverEarly,
            subject: "campaign default/c1".to_owned(),
            detail: "too early".to_owned(),
        };
        proof.violations.push(Found { violation, repairable: false });
        let text = human(&proof, Duration::ZERO, "x");
        for invariant in Invariant::ALL {
            assert!(text.contains(invariant.id()), "{text}");
        }
        assert!(text.contains("INV-8 campaign default/c1: too early\n  ... and 1 more\n"), "{text}");
    }
}
