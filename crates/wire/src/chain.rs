//! The hash chain over the stored journal: every row's hash covers the row and the hash before it, so that no row can be
//! changed, added or removed in the middle without a trace. Keeping and checking the hashes is the store's work.

use aws_lc_rs::digest::{Context, SHA256};
use uuid::Uuid;

/// The hash before the first row.
pub const GENESIS: [u8; 32] = [0; 32];

/// A row of the journal, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct ChainRow<'a> {
    /// Its place.
    pub position: u64,
    /// The fact's id.
    pub id: Uuid,
    /// When, in microseconds since 1970.
    pub at_micros: i64,
    /// Whose.
    pub tenant: &'a str,
    /// In what capacity somebody acted.
    pub actor_kind: &'a str,
    /// Who acted.
    pub actor_subject: &'a str,
    /// The command behind it.
    pub command: Option<&'a str>,
    /// The sender's correlation.
    pub correlation: Option<&'a str>,
    /// The entry's kind ([`crate::stored::StoredEntry::kind`]).
    pub kind: &'a str,
    /// The entry's data ([`crate::stored::StoredEntry::data`]).
    pub data: &'a str,
}

/// The hash of `row`, given the hash of the row before it.
pub fn link(previous: &[u8; 32], row: &ChainRow<'_>) -> [u8; 32] {
    let mut digest = Digest::new();
    digest.bytes(previous);
    digest.bytes(&row.position.to_be_bytes());
    digest.bytes(row.id.as_bytes());
    digest.bytes(&row.at_micros.to_be_bytes());
    digest.text(row.tenant);
    digest.text(row.actor_kind);
    digest.text(row.actor_subject);
    digest.optional(row.command);
    digest.optional(row.correlation);
    digest.text(row.kind);
    digest.text(row.data);
    digest.finish()
}

/// SHA-256 over values of which each says where it ends, so that two different lists never look the same.
pub(crate) struct Digest(Context);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    fn bytes(&mut self, fixed_size: &[u8]) {
        self.0.update(fixed_size);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.0.update(&[0]),
            Some(text) => {
                self.0.update(&[1]);
                self.text(text);
            }
        }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

/// The SHA-256 digest of texts, each with its end marked: the fingerprint of a command's content.
pub fn fingerprint(parts: &[&str]) -> [u8; 32] {
    let mut digest = Digest::new();
    for part in parts {
        digest.text(part);
    }
    digest.finish()
}

/// A hash as 64 lower-case hex digits.
pub fn to_hex(hash: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in hash {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads what [`to_hex`] wrote; none for anything but 64 hex digits.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (value(pair[0])? << 4) | value(pair[1])?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ChainRow<'static> {
        ChainRow {
            position: 7,
            id: Uuid::from_u128(1),
            at_micros: 1_000,
            tenant: "default",
            actor_kind: "operator",
            actor_subject: "alice",
            command: Some("c-1"),
            correlation: None,
            kind: "notice",
            data: "{}",
        }
    }

    #[test]
    fn every_column_and_the_hash_before_change_the_hash() {
        let base = link(&GENESIS, &row());
        assert_eq!(link(&GENESIS, &row()), base);
        let others = [
            link(&[1; 32], &row()),
            link(&GENESIS, &ChainRow { position: 8, ..row() }),
            link(&GENESIS, &ChainRow { id: Uuid::from_u128(2), ..row() }),
            link(&GENESIS, &ChainRow { at_micros: 1_001, ..row() }),
            link(&GENESIS, &ChainRow { tenant: "other", ..row() }),
            link(&GENESIS, &ChainRow { actor_kind: "system", ..row() }),
            link(&GENESIS, &ChainRow { actor_subject: "bob", ..row() }),
            link(&GENESIS, &ChainRow { command: None, ..row() }),
            link(&GENESIS, &ChainRow { command: None, correlation: Some("c-1"), ..row() }),
            link(&GENESIS, &ChainRow { correlation: Some(""), ..row() }),
            link(&GENESIS, &ChainRow { kind: "rejected", ..row() }),
            link(&GENESIS, &ChainRow { data: "{ }", ..row() }),
            link(&GENESIS, &ChainRow { actor_kind: "operatora", actor_subject: "lice", ..row() }),
        ];
        for (i, hash) in others.iter().enumerate() {
            assert_ne!(*hash, base, "case {i}");
            assert!(!others[..i].contains(hash), "case {i}");
        }
    }

    #[test]
    fn a_fingerprint_tells_where_each_part_ends() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_eq!(fingerprint(&["ab", "c"]), fingerprint(&["ab", "c"]));
    }

    #[test]
    fn hex_is_read_back_as_written() {
        let hash = link(&GENESIS, &row());
        assert_eq!(from_hex(&to_hex(&hash)), Some(hash));
        assert_eq!(to_hex(&GENESIS), "0".repeat(64));
        for wrong in [String::new(), "0".repeat(63), "g".repeat(64), "é".repeat(32)] {
            assert_eq!(from_hex(&wrong), None);
        }
    }
}
