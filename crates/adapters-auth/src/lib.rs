//! Who is calling: JSON Web Tokens checked, and minted for the command line.
//!
//! Lives here: keys (secret, PEM, JWKS file or address), the checks of a token, the key of a fresh data folder. Does not
//! live here: configuration files, HTTP headers, what a role may do.

mod authenticator;
mod claims;
mod dev_key;
mod jwks_file;
mod jwks_url;
mod keys;
mod mint;
mod off;
mod settings;

pub use authenticator::JwtAuthenticator;
pub use dev_key::{DevKey, DevKeyError};
pub use mint::{MintError, SigningKey, TokenClaims, mint};
pub use off::AuthOff;
pub use settings::{AuthSettings, AuthSetupError, JwksIntervals, KeySource, MAX_LEEWAY, MIN_SECRET_BYTES};
