//! What is told: a line for each run while it goes on, JSON, and the table of the document.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::faults::{Cover, Fault, ROWS, Row, cover_of};
use crate::oracles::Finding;
use crate::run::{Ran, Verdict};

const BEGIN: &str = "<!-- chaos: begin -->";
const END: &str = "<!-- chaos: end -->";

/// All results.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    seed: u64,
    profile: &'static str,
    commit: String,
    took_seconds: f64,
    runs: Vec<Ran>,
    /// Rows that others cover, or that this machine cannot do.
    covered: Vec<Covered>,
    /// Runs that came to no end.
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Covered {
    number: u8,
    name: &'static str,
    how: String,
}

#[derive(Serialize)]
struct Failed {
    number: u8,
    fault: &'static str,
    error: String,
}

impl Report {
    pub(crate) fn new(seed: u64, profile: &'static str) -> Self {
        println!("seed {seed}, profile {profile}\n");
        println!(
            "{:>2} {:<24} {:>6} {:>4} {:>7} {:>8} {:>8} {:>7} {:>5}  verdict",
            "#", "fault", "ops", "lost", "doubled", "late ms", "wait ms", "heal ms", "s"
        );
        Self {
            seed,
            profile,
            commit: commit(),
            took_seconds: 0.0,
            runs: Vec::new(),
            covered: Vec::new(),
            failed: Vec::new(),
        }
    }

    pub(crate) fn ran(&mut self, ran: Ran) {
        let figures = &ran.figures;
        println!(
            "{:>2} {:<24} {:>6} {:>4} {:>7} {:>8} {:>8} {:>7} {:>5.0}  {}",
            ran.number,
            ran.fault,
            figures.operations,
            figures.lost,
            figures.doubled,
            figures.worst_lateness_ms,
            figures.worst_command_ms,
            ran.heal_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
            ran.took_seconds,
            words(ran.verdict),
        );
        for Finding { oracle, text, .. } in &ran.findings {
            println!("   {oracle}: {text}");
        }
        for note in &ran.notes {
            println!("   ({note})");
        }
        self.runs.push(ran);
    }

    /// A row that is not run here.
    pub(crate) fn covered(&mut self, row: &Row) {
        let (number, name, how) = match row {
            Row::Run(_) => return,
            Row::Elsewhere { number, name, test } => (*number, *name, format!("covered by {test}")),
        };
        self.told(number, name, how);
    }

    /// A row that a test stands for in the check of every change.
    pub(crate) fn stood_for(&mut self, row: &Row, cover: Cover) {
        self.told(row.number(), row.name(), format!("covered by {cover}"));
    }

    /// A fault that this machine cannot do.
    pub(crate) fn impossible(&mut self, fault: &Fault, why: &str) {
        self.told(fault.number, fault.name, format!("not possible here: {why}"));
    }

    fn told(&mut self, number: u8, name: &'static str, how: String) {
        println!("{number:>2} {name:<24} {how}");
        self.covered.push(Covered { number, name, how });
    }

    pub(crate) fn failed(&mut self, fault: &Fault, error: &anyhow::Error) {
        println!("{:>2} {:<24} came to no end: {error:#}", fault.number, fault.name);
        self.failed.push(Failed { number: fault.number, fault: fault.name, error: format!("{error:#}") });
    }

    pub(crate) fn end(&mut self, took: Duration) {
        self.took_seconds = took.as_secs_f64();
        let held = self.runs.iter().filter(|ran| ran.verdict == Verdict::Held).count();
        let all = self.runs.len() + self.failed.len();
        println!("\n{held} of {all} held, in {:.0} s (seed {})", self.took_seconds, self.seed);
    }

    /// Whether every run held; one without load did not.
    pub(crate) fn holds(&self) -> bool {
        self.failed.is_empty() && self.runs.iter().all(|ran| ran.verdict == Verdict::Held)
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))
    }

    pub(crate) fn write_markdown(&self, path: &Path) -> Result<()> {
        let document = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let document = replace(&document, &self.table()).with_context(|| path.display().to_string())?;
        std::fs::write(path, document).with_context(|| format!("{} cannot be written", path.display()))
    }

    fn table(&self) -> String {
        let mut out = format!(
            "Run at commit `{}` with the profile `{}` and seed {}, in {:.0} s.\n\n\
             | # | fault | seed | operations | lost | doubled | worst lateness | longest wait | healed after | verdict |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
            self.commit, self.profile, self.seed, self.took_seconds
        );
        for ran in &self.runs {
            let figures = &ran.figures;
            let findings: Vec<_> = ran.findings.iter().map(|f| format!("{}: {}", f.oracle, f.text)).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} ms | {} ms | {} | {}{} |",
                ran.number,
                ran.fault,
                ran.seed,
                figures.operations,
                figures.lost,
                figures.doubled,
                figures.worst_lateness_ms,
                figures.worst_command_ms,
                ran.heal_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
                words(ran.verdict),
                if findings.is_empty() {
                    String::new()
                } else {
                    format!(": {}", findings.join("; ").replace('|', "\\|"))
                },
            );
        }
        for failed in &self.failed {
            let _ = writeln!(
                out,
                "| {} | {} | | | | | | | | came to no end: {} |",
                failed.number, failed.fault, failed.error
            );
        }
        for covered in &self.covered {
            let _ = writeln!(out, "| {} | {} | | | | | | | | {} |", covered.number, covered.name, covered.how);
        }
        out
    }
}

/// Tells which faults there are.
pub(crate) fn list() {
    for row in ROWS {
        let mark = if cover_of(row).is_some() { 'C' } else { ' ' };
        match row {
            Row::Run(fault) => println!("{:>2} {mark} {:<24} {}", fault.number, fault.name, fault.what),
            Row::Elsewhere { number, name, test } => println!("{number:>2} {mark} {name:<24} covered by {test}"),
        }
    }
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Broken => "BROKEN",
        Verdict::Void => "VOID: too little load",
    }
}

/// What is being tested, as git knows it.
fn commit() -> String {
    let told = Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"]).output();
    let told = told.ok().filter(|told| told.status.success());
    told.map_or_else(|| "unknown".to_owned(), |told| String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

/// The document with `text` between the marks.
fn replace(document: &str, text: &str) -> Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else { bail!("there are no lines `{BEGIN}` and `{END}` after it") };
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let once = replace(&document, "new").expect("it has marks");
        assert_eq!(once, format!("# Title\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert!(replace("# Title\n", "new").is_err());
    }
}
