//! Documents that the program knows of itself: OpenAPI, AsyncAPI, completion scripts.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;

pub(crate) fn openapi() -> Result<(), Failure> {
    Ok(output::json(&adapters_http::openapi())?)
}

pub(crate) fn asyncapi() -> Result<(), Failure> {
    Ok(output::json(&wire::asyncapi::document())?)
}

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lifecycle", &mut script);
    Ok(output::print(&String::from_utf8_lossy(&script))?)
}
