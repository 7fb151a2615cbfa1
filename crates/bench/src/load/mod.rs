//! Load generators: processes of their own, so that what they cost is not taken for the service's.

pub(crate) mod live;

use anyhow::Result;
use clap::Subcommand;

/// Which one to be; the bench starts itself again with this.
#[derive(Subcommand)]
pub(crate) enum Load {
    /// Many WebSocket clients.
    Live(live::Arguments),
}

/// Runs one to its end, on one thread.
pub(crate) fn run(load: Load) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match load {
        Load::Live(arguments) => runtime.block_on(tokio::task::LocalSet::new().run_until(live::run(arguments))),
    }
}
