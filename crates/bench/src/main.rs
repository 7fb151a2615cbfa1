//! `cargo xtask bench`: measures the service next to baselines in the same run.
//!
//! One scenario a file. Nothing here is a test: it prints what it measured, and `docs/PERFORMANCE.md` says what it means.

mod baselines;
mod bench;
mod embedded;
mod latency;
mod load;
mod process;
mod report;
mod scenarios;
mod seed;
mod servers;

use std::path::PathBuf;

use anyhow::{Result, bail};
use bench::{Bench, FULL, QUICK};
use clap::{Parser, Subcommand};

/// Measures the service.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Which scenarios to run; all when none is named.
    #[arg(value_parser = SCENARIOS)]
    scenarios: Vec<String>,
    /// Less of everything, for a first impression.
    #[arg(long)]
    quick: bool,
    /// How often each is run, in place of the usual number.
    #[arg(long)]
    runs: Option<usize>,
    /// The program under test.
    #[arg(long, default_value = "target/release/lifecycle")]
    binary: PathBuf,
    /// The folder of what the service is compared with.
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// Where to write the readings as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the bench starts itself again as.
#[derive(Subcommand)]
enum Part {
    /// A load generator.
    #[command(hide = true, subcommand)]
    Load(load::Load),
}

const SCENARIOS: [&str; 3] = ["burst", "embedded", "fanout"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        bail!("figures of an unoptimised build mean nothing; run `cargo xtask bench`");
    }
    if let Some(Part::Load(load)) = arguments.part {
        return load::run(load);
    }
    let mut scale = if arguments.quick { QUICK } else { FULL };
    scale.runs = arguments.runs.unwrap_or(scale.runs);
    let mut bench = Bench::new(scale, arguments.binary, arguments.peers);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for name in SCENARIOS {
        if arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|wanted| wanted == name) {
            runtime.block_on(run(&mut bench, name))?;
        }
    }
    bench.report.print();
    if let Some(path) = arguments.json {
        bench.report.write_json(&path)?;
    }
    Ok(())
}

async fn run(bench: &mut Bench, scenario: &str) -> Result<()> {
    match scenario {
        "burst" => scenarios::burst::run(bench).await,
        "embedded" => embedded::run(bench).await,
        "fanout" => scenarios::fanout::run(bench).await,
        other => bail!("there is no scenario {other}"),
    }
}
