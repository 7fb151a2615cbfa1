//! A JWKS document in a file, read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use domain::Timestamp;
use ports::clock::Clock;

use crate::keys::{KeySet, MAX_JWKS_BYTES, PinnedKey};
use crate::settings::AuthSetupError;

/// How often the file is looked at, in seconds.
const LOOK_EVERY_SECONDS: i64 = 1;

pub(crate) struct FileKeys {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    set: Arc<KeySet>,
    stamp: Option<Stamp>,
    looked_at: Timestamp,
}

/// What changes when the file does.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl FileKeys {
    pub(crate) fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, AuthSetupError> {
        // Before reading: a change in between is then seen at the next look.
        let stamp = stamp(&path);
        let set = Arc::new(read(&path)?);
        let looked_at = clock.now();
        Ok(Self { path, clock, state: Mutex::new(State { set, stamp, looked_at }) })
    }

    pub(crate) fn find(&self, id: Option<&str>) -> Option<Arc<PinnedKey>> {
        self.current().find(id)
    }

    fn current(&self) -> Arc<KeySet> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if (now - state.looked_at).num_seconds() >= LOOK_EVERY_SECONDS {
            state.looked_at = now;
            let stamp = stamp(&self.path);
            if stamp != state.stamp {
                match read(&self.path) {
                    Ok(set) => {
                        state.set = Arc::new(set);
                        state.stamp = stamp;
                        tracing::info!(path = %self.path.display(), "the JWKS file was read again");
                    }
                    // Looked at again in a second; until then the last good keys hold.
                    Err(error) => tracing::warn!(%error, "the JWKS file changed and cannot be used"),
                }
            }
        }
        Arc::clone(&state.set)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
}

fn read(path: &Path) -> Result<KeySet, AuthSetupError> {
    let document = read_limited(path, MAX_JWKS_BYTES)?;
    KeySet::parse(&document).map_err(|reason| AuthSetupError::Key { path: path.to_owned(), reason: reason.to_owned() })
}

/// At most `limit` bytes of a file, and one more when there are more.
pub(crate) fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, AuthSetupError> {
    use std::io::Read as _;
    let failed = |source| AuthSetupError::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}
