//! Commits in the protocol of PostgreSQL, as far as a proxy needs it: a statement that ends in `COMMIT` on its way up, and
//! the server's word on its way down that it is done. Both end in the same bytes.

/// How a query that ends in it ends (its text is closed by a zero), and how the server names the command that it completed.
const COMMIT: &[u8] = b"COMMIT\0";

/// Finds it in what passes, also where it comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Finder {
    end: Vec<u8>,
}

impl Finder {
    /// Whether `piece` ends one, or holds one.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        self.end.extend_from_slice(piece);
        let found = self.end.windows(COMMIT.len()).any(|bytes| bytes == COMMIT);
        let keep = if found { 0 } else { COMMIT.len() - 1 };
        self.end.drain(..self.end.len().saturating_sub(keep));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SELECT 1; COMMIT` as the service sends it: a simple query.
    const QUERY: &[u8] = b"Q\0\0\0\x15SELECT 1; COMMIT\0";

    #[test]
    fn a_commit_is_found_whole_and_in_pieces() {
        for cut in 0..QUERY.len() {
            let mut finder = Finder::default();
            let (one, other) = QUERY.split_at(cut);
            assert!(!finder.finds(one), "{cut}");
            assert!(finder.finds(other), "{cut}");
            assert!(!finder.finds(b"SELECT 1\0"), "it is found once");
        }
    }

    #[test]
    fn what_only_mentions_one_is_none() {
        assert!(!Finder::default().finds(b"Q\0\0\0\x20SELECT 'COMMIT' AS word\0"));
    }
}
