//! What the service is compared with: the same work by the same servers and by nothing else, and by what a team would pick
//! instead.

pub(crate) mod peers;
pub(crate) mod redis;
pub(crate) mod sql;
pub(crate) mod sqlite;
