//! The servers as models: plain data and what is done to it in one step. Calls, time and faults live elsewhere.

pub(crate) mod bus;
pub(crate) mod cache;
pub(crate) mod inbound;
pub(crate) mod leases;
pub(crate) mod letters;
pub(crate) mod queries;
pub(crate) mod store;
pub(crate) mod timers;
