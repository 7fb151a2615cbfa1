//! Hostile input for everything that reads what others wrote: targets with rules that hold for every input, a corpus, and
//! a search that mutates what it knows. No rule of the service lives here but those that are written a second time.

pub mod corpus;
mod engine;
mod guard;
mod json;
mod mutate;
mod mutate_json;
mod rng;
mod rules;
mod service;
mod shrink;
mod targets;

pub use engine::{Broken, Limits, Report, replay, search, try_one};
pub use targets::{Check, TARGETS, Target};
