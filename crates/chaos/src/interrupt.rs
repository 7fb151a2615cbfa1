//! Ctrl-C and SIGTERM: every wait of the driver ends at once then, and with it, in order, all that was started.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often a condition is looked at that nobody announces.
const GLANCE: Duration = Duration::from_millis(25);

/// From now on the signals only end waits.
pub(crate) fn catch(runtime: &tokio::runtime::Runtime) -> Result<()> {
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be caught")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    drop(entered);
    runtime.spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        INTERRUPTED.store(true, Ordering::Relaxed);
    });
    Ok(())
}

pub(crate) fn was_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Lets so much time pass.
pub(crate) fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if was_interrupted() {
            bail!("interrupted");
        }
        std::thread::sleep(left.min(GLANCE));
    }
    Ok(())
}

/// Waits until `holds`; answers how long that took, or `None` when it did not within `limit`.
pub(crate) fn wait(limit: Duration, mut holds: impl FnMut() -> bool) -> Result<Option<Duration>> {
    let begun = Instant::now();
    loop {
        if holds() {
            return Ok(Some(begun.elapsed()));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        pause(GLANCE)?;
    }
}
