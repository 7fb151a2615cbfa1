//! The bus on Redis 7: events in and out, hints, the shared cache and the shared rate limits.
//!
//! Lives here: connections, streams, Lua scripts. Does not live here: decisions, the journal, what live clients read.

mod cache;
mod checks;
mod connect;
mod dead_letter_stream;
mod ears;
mod entries;
mod failure;
mod inbound;
mod limits;
mod link;
mod marks;
mod names;
mod publisher;
mod redis;
mod settings;
mod streams;
mod told;
mod upkeep;
mod values;
mod wakeups;

pub use cache::RedisCache;
pub use checks::{Finding, Level};
pub use connect::ConnectError;
pub use dead_letter_stream::MirroredDeadLetters;
pub use inbound::RedisInbound;
pub use limits::RedisRateLimiter;
pub use publisher::RedisPublisher;
pub use redis::Redis;
pub use settings::RedisSettings;
pub use streams::RedisStreams;
pub use upkeep::Trimmer;
pub use wakeups::SharedWakeups;
