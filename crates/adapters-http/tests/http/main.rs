//! The HTTP surface on the real application, with ports that live in memory: routing, access, limits, answers, document.
//! Whole lifecycles over real stores are the scenario suite's.

mod access;
mod bodies;
mod campaigns;
mod client;
mod dead_letters;
mod document;
mod routing;
mod serving;
mod world;
