//! `ci`: everything that must hold before a change lands. The tests come last, so that their closing lines do too.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::{bench, chaos, fuzz, generate, sh, sim, test, tidy};

/// How many runs of the simulator each change is held to; more are for who changes what it simulates.
const CI_SEEDS: &str = "10000";

/// For how many seconds each change is searched, all targets side by side.
const CI_FUZZ_SECONDS: &str = "60";

type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", || sh::run(sh::cargo().args(["fmt", "--all", "--check"]))),
    ("tidy", tidy::run),
    ("licences, bans and sources", || sh::run(sh::cargo().args(["deny", "check", "bans", "licenses", "sources"]))),
    ("lints", lints),
    // With the features and targets of the tests, so that these and the generated documents use the same build.
    ("build", build),
    ("simulation", || sim::check_with_built_binary(CI_SEEDS)),
    ("fuzzing", || fuzz::check_with_built_binary(CI_FUZZ_SECONDS)),
    ("chaos", chaos::check_with_built_binary),
    ("generated documents", || generate::run_with_built_binary(true)),
    ("quick bench", bench::check_with_built_binaries),
];

/// The feature with the points of the crash suite: whatever is built for tests has them, so that all share one build.
/// Nobody arms them but that suite.
pub(crate) const FAILPOINTS: &str = "--features=lifecycle/failpoints";

fn lints() -> Result<()> {
    if std::env::var_os("RUSTC_WORKSPACE_WRAPPER").is_some_and(|wrapper| wrapper == "clippy-driver") {
        eprintln!("Clippy is the compiler here: the build lints");
        return Ok(());
    }
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", FAILPOINTS, "--", "--deny", "warnings"];
    sh::run(sh::cargo().args(clippy))
}

/// Builds everything there is.
pub(crate) fn build() -> Result<()> {
    sh::run(sh::cargo().args(["build", "--locked", "--workspace", "--all-targets", FAILPOINTS]))
}

pub(crate) fn run(without_tests: bool) -> Result<()> {
    let started = Instant::now();
    let mut passed: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        eprintln!("\n=== {name}");
        let begun = Instant::now();
        if let Err(error) = step() {
            summary(&passed);
            return Err(error).with_context(|| format!("step \"{name}\" failed after {:.1?}", begun.elapsed()));
        }
        passed.push((name, begun.elapsed()));
    }
    summary(&passed);
    if without_tests {
        return Ok(());
    }
    eprintln!("  {:>7.1} s  so far; the tests follow\n\n=== tests", started.elapsed().as_secs_f64());
    let result = test::run(&[]);
    if result.is_err() {
        summary(&passed);
    }
    result.with_context(|| format!("step \"tests\" failed, {:.1?} after the start", started.elapsed()))
}

fn summary(passed: &[(&str, Duration)]) {
    eprintln!("\n=== passed");
    for (name, took) in passed {
        eprintln!("  {:>7.1} s  {name}", took.as_secs_f64());
    }
}
