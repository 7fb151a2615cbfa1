//! `lifecycle verify`: the proof, told to people or to programs.

use std::fmt::Write as _;

use domain::invariants::Invariant;

use crate::cli::{Format, Report, Settings};
use crate::commands::block_on;
use crate::failure::Failure;
use crate::output::style::{BOLD, DIM, GREEN, RED, RESET};
use crate::proof::{Progress, Proof, ProofBody, prove};
use crate::{output, wiring};

pub(crate) fn run(settings: &Settings, report: &Report) -> Result<(), Failure> {
    let config = settings.load()?.config;
    let proof = block_on(async {
        let store = wiring::verification(&config).await?;
        let mut shown = Shown::new();
        let proof = prove(store.as_ref(), config.inbox.retention.0, &mut |progress| shown.show(progress)).await;
        shown.clear();
        Ok(proof?)
    })?;
    match report.output {
        Format::Json => output::json(&ProofBody::from(&proof))?,
        Format::Human => output::print(&human(&proof, &wiring::place(&config)))?,
    }
    match proof.violation_count() {
        0 => Ok(()),
        count => Err(Failure::Check(format!(
            "{count} violations found. Keep a copy of the data file; `lifecycle replay` rebuilds state and timers from \
             the log (INV-1, INV-3, INV-4)"
        ))),
    }
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
pub(crate) fn human(proof: &Proof, store: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Checked {store} in {:.1} s: {} campaigns, {} steps, {} pending timers, {} records\n",
        proof.took.as_secs_f64(),
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
        let _ = writeln!(out, "  {violation}");
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
    use domain::invariants::Violation;

    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_report_names_every_invariant_and_lists_what_is_broken() {
        let mut proof = Proof::default();
        assert!(human(&proof, "x").contains("0 violations"));
        proof.counts.insert(Invariant::LogHasNoGap, 1);
        assert!(!human(&proof, "x").contains("1 violations"));
        proof.counts.clear();
        proof.counts.insert(Invariant::NeverEarly, 2);
        proof.violations.push(Violation {
            invariant: Invariant::NeverEarly,
            subject: "campaign default/c1".to_owned(),
            detail: "too early".to_owned(),
        });
        let text = human(&proof, "x");
        for invariant in Invariant::ALL {
            assert!(text.contains(invariant.id()), "{text}");
        }
        assert!(text.contains("INV-8 campaign default/c1: too early\n  ... and 1 more\n"), "{text}");
    }
}
