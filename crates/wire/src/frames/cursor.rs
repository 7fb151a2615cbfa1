//! A place in what clients have seen.

use std::fmt;
use std::str::FromStr;

use ports::journal::Position;
use serde::{Serialize, Serializer};

/// A place between two frames: everything up to it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor {
    /// The record.
    pub position: Position,
    /// Which of the record's frames, from 0.
    pub k: u32,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a cursor such as 42-0")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, self.k)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (position, k) = text.split_once('-').ok_or(NotACursor)?;
        Ok(Self { position: Position(number(position)?), k: number(k)? })
    }
}

/// Only digits: the standard library would also take a sign.
fn number<T: FromStr>(digits: &str) -> Result<T, NotACursor> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().map_err(|_| NotACursor)
    } else {
        Err(NotACursor)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_written_and_nothing_else_is() {
        for cursor in [Cursor::default(), Cursor { position: Position(u64::MAX), k: u32::MAX }] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "-", "1", "1-", "-1", "+1-0", "1--1", "1-0-0", "a-b", "1-4294967296", "18446744073709551616-0"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }

    #[test]
    fn cursors_sort_by_record_and_then_by_frame() {
        let cursor = |position, k| Cursor { position: Position(position), k };
        assert!(cursor(1, 9) < cursor(2, 0) && cursor(2, 0) < cursor(2, 1));
    }
}
