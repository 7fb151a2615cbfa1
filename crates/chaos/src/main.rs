//! `cargo xtask chaos`: real instances and servers under real faults, judged from outside.
//!
//! docs/RELIABILITY.md says what is promised, how it is judged, and what came out the last time.

mod faults;
mod interrupt;
mod journal;
mod load;
mod oracles;
mod report;
mod rig;
mod run;
mod scene;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Parser, Subcommand};

use faults::{Cover, Fault, ROWS, Row, cover_of};
use report::Report;
use rig::Rig;
use run::{Ran, Verdict};

/// Lets faults happen to the service, and judges what it made of them.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true, bin_name = "cargo xtask chaos")]
struct Arguments {
    #[command(subcommand)]
    generate: Option<Generate>,
    /// Which faults, by name or number; those of the short form when none is named.
    faults: Vec<String>,
    /// All faults, each for longer.
    #[arg(long, conflicts_with = "correctness")]
    full: bool,
    /// Judges what is there and what is not, and only tells times, rates and amounts: for a machine that others use, too. Shorter
    /// still, and without what tests of the check stand for.
    #[arg(long)]
    correctness: bool,
    /// Only tells which faults there are.
    #[arg(long)]
    list: bool,
    /// Decides what is hit, and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program under test; the one that was built together with this one when none is named.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where to write the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The document whose table of results to replace, between its marks `<!-- chaos: begin -->` and `end`.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Where to keep logs and journals of runs that did not hold.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What it starts itself for.
#[derive(Subcommand)]
enum Generate {
    /// A process of the load; for the command itself.
    #[command(subcommand, hide = true)]
    Load(load::Load),
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let done = match arguments.generate.take() {
        Some(Generate::Load(load)) => load::main(load).map(|()| true),
        None if arguments.list => {
            report::list();
            Ok(true)
        }
        None => drive(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; answers whether all held.
fn drive(arguments: &Arguments) -> Result<bool> {
    let rows = chosen(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    interrupt::catch(&runtime)?;
    let binary = arguments.binary.clone().map_or_else(beside, Ok)?;
    let profile = match (arguments.full, arguments.correctness) {
        (true, _) => scene::FULL,
        (false, true) => scene::CORRECTNESS,
        (false, false) => scene::SHORT,
    };
    let mut report = Report::new(arguments.seed, profile.name);
    let mut rig = None;
    let begun = Instant::now();
    for row in rows {
        if let (true, true, Some(cover @ Cover::By(..))) =
            (arguments.correctness, arguments.faults.is_empty(), cover_of(row))
        {
            report.stood_for(row, cover);
            continue;
        }
        let Row::Run(fault) = row else {
            report.covered(row);
            continue;
        };
        match fault.needs.and_then(|needs| needs()) {
            // What every change is held to does not hold where it was not tried.
            Some(why) if arguments.correctness => {
                report.failed(fault, &anyhow!(why));
                continue;
            }
            Some(why) => {
                report.impossible(fault, &why);
                continue;
            }
            None => {}
        }
        let ran = attempt(
            &mut rig,
            fault,
            || Rig::build(&binary, runtime.handle(), arguments.seed),
            |rig| {
                // Each run has names of its own.
                let name = format!("f{:02}", fault.number);
                let ran = run::run(rig, fault, profile, arguments.seed.wrapping_add(fault.number.into()), &name)?;
                keep(arguments, rig, &name, &ran)?;
                Ok(ran)
            },
        );
        if interrupt::was_interrupted() {
            bail!("interrupted");
        }
        match ran {
            Ok(ran) => report.ran(ran),
            Err(error) => {
                report.failed(fault, &error);
                rig = None;
            }
        }
    }
    drop(rig);
    report.end(begun.elapsed());
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    if let Some(path) = &arguments.markdown {
        report.write_markdown(path)?;
    }
    Ok(report.holds())
}

/// One fault, on a rig that is fit for it.
fn attempt(
    slot: &mut Option<Rig>,
    fault: &Fault,
    build: impl FnOnce() -> Result<Rig>,
    run: impl FnOnce(&mut Rig) -> Result<Ran>,
) -> Result<Ran> {
    let mut rig = match slot.take() {
        Some(rig) => rig,
        None => build().context("the rig does not stand")?,
    };
    let ran = run(&mut rig)?;
    if !fault.limits.ruins && ran.verdict == Verdict::Held {
        *slot = Some(rig);
    }
    Ok(ran)
}

/// Copies what tells more about a run that did not hold.
fn keep(arguments: &Arguments, rig: &Rig, name: &str, ran: &Ran) -> Result<()> {
    let Some(folder) = arguments.keep.as_ref().filter(|_| ran.verdict != Verdict::Held) else { return Ok(()) };
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    for file in ["commands", "watch", "read"] {
        std::fs::copy(rig.folder().join(name).join(file), folder.join(file))?;
    }
    for instance in &rig.instances {
        std::fs::write(folder.join(format!("instance-{}.log", instance.number)), instance.whole_log())?;
    }
    Ok(())
}

/// The rows that were asked for.
fn chosen(arguments: &Arguments) -> Result<Vec<&'static Row>> {
    let named = |row: &&Row| match row {
        Row::Run(fault) => arguments.faults.iter().any(|f| f == fault.name || f.parse() == Ok(fault.number)),
        Row::Elsewhere { number, .. } => arguments.faults.iter().any(|f| f.parse() == Ok(*number)),
    };
    if arguments.faults.is_empty() {
        return Ok(ROWS.iter().filter(|row| arguments.full || cover_of(row).is_some()).collect());
    }
    let rows: Vec<_> = ROWS.iter().filter(named).collect();
    if rows.len() < arguments.faults.len() {
        bail!("there is no such fault among {:?}; `--list` tells which there are", arguments.faults);
    }
    Ok(rows)
}

/// The service's binary, where this one is.
fn beside() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(format!("lifecycle{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        bail!("there is no {}; `cargo build --package lifecycle` makes it", path.display());
    }
    Ok(path)
}
