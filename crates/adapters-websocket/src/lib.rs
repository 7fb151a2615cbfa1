//! Live views over WebSocket (DESIGN §7): connections, channels, snapshots, resume and back-pressure.
//!
//! Lives here: the [`Hub`] with its pump and connections, and the `warp` route that a request becomes a WebSocket by; the
//! simulator lets it serve pipes. Does not live here: what frames say (`wire`), what is true (`ports`), the accept loop.

mod admission;
mod catching_up;
mod connection;
mod encode;
mod goodbye;
mod hub;
mod mailbox;
mod planted;
mod quota;
mod routes;
mod settings;
mod snapshot;
mod snapshots;
mod socket;
mod subscribing;
mod subscriptions;
mod upgrade;
mod visibility;
mod work;

pub use hub::Hub;
pub use planted::Planted;
pub use settings::{HubDeps, HubSettings};
pub use socket::Stream;
pub use upgrade::routes;
