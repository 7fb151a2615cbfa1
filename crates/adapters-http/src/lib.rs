//! REST commands and queries, the OpenAPI document and its page, health, metrics, and the HTTP server (DESIGN §6).
//!
//! Lives here: HTTP and nothing else. What a command does is the application's; how bodies look is `wire`'s; WebSocket
//! has its own crate and is merged in front of [`routes`] by whoever wires the service.

mod body_memory;
mod client_address;
mod docs_page;
mod gate;
mod handlers;
mod only_local;
mod openapi;
mod operation;
mod problem;
mod reply;
mod request;
mod routes;
pub mod server;

use std::fmt;
use std::sync::Arc;

use application::{Commands, DeadLetterDesk, Policies, Reads, System};
use ports::auth::Authenticator;
use ports::clock::{Clock, Ids};
use ports::dead_letters::DeadLetters;
use ports::inbound::Inbound;
use ports::limits::RateLimiter;

pub use client_address::{NotANetwork, TrustedProxies};
pub use only_local::only_local;
pub use openapi::openapi;
pub use operation::{
    Access, Effect, Input, MAX_BATCH, MAX_BATCH_BODY, MAX_BODY, Operation, Parameter, ParameterKind, Spec,
};
pub use routes::routes;
pub use server::{Client, ServerSettings, serve};

/// What the rate limiter allows, for the headers that tell it.
#[derive(Debug, Clone, Copy)]
pub struct HttpSettings {
    /// How many calls one token may make at once.
    pub token_burst: u32,
    /// How many calls without a valid token may come from one address at once.
    pub address_burst: u32,
}

/// Everything that the routes need.
pub struct Api {
    /// Takes commands.
    pub commands: Arc<Commands>,
    /// Answers questions.
    pub reads: Arc<Reads>,
    /// Replays and discards dead letters.
    pub desk: Arc<DeadLetterDesk>,
    /// Shows dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Knows how the service is doing.
    pub system: Arc<System>,
    /// The policies of new campaigns, for dry runs.
    pub policies: Arc<Policies>,
    /// Takes events.
    pub inbound: Arc<dyn Inbound>,
    /// Checks tokens.
    pub auth: Arc<dyn Authenticator>,
    /// Limits callers.
    pub limiter: Arc<dyn RateLimiter>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids of requests and of commands whose sender gave none.
    pub ids: Arc<dyn Ids>,
    /// Renders the metrics in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What callers are told of the limits.
    pub settings: HttpSettings,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("settings", &self.settings).finish_non_exhaustive()
    }
}
