//! The domain's tests: the table, rejections, lateness, plans, reminders, invariants, and properties over random lives.

extern crate lifecycle_domain as domain;

mod commands;
mod invariants;
mod lateness;
mod plans;
mod properties;
mod rejections;
mod reminders;
mod table;
mod world;
