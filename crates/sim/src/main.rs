//! `lifecycle-sim`: runs seeds, or plants bugs and looks for them. `cargo xtask sim` builds and calls it.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use lifecycle_sim::{Outcome, Plan, Sabotage, describe, run, shrink};

/// The last lines of a trace that are shown.
const SHOWN: usize = 120;

/// One seed in so many is run twice, and must be the same run.
const TWICE_EVERY: u64 = 50;

/// Runs the whole service under virtual time, with faults from a seed.
#[derive(Parser)]
#[command(name = "lifecycle-sim")]
struct Cli {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed; without `--seeds` the only one.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads; as many as there are processors unless said otherwise.
    #[arg(long)]
    jobs: Option<usize>,
    /// Plants each known bug, or the one that is named, and demands that it is found.
    #[arg(long, num_args = 0..=1, default_missing_value = "")]
    sabotage: Option<String>,
    /// Shows the whole trace, and does not shrink.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (first, count) = match cli.seed {
        Some(seed) if !std::env::args().any(|arg| arg.starts_with("--seeds")) => (seed, 1),
        first => (first.unwrap_or(1), cli.seeds),
    };
    let jobs = cli.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let good = match &cli.sabotage {
        Some(name) => sabotage(name, first, count, jobs),
        None => seeds(first, count, jobs, cli.trace),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seeds until one fails; answers whether none did.
fn seeds(first: u64, count: u64, jobs: usize, whole: bool) -> bool {
    let began = Instant::now();
    let sum = Mutex::new(Sum::default());
    let failed = first_failure(first, count, jobs, None, &sum);
    let took = began.elapsed();
    let sum = sum.into_inner().unwrap_or_default();
    let per_minute = u128::from(sum.seeds) * 60_000 / took.as_millis().max(1);
    println!(
        "{} seeds in {:.1} s, {per_minute} a minute with {jobs} threads: {} commits, {} commands applied, {} timers \
         fired, {} records shown, {} questions, {} deaths, {:.0} virtual hours",
        sum.seeds,
        took.as_secs_f64(),
        sum.committed,
        sum.applied,
        sum.fired,
        sum.shown,
        sum.reads,
        sum.deaths,
        sum.lasted.as_secs_f64() / 3_600.0
    );
    match failed {
        Some(outcome) => tell(&outcome, whole),
        None if whole && count == 1 => show(&run(&Plan::of(first), true).lines, usize::MAX),
        None => return true,
    }
    false
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    committed: u64,
    applied: u64,
    fired: u64,
    shown: u64,
    reads: u64,
    deaths: u64,
    lasted: Duration,
}

/// Runs seeds in all threads; answers the failing one with the lowest number, of those that were run.
fn first_failure(first: u64, count: u64, jobs: usize, sabotage: Option<Sabotage>, sum: &Mutex<Sum>) -> Option<Outcome> {
    let next = AtomicU64::new(first);
    let found = AtomicBool::new(false);
    let failed: Mutex<Option<Outcome>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !found.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let plan = Plan::of(seed).with(sabotage);
                    let mut outcome = run(&plan, false);
                    if seed.is_multiple_of(TWICE_EVERY) && run(&plan, true).hash != outcome.hash {
                        outcome.broken.get_or_insert("the same seed was another run".to_owned());
                    }
                    add(sum, &outcome);
                    if outcome.broken.is_some() {
                        found.store(true, Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            let is_lower = failed.as_ref().is_none_or(|known| known.seed > outcome.seed);
                            *failed = if is_lower { Some(outcome) } else { failed.take() };
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_default()
}

fn add(sum: &Mutex<Sum>, outcome: &Outcome) {
    if let Ok(mut sum) = sum.lock() {
        sum.seeds += 1;
        sum.committed += outcome.committed;
        sum.applied += outcome.counts.applied;
        sum.fired += outcome.counts.fired;
        sum.shown += outcome.counts.shown;
        sum.reads += outcome.counts.reads;
        sum.deaths += outcome.counts.deaths;
        sum.lasted += outcome.lasted;
    }
}

/// Tells of a failure, made as small as it gets.
fn tell(outcome: &Outcome, whole: bool) {
    let plan = Plan::of(outcome.seed);
    println!("seed {} breaks a promise: {}", outcome.seed, outcome.broken.as_deref().unwrap_or_default());
    println!("  {}", describe(&plan));
    println!("  again: cargo xtask sim --seed {}", outcome.seed);
    if whole {
        show(&run(&plan, true).lines, usize::MAX);
        return;
    }
    let small = shrink(&plan);
    let again = run(&small, true);
    println!("shrunk to: {}", describe(&small));
    println!("  {}", again.broken.as_deref().unwrap_or_default());
    show(&again.lines, SHOWN);
}

/// Shows the last lines that say something.
fn show(lines: &[String], most: usize) {
    let telling: Vec<&String> = lines.iter().filter(|line| most == usize::MAX || !line.contains(" call ")).collect();
    let skipped = telling.len().saturating_sub(most);
    if skipped > 0 {
        println!("  ({skipped} earlier lines are left out; all: --trace)");
    }
    for line in &telling[skipped..] {
        println!("{line}");
    }
}

/// Plants bugs and looks for them; answers whether all were found.
fn sabotage(name: &str, first: u64, count: u64, jobs: usize) -> bool {
    if !cfg!(feature = "sabotage") {
        println!("this build plants no bugs: it was built without the feature sabotage");
        return false;
    }
    let mut missed = 0;
    for bug in Sabotage::ALL.into_iter().filter(|bug| name.is_empty() || format!("{bug:?}") == name) {
        let began = Instant::now();
        let Some(outcome) = first_failure(first, count, jobs, Some(bug), &Mutex::default()) else {
            missed += 1;
            println!("{bug:?}: NOT FOUND in {count} seeds");
            continue;
        };
        let (took, broken) = (began.elapsed().as_secs_f64(), outcome.broken.unwrap_or_default());
        println!("{bug:?}: found by seed {} in {took:.1} s: {broken}", outcome.seed);
    }
    missed == 0
}
