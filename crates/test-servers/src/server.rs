//! What both kinds of servers have in common: run, end, run again, leave nothing behind.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::guard::Guard;
use crate::place::Place;
use crate::{GLANCE, PATIENCE};

/// A server with its place.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    place: Place,
    /// The signal that ends it when nobody needs it any more.
    at_last: &'static str,
    /// The one of the latest run. It also stays while the server is down, and removes the folder should we be killed.
    guard: Mutex<Option<Guard>>,
}

impl Server {
    pub(crate) fn new(name: &'static str, place: Place, at_last: &'static str) -> Self {
        Self { name, place, at_last, guard: Mutex::new(None) }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Runs `server` and waits until it is ready.
    pub(crate) fn run(&self, server: &Command, is_ready: impl Fn() -> bool) -> Result<()> {
        let mut latest = self.guard();
        if latest.as_ref().is_some_and(|guard| !guard.is_gone()) {
            bail!("{} runs already", self.name);
        }
        if let Some(previous) = latest.take() {
            previous.dismiss()?;
        }
        let guard = Guard::start(&self.place, server, self.at_last)?;
        let begun = Instant::now();
        while !is_ready() {
            if guard.is_gone() {
                bail!("{} ended while it started; it wrote:\n{}", self.name, self.place.end_of_log());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} did not start within {PATIENCE:?}; it wrote:\n{}", self.name, self.place.end_of_log());
            }
            std::thread::sleep(GLANCE);
        }
        *latest = Some(guard);
        Ok(())
    }

    /// Ends it by a signal, or all its processes at once by `crash`.
    pub(crate) fn end(&self, order: &str) -> Result<()> {
        match self.guard().as_mut() {
            Some(guard) if !guard.is_gone() => guard.end(order),
            _ => bail!("{} does not run", self.name),
        }
    }

    /// Ends it for good if it still runs.
    pub(crate) fn finish(&self) -> Result<()> {
        let Some(mut guard) = self.guard().take() else { return Ok(()) };
        if !guard.is_gone() {
            guard.end(self.at_last)?;
        }
        guard.dismiss()
    }

    fn guard(&self) -> MutexGuard<'_, Option<Guard>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}
