//! How much of the machine this process uses, for the scaling table of `/system`. Known on Linux only.

use std::fs::read_to_string;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The kernel tells processor time in hundredths of a second, whatever its own tick is (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures processor and memory.
pub(crate) struct Usage {
    last: Mutex<(Instant, Option<f64>)>,
}

impl Usage {
    /// A measure that counts from now.
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new((Instant::now(), cpu_seconds())) }
    }

    /// Processor time since the last call as a share of all processors, and memory as a share of what the process may
    /// have; in percent.
    pub(crate) fn percent(&self) -> (Option<f64>, Option<f64>) {
        let (now, used) = (Instant::now(), cpu_seconds());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.duration_since(last.0).as_secs_f64();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 processors")]
        let available = elapsed * processors as f64;
        let cpu = match (last.1, used) {
            (Some(before), Some(now)) if available > 0.0 => Some(((now - before) / available * 100.0).max(0.0)),
            _ => None,
        };
        *last = (now, used);
        (cpu, memory_percent())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name and may hold anything; fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn memory_percent() -> Option<f64> {
    let used = kilobytes(&read_to_string("/proc/self/status").ok()?, "VmRSS:")? * 1024.0;
    let machine = kilobytes(&read_to_string("/proc/meminfo").ok()?, "MemTotal:")? * 1024.0;
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|file| read_to_string(file).ok()?.trim().parse::<f64>().ok());
    Some(used / group.unwrap_or(machine).min(machine) * 100.0)
}

fn kilobytes(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn usage_is_known_and_is_a_share() {
        let (cpu, memory) = Usage::new().percent();
        assert!(cpu.is_some_and(|percent| (0.0..=110.0).contains(&percent)), "{cpu:?}");
        assert!(memory.is_some_and(|percent| percent > 0.0 && percent < 100.0), "{memory:?}");
    }
}
