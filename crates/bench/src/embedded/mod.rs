//! The scenarios on the embedded store. Timers are measured within the process, since `SQLite` does not tell when a row
//! was committed.

pub(crate) mod burst;
pub(crate) mod creates;
mod engine;
mod fixtures;
pub(crate) mod footprint;
pub(crate) mod steady;

use anyhow::Result;

use crate::baselines::sqlite;
use crate::bench::Bench;

/// All of them.
pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    sqlite::run(bench)?;
    burst::run(bench).await?;
    steady::run(bench).await?;
    creates::run(bench).await?;
    footprint::run(bench).await
}
