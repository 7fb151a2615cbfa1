//! The random key of a fresh embedded data folder, so that a first start is safe without any setting.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::settings::MIN_SECRET_BYTES;

/// An HS256 secret kept in the data folder, readable by its owner only.
#[derive(Debug, Clone)]
pub struct DevKey {
    secret: SecretString,
    path: PathBuf,
}

/// Why there is no such key.
#[derive(Debug, thiserror::Error)]
pub enum DevKeyError {
    /// The file cannot be read or written.
    #[error("the key file {} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("the key file {} holds no key; restore it, or remove it and issue new tokens", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("the key file {} can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl DevKey {
    /// The file's name in the data folder.
    pub const FILE_NAME: &'static str = "auth.key";

    /// The key of `folder`, if it has one.
    ///
    /// # Errors
    /// [`DevKeyError`] names the file.
    pub fn load(folder: &Path) -> Result<Option<Self>, DevKeyError> {
        let path = folder.join(Self::FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DevKeyError::File { path, source }),
        };
        refuse_exposed(&path)?;
        let text = text.trim();
        if text.len() != 2 * MIN_SECRET_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DevKeyError::Damaged { path });
        }
        Ok(Some(Self { secret: SecretString::from(text), path }))
    }

    /// The key of `folder`, made now if it has none.
    ///
    /// # Errors
    /// [`DevKeyError`] names the file.
    pub fn load_or_create(folder: &Path) -> Result<Self, DevKeyError> {
        if let Some(key) = Self::load(folder)? {
            return Ok(key);
        }
        let path = folder.join(Self::FILE_NAME);
        let secret = random_secret()?;
        write_new(&path, secret.expose_secret()).map_err(|source| DevKeyError::File { path: path.clone(), source })?;
        Ok(Self { secret, path })
    }

    /// The secret.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn random_secret() -> Result<SecretString, DevKeyError> {
    let mut bytes = [0_u8; MIN_SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| DevKeyError::Random)?;
    let mut text = String::with_capacity(2 * MIN_SECRET_BYTES);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(SecretString::from(text))
}

/// Whole or not at all: a crash half-way must not leave half a key.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("key.new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), DevKeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).map_err(|source| DevKeyError::File { path: path.to_owned(), source })?;
    // The six lowest bits: what group and others may do.
    if metadata.permissions().mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(DevKeyError::Exposed { path: path.to_owned() })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), DevKeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_gets_a_key_and_keeps_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(DevKey::load(folder.path()).expect("readable").is_none());
        let made = DevKey::load_or_create(folder.path()).expect("made");
        let again = DevKey::load_or_create(folder.path()).expect("found");
        assert_eq!(made.secret().expose_secret(), again.secret().expose_secret());
        assert_eq!(made.secret().expose_secret().len(), 64);
    }

    #[test]
    fn two_folders_get_different_keys() {
        let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let one = DevKey::load_or_create(one.path()).expect("made");
        let two = DevKey::load_or_create(two.path()).expect("made");
        assert_ne!(one.secret().expose_secret(), two.secret().expose_secret());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it_and_an_exposed_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let key = DevKey::load_or_create(folder.path()).expect("made");
        let mode = std::fs::metadata(key.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(key.path(), std::fs::Permissions::from_mode(0o644)).expect("set");
        assert!(matches!(DevKey::load(folder.path()), Err(DevKeyError::Exposed { .. })));
    }

    #[test]
    fn a_damaged_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = DevKey::load_or_create(folder.path()).expect("made");
        std::fs::write(key.path(), "half").expect("written");
        assert!(matches!(DevKey::load_or_create(folder.path()), Err(DevKeyError::Damaged { .. })));
    }

    #[test]
    fn debug_output_never_shows_the_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = DevKey::load_or_create(folder.path()).expect("made");
        assert!(!format!("{key:?}").contains(key.secret().expose_secret()));
    }
}
