//! Commits in the protocol of PostgreSQL, as far as a proxy needs it: the server's word that it has committed.

/// The message `CommandComplete`: its type, its length, and the command's name, closed by a zero.
pub(super) const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// Finds it in what passes, also where it comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Finder {
    end: Vec<u8>,
}

impl Finder {
    /// Whether `piece` ends one, or holds one.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        self.end.extend_from_slice(piece);
        let found = self.end.windows(COMMITTED.len()).any(|bytes| bytes == COMMITTED);
        let keep = if found { 0 } else { COMMITTED.len() - 1 };
        self.end.drain(..self.end.len().saturating_sub(keep));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_found_whole_and_in_pieces() {
        for cut in 0..COMMITTED.len() {
            let mut finder = Finder::default();
            let (one, other) = COMMITTED.split_at(cut);
            assert!(!finder.finds(one), "{cut}");
            assert!(finder.finds(other), "{cut}");
            assert!(!finder.finds(b"C\0\0\0\x0dSELECT 1\0"), "it is found once");
        }
    }

    #[test]
    fn what_only_mentions_one_is_none() {
        assert!(!Finder::default().finds(b"Q\0\0\0\x15SELECT 1; COMMIT\0"));
    }
}
