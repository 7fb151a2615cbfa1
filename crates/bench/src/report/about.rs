//! What readings were read on: machine, versions, commit, scale. Without it they cannot be compared with others.

use std::process::Command;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::bench::Scale;

/// Known before anything is measured; versions of servers and peers come in when they are first used.
pub(crate) struct About {
    begun: DateTime<Utc>,
    /// Whether this program, and so the one under test, was built for speed.
    pub(super) optimised: bool,
    pub(super) scale: Scale,
}

impl About {
    pub(crate) fn new(begun: DateTime<Utc>, optimised: bool, scale: Scale) -> Self {
        Self { begun, optimised, scale }
    }

    /// Of a run that has goals.
    #[cfg(test)]
    pub(crate) fn full_for_tests() -> Self {
        Self::new(DateTime::UNIX_EPOCH, true, crate::bench::FULL)
    }

    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let build = if self.optimised { "optimised" } else { "UNOPTIMISED: only ratios mean anything" };
        [
            ("date", self.begun.to_rfc3339_opts(SecondsFormat::Secs, true)),
            ("commit", commit()),
            ("build", build.to_owned()),
            ("scale", format!("{}, {} run(s) each", if self.scale.quick { "quick" } else { "full" }, self.scale.runs)),
            ("CPU", cpu()),
            ("cores", std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string())),
            ("memory", memory()),
            ("kernel", file("/proc/sys/kernel/osrelease").map_or_else(unknown, |text| text.trim().to_owned())),
            ("compiler", env!("LIFECYCLE_BENCH_RUSTC").to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// What is checked out in the current folder.
fn commit() -> String {
    let Some(commit) = said("git", &["rev-parse", "--short=12", "HEAD"]) else { return unknown() };
    match said("git", &["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if !changes.is_empty() => format!("{commit}, with changes"),
        _ => commit,
    }
}

fn cpu() -> String {
    let model = file("/proc/cpuinfo").and_then(|text| value(&text, "model name"));
    model.or_else(|| said("sysctl", &["-n", "machdep.cpu.brand_string"])).unwrap_or_else(unknown)
}

fn memory() -> String {
    let kib =
        file("/proc/meminfo").and_then(|text| value(&text, "MemTotal")?.trim_end_matches("kB").trim().parse().ok());
    kib.map_or_else(unknown, |kib: f64| format!("{:.1} GiB", kib / 1024.0 / 1024.0))
}

/// Node.js, which the peers run on.
pub(crate) fn node() -> Option<String> {
    said("node", &["--version"])
}

/// What follows `name:` in a file of `/proc`.
fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

fn file(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_files_of_the_system() {
        let text = "processor\t: 0\nmodel name\t: A fast one @ 3 GHz\nMemTotal:   16 kB\n";
        assert_eq!(value(text, "model name").as_deref(), Some("A fast one @ 3 GHz"));
        assert_eq!(value(text, "MemTotal").as_deref(), Some("16 kB"));
        assert_eq!(value(text, "model"), None);
    }
}
