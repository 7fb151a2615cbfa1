//! The scenarios on servers, one a file.

pub(crate) mod burst;
pub(crate) mod fanout;
mod firings;
