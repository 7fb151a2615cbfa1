//! Messaging on Redis.
