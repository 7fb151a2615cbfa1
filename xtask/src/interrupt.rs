//! Ctrl-C: it reaches the programs that we run, too. We outlive them, and then stop what else we started.

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// As long as the process lives, Ctrl-C no longer ends it.
pub(crate) struct Interrupt {
    runtime: Runtime,
    signal: Signal,
}

impl Interrupt {
    pub(crate) fn catch() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().context("no runtime")?;
        let entered = runtime.enter();
        let signal = signal(SignalKind::interrupt()).context("Ctrl-C cannot be caught")?;
        drop(entered);
        Ok(Self { runtime, signal })
    }

    /// Waits for one.
    pub(crate) fn wait(&mut self) {
        self.runtime.block_on(self.signal.recv());
    }
}
