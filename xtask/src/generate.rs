//! `gen`: documents that are made from the code, and their check for drift.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use domain::lifecycle::{TRANSITIONS, mermaid};
use domain::{Status, Trigger};

use crate::{built, sh};

/// Documents that the binary prints: where they go, and what it is asked.
const PRINTED: &[(&str, &[&str])] = &[
    ("docs/openapi.json", &["openapi"]),
    ("docs/asyncapi.json", &["asyncapi"]),
    ("docs/CONFIGURATION.md", &["config", "--reference"]),
    ("deploy/lifecycle.example.toml", &["config", "--example"]),
];

/// Makes the documents, or checks them, with a binary built for it.
pub(crate) fn run(check: bool) -> Result<()> {
    sh::run(sh::cargo().args(["build", "--package", "lifecycle"]))?;
    run_with_built_binary(check)
}

/// The same, with the binary that stands in the target folder.
pub(crate) fn run_with_built_binary(check: bool) -> Result<()> {
    let binary = built::program("debug", "lifecycle")?;
    let mut stale = Vec::new();
    for (path, text) in documents(&binary)? {
        let file = sh::root().join(path);
        let is = std::fs::read_to_string(&file).unwrap_or_default();
        if is == text {
            continue;
        }
        if check {
            stale.push(path);
        } else {
            std::fs::write(&file, text).with_context(|| format!("{path} could not be written"))?;
            eprintln!("{path}: written");
        }
    }
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask gen`", stale.join(", "));
    }
    Ok(())
}

fn documents(binary: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut documents = vec![("docs/state-diagram.md", state_diagram())];
    for (path, arguments) in PRINTED {
        let text = sh::output(sh::command(binary).args(*arguments))?;
        documents.push((path, format!("{}\n", text.trim_end())));
    }
    Ok(documents)
}

fn state_diagram() -> String {
    let mut out = "\
# States and transitions

<!-- Made by `cargo xtask gen` from crates/domain/src/lifecycle.rs. -->

What is not in this table is refused with a typed reason and changes nothing.

| from | to | by |
|---|---|---|
"
    .to_owned();
    let mut pairs: Vec<(Option<Status>, Status)> = TRANSITIONS.iter().map(|t| (t.from, t.to)).collect();
    pairs.dedup();
    for (from, to) in pairs {
        let by: Vec<&str> =
            TRANSITIONS.iter().filter(|t| t.from == from && t.to == to).map(|t| Trigger::as_str(t.trigger)).collect();
        let _ = writeln!(out, "| {} | {to} | {} |", from.map_or("(new)", Status::as_str), by.join(", "));
    }
    let _ = write!(out, "\n```mermaid\n{}```\n", mermaid());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_diagram_shows_every_row_of_the_table() {
        let text = state_diagram();
        for row in TRANSITIONS {
            assert!(text.contains(&format!("--> {}: {}", row.to, row.trigger)), "{row:?}");
        }
        assert!(text.contains("| RUNNING | CLOSED | CLOSE_CAMPAIGN, operator, target |"), "{text}");
        assert!(text.ends_with("```\n"));
    }
}
