//! `cargo xtask <command>`: everything that a developer of this project runs. One module per command; what they share is
//! in `sh`.

mod bench;
mod built;
mod chaos;
mod ci;
mod dev;
mod fuzz;
mod generate;
mod interrupt;
mod packages;
mod servers;
mod setup;
mod sh;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Everything that a developer of this project runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks this machine, and installs what development and `ci` need.
    Setup,
    /// Runs the service with its servers; what it knows stays for the next time.
    Dev,
    /// Starts PostgreSQL and Redis for tests in other terminals, until Ctrl-C.
    Servers,
    /// Builds everything and runs all tests, with servers of their own.
    Test {
        /// Only tests whose names contain one of these.
        filters: Vec<String>,
    },
    /// Everything that must hold before a change lands.
    Ci {
        /// Leaves the tests to `cargo xtask test`.
        #[arg(long)]
        without_tests: bool,
    },
    /// Measures the service (`cargo xtask bench --help` lists scenarios and options).
    #[command(disable_help_flag = true)]
    Bench {
        /// Scenarios and options of the bench.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the whole service under virtual time with seeded faults (`cargo xtask sim --help`).
    #[command(disable_help_flag = true)]
    Sim {
        /// Options of the simulator: `--seeds N`, `--seed S`, `--trace`, `--sabotage`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Searches for inputs that break a rule of whatever reads what others wrote (`cargo xtask fuzz --help`).
    #[command(disable_help_flag = true)]
    Fuzz {
        /// Targets and options of the fuzzer: `--seconds N`, `--seed S`, `--file FILE`, `--grow`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Lets faults happen to real instances and servers, and judges (`cargo xtask chaos --help`).
    #[command(disable_help_flag = true)]
    Chaos {
        /// Faults by name or number, and options: `--correctness`, `--full`, `--list`, `--seed S`, `--json F`, `--markdown F`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The rules of the house that compilers do not know: layers, headers, sizes, documents.
    Tidy,
    /// Makes the generated documents anew.
    Gen {
        /// Changes nothing; fails when a document is out of date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::run(),
        Command::Dev => dev::run(),
        Command::Servers => servers::run(),
        Command::Test { filters } => test::run(&filters),
        Command::Ci { without_tests } => ci::run(without_tests),
        Command::Bench { arguments } => bench::run(&arguments),
        Command::Sim { arguments } => sim::run(&arguments),
        Command::Fuzz { arguments } => fuzz::run(&arguments),
        Command::Chaos { arguments } => chaos::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Gen { check } => generate::run(check),
    }
}
