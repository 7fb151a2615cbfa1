//! What each command does, one file each.

mod audit;
mod config;
mod dlq;
mod documents;
mod migrate;
mod replay;
mod serve;
mod token;
mod verify;

use std::future::Future;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

pub(crate) use serve::{bind, server_settings};
pub(crate) use token::mint_for;
pub(crate) use verify::{human, violations};

/// Does what the command line asks for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let settings = &cli.settings;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(settings),
        Command::Demo(options) => crate::demo::run(settings, &options),
        Command::Token(options) => token::run(settings, &options),
        Command::Migrate(options) => migrate::run(settings, &options),
        Command::Verify(options) => verify::run(settings, &options),
        Command::Audit(command) => audit::run(settings, &command),
        Command::Replay(options) => replay::run(settings, &options),
        Command::Dlq(command) => dlq::run(settings, command),
        Command::Config(options) => config::run(settings, &options),
        Command::Openapi => documents::openapi(),
        Command::Asyncapi => documents::asyncapi(),
        Command::Completions { shell } => documents::completions(shell),
    }
}

/// Runs `work` to its end on a runtime of its own. What is still running then is left behind.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    result
}
