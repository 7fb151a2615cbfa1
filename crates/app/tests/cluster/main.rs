//! Several instances on one PostgreSQL and one Redis, and what may befall them: instances that are killed, frozen and
//! restarted, servers that go and come back, with and without their data, and servers that will not do.
//!
//! Whatever happens, every campaign lives its life once, `lifecycle verify` finds nothing, and the outbound streams hold
//! every position exactly once.

mod bad_entries;
mod bad_servers;
mod fleet;
mod frozen;
mod guide;
mod held_rows;
mod instances;
mod lives;
mod repairs;
mod rolling;
mod servers_gone;

/// The program.
const BINARY: &str = env!("CARGO_BIN_EXE_lifecycle");
