//! How campaigns, timers and the journal's entries are kept: compact JSON with a version, written from borrowed data.
//!
//! Names are short because they are written with every step; once released a name never changes its meaning. A change of
//! form gets the next version, and decoding keeps reading the older ones. Metadata and payloads are kept as strings, so
//! that they come back byte for byte.

mod campaign;
mod entry;
mod forms;
mod policy;
mod raw;
#[cfg(test)]
pub(crate) mod samples;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use campaign::{decode_campaign, encode_campaign};
pub use entry::{STEP_KINDS, StoredEntry, TRANSITION_KINDS, decode_entry, encode_entry, entry_kind};
pub use forms::{decode_timer, encode_timer};
pub use raw::{decode_raw, encode_raw};

/// The version that is written.
const VERSION: u32 = 1;

/// Why something stored cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A newer program wrote it.
    #[error("it has version {0}, which this program does not know")]
    UnknownVersion(u32),
    /// No entry is called that.
    #[error("there is no entry of kind {0:?}")]
    UnknownKind(String),
    /// It is not what this version looks like.
    #[error("it is not well-formed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A value breaks a rule of the domain.
    #[error("{field} is not valid: {detail}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl DecodeError {
    fn invalid(field: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Invalid { field, detail: detail.to_string() }
    }
}

/// Reads a form, or says that it is of another version.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str::<T>(text).map_err(|error| match serde_json::from_str::<AnyVersion>(text) {
        Ok(AnyVersion { v }) if v != VERSION => DecodeError::UnknownVersion(v),
        _ => error.into(),
    })
}

#[derive(Deserialize)]
struct AnyVersion {
    v: u32,
}

/// The version in a form: nothing else is accepted in its place.
#[derive(Debug, Clone, Copy)]
struct Version1;

impl Serialize for Version1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            VERSION => Ok(Self),
            other => Err(serde::de::Error::custom(format_args!("version {other}"))),
        }
    }
}
