//! The scenarios on servers, one a file.

pub(crate) mod burst;
mod firings;
