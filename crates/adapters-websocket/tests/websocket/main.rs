//! The hub over real sockets, driven by a real client library.

mod authentication;
mod ending;
mod limits;
mod resuming;
mod subscriptions;
mod support;
