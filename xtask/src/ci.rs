//! `ci`: everything that must hold before a change lands. The tests come last, so that their closing lines do too.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

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
    ("lints", || {
        sh::run(sh::cargo().args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            FAILPOINTS,
            "--",
            "-D",
            "warnings",
        ]))
    }),
    // With the features and targets of the tests, so that these and the generated documents use the same build.
    ("build", build),
    ("chaos; simulation and fuzzing", beside_chaos),
    ("generated documents", || generate::run_with_built_binary(true)),
    ("quick bench", bench::check_with_built_binaries),
];

/// The feature with the points of the crash suite: whatever is built for tests has them, so that all share one build.
/// Nobody arms them but that suite.
pub(crate) const FAILPOINTS: &str = "--features=lifecycle/failpoints";

/// Builds everything there is.
pub(crate) fn build() -> Result<()> {
    sh::run(sh::cargo().args(["build", "--locked", "--workspace", "--all-targets", FAILPOINTS]))
}

/// Chaos waits for most of its time. What only computes has the processor meanwhile, when nobody else wants it.
fn beside_chaos() -> Result<()> {
    std::thread::scope(|scope| {
        let computing = scope.spawn(|| {
            sim::check_with_built_binary(CI_SEEDS)?;
            fuzz::check_with_built_binary(CI_FUZZ_SECONDS)
        });
        let chaos = chaos::check_with_built_binary();
        let computed = computing.join().map_err(|_| anyhow!("it panicked"));
        chaos.and(computed.and_then(|result| result))
    })
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
