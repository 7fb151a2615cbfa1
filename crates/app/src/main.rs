//! `lifecycle`: the one binary. It reads settings, wires the adapters, runs the service and its command line.
//!
//! Lives here: what only a process needs (configuration, wiring, start and stop, printing). Does not live here: any rule
//! about campaigns, storage or protocols.

mod cli;
mod commands;
mod config;
mod demo;
mod failure;
mod files;
mod lifecycle;
mod output;
mod report;
mod telemetry;
mod usage;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use crate::failure::Failure;
use crate::output::style::{BOLD, RED, RESET};

fn main() -> ExitCode {
    match commands::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::ClosedPipe) {
                output::note(&format!("{BOLD}{RED}error:{RESET} {failure}"));
            }
            failure.exit_code()
        }
    }
}
