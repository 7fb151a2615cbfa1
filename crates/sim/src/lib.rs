//! The whole service in one thread, under virtual time, in a world whose every mishap comes from a seed.
//!
//! Real are the domain, the application and the WebSocket hub: commands, timers, relay, consumer, recovery, maintenance,
//! presence, housekeeping and live clients' connections, wired as the program wires them. Modelled are the servers, the clocks, the instances' lives, and everybody
//! outside. The models pass the contract suites of the ports. How to run it stands in `docs/SIMULATION.md`.

mod audit;
mod calls;
mod clients;
mod connections;
mod fault;
mod fleet;
mod gate;
mod instance;
mod model;
mod plan;

mod rng;
mod run;
mod sabotage;
mod shrink;
mod time;
mod trace;
mod weather;
mod world;

pub use audit::Counts;
pub use calls::{Node, SimFeed, SimWakeups};
pub use fault::{Fault, Rates};
pub use plan::Plan;
pub use run::{Outcome, run};
pub use sabotage::Sabotage;
pub use shrink::{describe, shrink};
pub use time::{SimClock, SimIds};
pub use world::World;
