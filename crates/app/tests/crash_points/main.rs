//! The service ended at each of its crash points, in both wirings: what is there before anybody starts it again, and that
//! everything is there exactly once afterwards. docs/CRASH-POINTS.md tells the tables of this suite to people.
//!
//! Which points there are lives in `crates/failpoints`; `kill -9` at random moments lives in the scenario suite.

mod commands;
mod commit_sent;
mod events;
mod found;
mod guide;
mod panics;
mod relay;
mod rig;
mod timers;

/// The program.
const BINARY: &str = env!("CARGO_BIN_EXE_lifecycle");
