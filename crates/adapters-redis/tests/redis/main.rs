//! The Redis adapter against real servers. Suites and most cases share the server of `cargo xtask test`, each with a prefix
//! of its own; cases that break a server start one for themselves.

mod checks;
mod cluster;
mod contracts;
mod hints;
mod inbound;
mod letters;
mod outages;
mod publishing;
mod silence;
mod streams;
mod support;
mod upkeep;
