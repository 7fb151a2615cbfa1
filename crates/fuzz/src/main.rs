//! `lifecycle-fuzz`: searches targets for inputs that break their rules, side by side. `cargo xtask fuzz` builds and calls
//! it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use lifecycle_fuzz::{Broken, Limits, Report, TARGETS, Target, corpus, search};

/// Searches for inputs that break a rule. Fails when it finds one.
#[derive(Parser)]
#[command(name = "lifecycle-fuzz")]
struct Cli {
    /// Which targets; all unless some are named.
    targets: Vec<String>,
    /// For how many seconds; targets run side by side.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many inputs of each target at most.
    #[arg(long, default_value_t = u64::MAX)]
    runs: u64,
    /// What every choice comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs one file through the one target that is named, and nothing else.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Keeps the inputs that showed something new, in the corpus.
    #[arg(long)]
    grow: bool,
    /// Where inputs that break a rule are kept.
    #[arg(long, default_value = "target/fuzz")]
    found: PathBuf,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let targets = chosen(&cli.targets)?;
    if let Some(file) = &cli.file {
        let [target] = targets[..] else { bail!("--file is for one target: name it") };
        let input = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        return Ok(match lifecycle_fuzz::try_one(target, &input) {
            Ok(kind) => {
                println!("{}: fine: {kind}", target.name);
                true
            }
            Err(what) => {
                println!("{}: {what}", target.name);
                false
            }
        });
    }
    let limits = Limits { time: Duration::from_secs(cli.seconds), runs: cli.runs, seed: cli.seed };
    let reports: Vec<(&Target, Option<Report>)> = std::thread::scope(|scope| {
        let searches: Vec<_> =
            targets.iter().map(|target| (*target, scope.spawn(move || search(target, limits)))).collect();
        searches.into_iter().map(|(target, search)| (target, search.join().ok())).collect()
    });
    let mut is_good = true;
    for (target, report) in reports {
        let Some(report) = report else { bail!("the search of {} broke down", target.name) };
        println!(
            "{:<8} {:>9} inputs, {:>4} kinds of behaviour, {} of them in the corpus",
            target.name, report.runs, report.kinds, report.kinds_of_corpus
        );
        if let Some(broken) = &report.broken {
            is_good = false;
            tell(cli, target, broken)?;
        }
        if cli.grow {
            for input in report.kept.iter().filter(|input| input.len() < 4_096) {
                keep(&corpus::folder(target.name), input)?;
            }
        }
    }
    Ok(is_good)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let known = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    names
        .iter()
        .map(|name| {
            let target = TARGETS.iter().find(|target| target.name == name);
            target.with_context(|| format!("there is no target {name:?}; there are {}", known()))
        })
        .collect()
}

fn tell(cli: &Cli, target: &Target, broken: &Broken) -> Result<()> {
    println!("{} breaks a rule: {}", target.name, broken.what);
    if let Some(file) = &broken.file {
        println!("  it is {file} of its corpus");
        return Ok(());
    }
    let path = keep(&cli.found, &broken.input).with_context(|| format!("cannot write to {}", cli.found.display()))?;
    println!("  {:?}", String::from_utf8_lossy(&broken.input).chars().take(400).collect::<String>());
    println!("  again: cargo xtask fuzz {} --file {}", target.name, path.display());
    println!("  all of it: cargo xtask fuzz {} --seed {} --seconds {}", target.name, cli.seed, cli.seconds);
    println!("  once it is fixed, the file belongs into the corpus of {}", target.name);
    Ok(())
}

/// Writes `input` into `folder`, under a name that tells it from others.
fn keep(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    let mut digest = DefaultHasher::new();
    input.hash(&mut digest);
    let path = folder.join(format!("{:016x}", digest.finish()));
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, input)?;
    Ok(path)
}
