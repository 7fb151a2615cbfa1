//! How many files and sockets this process may open: what the settings allow must not fail for a soft limit that nobody
//! chose.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside connections: the store's, the servers', the log's.
const OTHERS: u64 = 256;

/// Raises the soft limit so that there can be `connections`, as far as the hard limit lets it.
pub(crate) fn allow_connections(connections: usize) {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    let most = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    if raised.is_err() || most < needed {
        tracing::warn!(
            most = if raised.is_ok() { most } else { current.unwrap_or(most) },
            needed,
            "the system lets this process open fewer files than http.max_connections needs; connections beyond wait"
        );
    }
}
