//! The scenarios on servers, one a file.

pub(crate) mod api;
pub(crate) mod backlog;
pub(crate) mod burst;
pub(crate) mod fanout;
mod firings;
pub(crate) mod ingest;
pub(crate) mod recover;
pub(crate) mod scale;
pub(crate) mod soak;
pub(crate) mod steady;
