//! The ports as one instance sees them: calls that take time, fail, or are done and not heard of. What is done lives in
//! `model`.

mod bus;
mod cache;
pub(crate) mod feed;
mod inbound;
mod node;
mod queries;
mod rest;
mod store;
pub(crate) mod wakeups;

pub use feed::SimFeed;
pub use node::Node;
pub use wakeups::SimWakeups;
