//! The names of all keys and channels (DESIGN §5), with the prefix. What is in them lives with who uses them.

use crate::connect::ConnectError;

/// Events from other services.
pub(crate) const INBOUND: &str = "campaign-events";
/// The highest term in which a consumer of [`INBOUND`] was served.
pub(crate) const INBOUND_TERM: &str = "lifecycle:inbound-term";
/// Entries that could not be processed.
pub(crate) const DEAD_LETTERS: &str = "campaign-events:dlq";
/// What live clients see.
pub(crate) const NOTIFICATIONS: &str = "notification-events";
/// The streams that a publication writes, in the order in which scripts know them.
pub(crate) const OUTBOUND: [&str; 4] = ["lifecycle-events", "timer-events", "system-events", NOTIFICATIONS];
/// How far the world was told.
pub(crate) const MARK: &str = "lifecycle:mark";
/// Where marks are called out.
pub(crate) const MARKS_CHANNEL: &str = "lifecycle:marks";
/// Where hints are called out.
pub(crate) const HINTS_CHANNEL: &str = "lifecycle:hints";
/// The number of times that the cache was emptied as a whole.
pub(crate) const CACHE_EPOCH: &str = "lifecycle:cache-epoch";
/// Which campaigns are in the cache, oldest first.
pub(crate) const CACHE_INDEX: &str = "lifecycle:cache-index";
/// Of which campaigns the cache knows only the version, oldest first.
pub(crate) const CACHE_VERSIONS: &str = "lifecycle:cache-versions";
/// Before the name of a cached campaign.
pub(crate) const CACHE_ENTRY: &str = "lifecycle:cache:";
/// Before the name of a rate limit.
pub(crate) const LIMIT: &str = "lifecycle:limit:";

/// What stands in the braces on a cluster when there is no prefix.
const TAG: &str = "lifecycle";

/// Makes full names.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
    slot: Option<u16>,
}

impl Names {
    pub(crate) fn new(prefix: &str, cluster: bool) -> Result<Self, ConnectError> {
        if prefix.contains(['{', '}']) || prefix.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let detail = "it must not contain braces, white space or control characters";
            return Err(ConnectError::Prefix(detail));
        }
        if !cluster {
            return Ok(Self { prefix: prefix.to_owned(), slot: None });
        }
        let tag = if prefix.is_empty() { TAG } else { prefix };
        let prefix = format!("{{{tag}}}");
        let slot = Some(fred::util::redis_keyslot(prefix.as_bytes()));
        Ok(Self { prefix, slot })
    }

    /// The full name of `name`.
    pub(crate) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Where all keys are, on a cluster.
    pub(crate) fn slot(&self) -> Option<u16> {
        self.slot
    }
}

#[cfg(test)]
mod tests {
    use wire::outbound::Stream;

    use super::*;

    #[test]
    fn streams_are_called_as_in_the_contract() {
        let named = [Stream::Lifecycle.name(), Stream::Timer.name(), Stream::System.name()];
        assert_eq!(OUTBOUND[..3], named);
    }

    #[test]
    fn on_a_cluster_all_keys_share_one_slot() {
        for prefix in ["", "prod:"] {
            let names = Names::new(prefix, true).expect("a fine prefix");
            for name in OUTBOUND.iter().chain(&[
                INBOUND,
                INBOUND_TERM,
                CACHE_INDEX,
                CACHE_VERSIONS,
                DEAD_LETTERS,
                MARK,
                CACHE_EPOCH,
            ]) {
                let full = names.of(name);
                assert!(full.ends_with(name));
                assert_eq!(Some(fred::util::redis_keyslot(full.as_bytes())), names.slot(), "{full}");
            }
        }
        let names = Names::new("prod:", false).expect("a fine prefix");
        assert_eq!((names.of(INBOUND).as_str(), names.slot()), ("prod:campaign-events", None));
    }

    #[test]
    fn a_prefix_that_would_move_keys_is_refused() {
        for wrong in ["{a}", "a b", "}"] {
            assert!(Names::new(wrong, false).is_err(), "{wrong}");
        }
    }
}
