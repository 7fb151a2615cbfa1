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
    generate: Option<Generate>,
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
    /// Also tell what the servers were busy with.
    #[arg(long)]
    profile: bool,
    /// Where to write the readings as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the bench starts itself for.
#[derive(Subcommand)]
enum Generate {
    /// A load generator; for the bench itself.
    #[command(subcommand, hide = true)]
    Load(load::Load),
}

const SCENARIOS: [&str; 9] = ["peers", "burst", "steady", "backlog", "ingest", "api", "scale", "recover", "embedded"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        bail!("figures of an unoptimised build mean nothing; run `cargo xtask bench`");
    }
    if let Some(Generate::Load(load)) = &arguments.generate {
        return load::main(load);
    }
    let mut scale = if arguments.quick { QUICK } else { FULL };
    scale.runs = arguments.runs.unwrap_or(scale.runs);
    let bench = Bench::new(scale, arguments.binary, arguments.peers, arguments.profile);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut result = Ok(());
    for name in SCENARIOS {
        if arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|wanted| wanted == name) {
            result = runtime.block_on(run(&bench, name));
        }
        if result.is_err() {
            break;
        }
    }
    // Also what was read before something failed.
    bench.report.print();
    result?;
    if let Some(path) = arguments.json {
        bench.report.write_json(&path)?;
    }
    Ok(())
}

async fn run(bench: &Bench, scenario: &str) -> Result<()> {
    match scenario {
        "peers" => baselines::peers::run(bench).await,
        "burst" => scenarios::burst::run(bench).await,
        "steady" => scenarios::steady::run(bench).await,
        "backlog" => scenarios::backlog::run(bench).await,
        "ingest" => scenarios::ingest::run(bench).await,
        "api" => scenarios::api::run(bench).await,
        "scale" => scenarios::scale::run(bench).await,
        "recover" => scenarios::recover::run(bench).await,
        "embedded" => embedded::run(bench).await,
        other => bail!("there is no scenario {other}"),
    }
}
