//! `cargo xtask bench`: measures the service next to baselines in the same run.
//!
//! One scenario a file. Nothing here is a test: it prints what it measured, and `docs/PERFORMANCE.md` says what it means.

#![expect(
    clippy::disallowed_methods,
    reason = "due times are told in the wall clock's time, and so is how late they are met"
)]

mod baselines;
mod bench;
mod bound;
mod charts;
mod checks;
mod embedded;
mod goals;
mod latency;
mod load;
mod process;
mod ratios;
mod readings;
mod report;
mod scenarios;
mod seed;
mod servers;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use bench::{Bench, FULL, QUICK};
use clap::{Parser, Subcommand};

/// Measures the service.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true, bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    generate: Option<Generate>,
    /// Which scenarios to run; all when none is named.
    #[arg(value_parser = SCENARIOS)]
    scenarios: Vec<String>,
    /// Less of everything, and without the long scenarios; fails when ratios are far from what they were.
    #[arg(long)]
    quick: bool,
    /// With the unoptimised build of the tests, whose figures mean nothing by themselves.
    #[arg(long, requires = "quick")]
    dev: bool,
    /// How often each is run, in place of the usual number.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    runs: Option<u16>,
    /// The program under test; the one that was built together with the bench when none is named.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The folder of what the service is compared with.
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// Also tell what the servers were busy with.
    #[arg(long)]
    profile: bool,
    /// Where to write the readings as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The document whose tables of readings to replace, between its marks `<!-- readings: begin -->` and `end`.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The folder to draw charts of the readings into, as SVG.
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
}

/// What the bench starts itself for.
#[derive(Subcommand)]
enum Generate {
    /// A load generator; for the bench itself.
    #[command(subcommand, hide = true)]
    Load(load::Load),
}

/// In the order in which they run.
const SCENARIOS: [&str; 11] =
    ["peers", "burst", "steady", "backlog", "ingest", "api", "fanout", "scale", "recover", "embedded", "soak"];

/// These take minutes even when they are small, and no check looks at them.
const NOT_QUICK: [&str; 4] = ["backlog", "fanout", "scale", "soak"];

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    if let Some(Generate::Load(load)) = arguments.generate.take() {
        return load::main(load);
    }
    if cfg!(debug_assertions) && !arguments.dev {
        bail!("figures of an unoptimised build mean nothing; run `cargo xtask bench`");
    }
    let mut scale = if arguments.quick { QUICK } else { FULL };
    if let Some(runs) = arguments.runs {
        scale.runs = usize::from(runs);
    }
    let binary = arguments.binary.clone().map_or_else(beside, Ok)?;
    let bench = Bench::new(scale, binary, arguments.peers.clone(), arguments.profile);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(async {
        tokio::select! {
            // What was started ends with what started it, which is dropped here.
            interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C cannot be caught").and_then(|()| bail!("interrupted")),
            measured = measure(&bench, &arguments.scenarios) => measured,
        }
    });
    ratios::add(&bench.report, &scale);
    // What was read until something failed may tell why.
    bench.report.print();
    write(&bench, &arguments)?;
    measured?;
    if arguments.quick {
        checks::check(&bench.report, &scale, arguments.scenarios.is_empty())?;
    }
    Ok(())
}

/// The service's program, built together with this one.
fn beside() -> Result<PathBuf> {
    let name = format!("lifecycle{}", std::env::consts::EXE_SUFFIX);
    Ok(std::env::current_exe().context("this program does not know where it is")?.with_file_name(name))
}

async fn measure(bench: &Bench, named: &[String]) -> Result<()> {
    let wanted = |scenario: &&str| {
        if named.is_empty() {
            !(bench.scale.quick && NOT_QUICK.contains(scenario))
        } else {
            named.iter().any(|name| name == scenario)
        }
    };
    let scenarios: Vec<&str> = SCENARIOS.into_iter().filter(wanted).collect();
    for (number, scenario) in (1..).zip(&scenarios) {
        bench.report.begin(number, scenarios.len());
        run(bench, scenario).await.with_context(|| format!("scenario {scenario}"))?;
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
        "fanout" => scenarios::fanout::run(bench).await,
        "scale" => scenarios::scale::run(bench).await,
        "recover" => scenarios::recover::run(bench).await,
        "embedded" => embedded::run(bench).await,
        "soak" => scenarios::soak::run(bench).await,
        other => bail!("there is no scenario {other}"),
    }
}

/// Whatever files were asked for.
fn write(bench: &Bench, arguments: &Arguments) -> Result<()> {
    if let Some(path) = &arguments.json {
        bench.report.write_json(path)?;
    }
    if let Some(path) = &arguments.markdown {
        bench.report.write_markdown(path)?;
    }
    if let Some(folder) = &arguments.charts {
        charts::draw(&bench.report, folder)?;
    }
    Ok(())
}
