//! The effective settings as `lifecycle config` prints them. Secrets are masked by their type.

use std::fmt::Write as _;

use serde_json::Value;

use super::Loaded;
use super::schema::{Node, variable};
use super::sections::Config;
use crate::failure::Failure;

/// As TOML.
pub(crate) fn effective_toml(config: &Config) -> Result<String, Failure> {
    toml::to_string(config).map_err(|error| Failure::internal(&error))
}

/// As JSON.
pub(crate) fn effective_json(config: &Config) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(config).map_err(|error| Failure::internal(&error))?;
    Ok(text + "\n")
}

/// One line per setting: key, value, where it came from.
pub(crate) fn with_sources(loaded: &Loaded) -> Result<String, Failure> {
    let mut lines = Vec::new();
    let all = serde_json::to_value(&loaded.config).map_err(|error| Failure::internal(&error))?;
    flatten(&all, &mut Vec::new(), &mut lines);
    let mut out = String::new();
    for (path, value) in lines {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let left = format!("{} = {value}", path.join("."));
        let source = match loaded.source_of(&path).as_str() {
            "default" => format!("default ({})", variable(&path)),
            source => source.to_owned(),
        };
        let _ = writeln!(out, "{left:<60} # {source}");
    }
    Ok(out)
}

fn flatten(value: &Value, path: &mut Vec<String>, lines: &mut Vec<(Vec<String>, String)>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                path.push(name.clone());
                flatten(value, path, lines);
                path.pop();
            }
        }
        Value::Null => lines.push((path.clone(), "(not set)".to_owned())),
        plain => lines.push((path.clone(), plain.to_string())),
    }
}

/// The default of the setting at `path`, as TOML has it; none when it is not set.
pub(super) fn default_of(path: &[&str]) -> Option<String> {
    let all = serde_json::to_value(Config::default()).ok()?;
    let value = path.iter().try_fold(&all, |value, name| value.get(name))?;
    match value {
        Value::Null | Value::Object(_) => None,
        plain => Some(plain.to_string()),
    }
}

/// The limits of a setting in words; none when it has none.
pub(super) fn limits_of(node: Node<'_>) -> Option<String> {
    let (min, max) = node.numbers();
    let (shortest, longest) = node.durations();
    match (max, longest) {
        (Some(max), _) => Some(format!("{} to {max}", min.unwrap_or(0))),
        (_, Some(longest)) => Some(format!("{} to {longest}", shortest.unwrap_or("0s"))),
        _ => None,
    }
}
