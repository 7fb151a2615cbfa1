//! The scenario suite once more, on PostgreSQL and Redis: the same files as on the embedded wiring, but for what is about
//! the data file itself. Every scenario has a database and a key prefix of its own.

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
mod overload;
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

/// A service on fresh servers.
async fn service() -> Service {
    service_with(&[]).await
}

/// A service on fresh servers, with settings.
async fn service_with(settings: &[(&str, &str)]) -> Service {
    Service::start_on_servers(env!("CARGO_BIN_EXE_lifecycle"), settings).await
}
