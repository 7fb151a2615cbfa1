//! The scenario suite: whole lives of campaigns through the public surfaces of the real binary, on the embedded wiring.
//!
//! Every scenario starts its own service on a folder of its own, talks to it over HTTP and WebSocket only, and ends with
//! `finish`: an orderly stop and a `lifecycle verify` that finds nothing.

mod bad_bodies;
mod bad_frames;
mod bad_tokens;
mod chance;
mod crash;
mod crowds;
mod dead_letters;
mod events;
mod forms;
mod hostile_sockets;
mod idempotency;
mod keys;
mod limits;
mod live;
mod live_resume;
mod misfire;
mod mixture;
mod no_auth;
mod offline;
mod overload;
mod process_kills;
mod queries;
mod races;
mod rejections;
mod reminders;
mod roles;
mod slow_client;
mod smuggling;
mod stop;
mod transitions;

use testkit::Service;

/// A service on a fresh folder.
async fn service() -> Service {
    service_with(&[]).await
}

/// A service on a fresh folder, with settings.
async fn service_with(settings: &[(&str, &str)]) -> Service {
    Service::start(env!("CARGO_BIN_EXE_lifecycle"), settings).await
}
