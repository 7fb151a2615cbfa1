//! What tokens are checked against, and what can be wrong with that.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The shortest HS256 secret, in bytes: as long as the hash (RFC 7518, 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// The largest difference of clocks that is forgiven.
pub const MAX_LEEWAY: Duration = Duration::from_secs(10);

/// Where a key that verifies tokens comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A shared secret for HS256, its bytes as they are written, at least [`MIN_SECRET_BYTES`].
    Hs256Secret(SecretString),
    /// A PEM file with one public key: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).
    PublicKeyFile(PathBuf),
    /// A JWKS document in a file, read again when it changes.
    JwksFile(PathBuf),
    /// The address of a JWKS document: `https`, or `http` on loopback.
    JwksUrl(String),
}

/// How often a JWKS address is asked. The defaults are right for production; tests of others' code may shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwksIntervals {
    /// Between two fetches, whatever tokens come.
    pub cooldown: Duration,
    /// The same while there are no keys at all.
    pub cooldown_without_keys: Duration,
    /// After this, keys are fetched anew in the background.
    pub refresh_after: Duration,
    /// After this, keys that could not be fetched anew are no longer trusted.
    pub stale_after: Duration,
    /// For so long a key id that the issuer did not know causes no other fetch.
    pub remember_unknown: Duration,
}

impl Default for JwksIntervals {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(30),
            cooldown_without_keys: Duration::from_secs(5),
            refresh_after: Duration::from_mins(10),
            stale_after: Duration::from_hours(24),
            remember_unknown: Duration::from_mins(5),
        }
    }
}

/// What a token must be like.
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// The keys; at least one source.
    pub keys: Vec<KeySource>,
    /// What `iss` must be, if anything.
    pub issuer: Option<String>,
    /// What `aud` must be or contain, if anything.
    pub audience: Option<String>,
    /// How far `exp` and `nbf` may be off, at most [`MAX_LEEWAY`].
    pub leeway: Duration,
    /// How often a JWKS address is asked.
    pub jwks: JwksIntervals,
}

impl AuthSettings {
    /// Tokens signed with one of `keys`, of any issuer and audience, with a leeway of 5 s.
    pub fn new(keys: Vec<KeySource>) -> Self {
        Self { keys, issuer: None, audience: None, leeway: Duration::from_secs(5), jwks: JwksIntervals::default() }
    }
}

/// Why there is no authenticator. Never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    /// Nothing to check tokens with.
    #[error("no key to verify tokens with: set an HS256 secret, a public key file or a JWKS file or address")]
    NoKeys,
    /// A secret that can be guessed.
    #[error("the HS256 secret must have at least {MIN_SECRET_BYTES} bytes, not {actual}")]
    ShortSecret {
        /// Its length in bytes.
        actual: usize,
    },
    /// More than [`MAX_LEEWAY`].
    #[error("the leeway must be at most {} s", MAX_LEEWAY.as_secs())]
    LeewayTooLong,
    /// A key file that cannot be read.
    #[error("the key file {} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key file that holds no key that we take.
    #[error("the key file {} cannot be used: {reason}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An address that we do not ask.
    #[error("the JWKS address {url} cannot be used: {reason}")]
    Url {
        /// Which.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// TLS cannot be set up.
    #[error("the client that fetches the JWKS cannot be set up")]
    Client(#[source] reqwest::Error),
}
