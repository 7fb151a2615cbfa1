//! The scenarios on the embedded store. Timers are measured within the process, since `SQLite` does not tell when a row
//! was committed.

pub(crate) mod burst;
mod engine;
mod fixtures;
pub(crate) mod footprint;
pub(crate) mod steady;

use anyhow::Result;

use crate::baselines::sqlite;
use crate::bench::Bench;
use crate::process::Program;
use crate::scenarios::api;

/// All of them.
pub(crate) async fn run(bench: &Bench) -> Result<()> {
    sqlite::run(bench)?;
    burst::run(bench).await?;
    steady::run(bench).await?;
    for run in 1..=bench.scale.runs {
        bench.report.progress(&format!("embedded creates {run}/{}", bench.scale.runs));
        let folder = tempfile::tempdir()?;
        let service = Program::embedded(&bench.binary, &folder.path().join("bench.db")).serve().await?;
        api::creates(&bench.report, "embedded", &service, bench.scale.creates).await?;
    }
    footprint::run(bench).await
}
