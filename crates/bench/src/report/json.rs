//! All that was read and on what, for programs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Report;
use crate::goals;

pub(super) fn write(report: &Report, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(&value(report))?;
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn value(report: &Report) -> Value {
    let judged = goals::judge(report);
    let readings: Vec<Value> = report
        .readings()
        .iter()
        .map(|reading| {
            let goal = judged.of(&reading.name);
            json!({
                "scenario": reading.name.scenario,
                "what": reading.name.what,
                "unit": reading.name.unit,
                "median": reading.median(),
                "values": reading.values,
                "goal": goal.map(|(bound, _)| bound.to_string()),
                "reached": goal.map(|(_, reached)| reached),
            })
        })
        .collect();
    json!({
        "optimised": report.is_optimised(),
        "about": report.about().into_iter().collect::<BTreeMap<_, _>>(),
        "readings": readings,
    })
}
