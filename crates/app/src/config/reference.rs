//! The reference of all settings (`docs/CONFIGURATION.md`) and the documented sample (`deploy/lifecycle.example.toml`),
//! both made from the schema.

use std::fmt::Write as _;

use super::schema::{Node, variable};
use super::show::{default_of, limits_of};

const INTRODUCTION: &str = "\
# Configuration

<!-- Made by `cargo xtask gen` from `lifecycle config --reference`. Change the doc comments in crates/app/src/config. -->

Every setting has a default: `lifecycle serve` runs without any. Settings come from, later ones winning:

1. one TOML file, named by `--config FILE` or the variable `LIFECYCLE_CONFIG`
   ([`deploy/lifecycle.example.toml`](../deploy/lifecycle.example.toml) has them all with their defaults),
2. environment variables: `DATABASE_URL`, `DATABASE_REPLICA_URL` and `REDIS_URL` for the addresses of the servers, above
   them `LIFECYCLE_<SECTION>__<KEY>`, as named below,
3. flags: `--listen`, `--data`, `--log-level`, `--log-format`.

All of them are checked before anything starts. An unknown key, a wrong type or a value outside its limits ends the
program with exit code 2 and a message that names the key and where it was set. `lifecycle config` prints what is in
effect with secrets masked, `lifecycle config --sources` also where each value came from.

Durations are a whole number and a unit: `500ms`, `5s`, `10m`, `48h`, `7d`. In environment variables lists are separated
by commas. Variables with the prefix `LIFECYCLE_` but without a double underscore are not settings and are left alone, so
the service links of Kubernetes do no harm.
";

/// The reference, in Markdown.
pub(crate) fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (name, section) in Node::root().children() {
        describe_table(&mut out, &[name], section);
    }
    out
}

fn describe_table(out: &mut String, path: &[&str], table: Node<'_>) {
    let _ = writeln!(out, "\n## `[{}]`\n\n{}", path.join("."), table.doc());
    let (tables, keys): (Vec<_>, Vec<_>) = table.children().into_iter().partition(|(_, node)| node.is_table());
    if !keys.is_empty() {
        let _ = writeln!(out, "\n| key | takes | default | meaning | variable |\n|---|---|---|---|---|");
    }
    for (name, node) in keys {
        let path: Vec<&str> = path.iter().copied().chain([name]).collect();
        let takes = match limits_of(node) {
            Some(limits) => format!("{}, {limits}", node.kind().words()),
            None => node.kind().words(),
        };
        let default = default_of(&path).map_or_else(|| "not set".to_owned(), |text| format!("`{text}`"));
        let _ = writeln!(out, "| `{name}` | {takes} | {default} | {} | `{}` |", node.doc(), variable(&path));
    }
    for (name, node) in tables {
        let path: Vec<&str> = path.iter().copied().chain([name]).collect();
        describe_table(out, &path, node);
    }
    if let Some(chosen) = table.child("<tenant>").filter(|_| table.children().is_empty()) {
        for (name, node) in chosen.children() {
            let path: Vec<&str> = path.iter().copied().chain(["<tenant>", name]).collect();
            describe_table(out, &path, node);
        }
    }
}

/// The documented sample: every setting with its default; those without one are commented out.
pub(crate) fn example() -> String {
    let mut out = "\
# All settings of `lifecycle` with their defaults; keep only what you change.
# Made by `cargo xtask gen` from `lifecycle config --example`. Run with: lifecycle serve --config lifecycle.toml
# Durations are a whole number and a unit: 500ms, 5s, 10m, 48h, 7d.
"
    .to_owned();
    for (name, section) in Node::root().children() {
        show_table(&mut out, &[name], section);
    }
    out.push_str(
        "
# One tenant may have its own waiting times:
# [tenants.acme.policy]
# reward_claim_seconds = 1209600
",
    );
    out
}

fn show_table(out: &mut String, path: &[&str], table: Node<'_>) {
    let (tables, keys): (Vec<_>, Vec<_>) = table.children().into_iter().partition(|(_, node)| node.is_table());
    if !keys.is_empty() {
        let _ = writeln!(out);
        comment(out, &table.doc());
        let _ = writeln!(out, "[{}]", path.join("."));
    }
    for (name, node) in keys {
        let path: Vec<&str> = path.iter().copied().chain([name]).collect();
        let limits = limits_of(node).map(|limits| format!(" ({limits})")).unwrap_or_default();
        comment(out, &format!("{}{limits}", node.doc()));
        let _ = match default_of(&path) {
            Some(default) => writeln!(out, "{name} = {default}"),
            None => writeln!(out, "# {name} = "),
        };
    }
    for (name, node) in tables {
        let path: Vec<&str> = path.iter().copied().chain([name]).collect();
        show_table(out, &path, node);
    }
}

/// Writes `text` as comment lines of at most 118 characters.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > 118 {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}
