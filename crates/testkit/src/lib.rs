//! What the scenario suite needs to drive the real binary from outside: its process, an HTTP client, a WebSocket client,
//! tokens and campaign bodies. Everything here fails by panicking with what it saw: it is for tests only.

mod answer;
mod api;
mod campaign;
mod flood;
mod live;
mod nginx;
mod place;
mod proxy;
mod service;
mod time;
mod token;

pub use answer::Answer;
pub use api::{Api, Call};
pub use campaign::Plan;
pub use flood::{Flood, Flooded, time_of_a_change};
pub use live::{Entry, Heard, Live};
pub use nginx::Nginx;
pub use place::{Place, migrate};
pub use ports::auth::Role;
pub use proxy::{Mode, Proxy};
pub use service::{Ran, Service};
pub use time::{in_seconds, millis_of, now_millis, until};
pub use token::{SECRET, Token};

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
