//! Progress on the terminal: how long it has been running, and how far it is.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Where a run is.
pub(super) struct Progress {
    started: Instant,
    /// Which scenario of how many.
    at: Mutex<(usize, usize)>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), at: Mutex::new((0, 0)) }
    }

    pub(super) fn begin(&self, number: usize, of: usize) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = (number, of);
    }

    pub(super) fn tell(&self, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        let (number, of) = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("[{:>3}:{:02}, {number} of {of}] {text}", seconds / 60, seconds % 60);
    }
}
