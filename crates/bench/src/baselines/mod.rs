//! What the service is compared with: the same work by the same servers, and by nothing else.

pub(crate) mod sqlite;
