//! `cargo xtask bench`: measures the embedded wiring, next to bare `SQLite` doing the same work in the same run.
//!
//! One scenario a file. Nothing here is a test: it prints what it measured, and `docs/PERFORMANCE.md` says what it means.

mod baseline;
mod burst;
mod creates;
mod engine;
mod fixtures;
mod footprint;
mod process;
mod report;
mod steady;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;
use report::Report;

/// Measures the service.
#[derive(Parser)]
struct Arguments {
    /// Which scenarios to run; all when none is named.
    #[arg(value_parser = SCENARIOS)]
    scenarios: Vec<String>,
    /// Less of everything, for a first impression in a minute.
    #[arg(long)]
    quick: bool,
    /// The program under test.
    #[arg(long, default_value = "target/release/lifecycle")]
    binary: PathBuf,
    /// Where to write the readings as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

const SCENARIOS: [&str; 4] = ["burst", "steady", "creates", "footprint"];

/// How much work a run does, and how often.
#[derive(Clone, Copy)]
struct Scale {
    runs: usize,
    burst: usize,
    steady_seconds: usize,
    creates: usize,
    pending: usize,
}

const FULL: Scale = Scale { runs: 3, burst: 20_000, steady_seconds: 20, creates: 20_000, pending: 1_000_000 };
const QUICK: Scale = Scale { runs: 1, burst: 5_000, steady_seconds: 5, creates: 5_000, pending: 50_000 };

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        bail!("figures of an unoptimised build mean nothing; run `cargo xtask bench`");
    }
    let scale = if arguments.quick { QUICK } else { FULL };
    let wanted = |name: &str| arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|s| s == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report::new();
    if wanted("burst") {
        baseline::run(&mut report, scale)?;
        runtime.block_on(burst::run(&mut report, scale))?;
    }
    if wanted("steady") {
        runtime.block_on(steady::run(&mut report, scale))?;
    }
    if wanted("creates") {
        runtime.block_on(creates::run(&mut report, scale, &arguments.binary))?;
    }
    if wanted("footprint") {
        runtime.block_on(footprint::run(&mut report, scale, &arguments.binary))?;
    }
    report.print();
    if let Some(path) = arguments.json {
        report.write_json(&path)?;
    }
    Ok(())
}
