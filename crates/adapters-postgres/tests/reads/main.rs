//! The read side on a real server, beyond the port suites: the feed, replicas, old months, views, repairs, plans.

#[path = "../support/mod.rs"]
mod support;

mod feed;
mod instances;
mod months;
mod plans;
mod repairs;
mod replica;
mod views;
