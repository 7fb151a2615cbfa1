//! The port's implementation: which key, which algorithm, is the signature right, are the claims.

use std::sync::Arc;

use async_trait::async_trait;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, decode, decode_header};
use ports::auth::{AuthError, Authenticator, Principal};
use ports::clock::Clock;
use secrecy::ExposeSecret as _;

use crate::claims::RawClaims;
use crate::jwks_file::{FileKeys, read_limited};
use crate::jwks_url::UrlKeys;
use crate::keys::{MAX_JWKS_BYTES, PinnedKey, is_key_id};
use crate::settings::{AuthSettings, AuthSetupError, KeySource, MAX_LEEWAY, MIN_SECRET_BYTES};

/// The longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Checks JSON Web Tokens.
pub struct JwtAuthenticator {
    settings: AuthSettings,
    sources: Vec<Source>,
    clock: Arc<dyn Clock>,
}

enum Source {
    Fixed(Arc<PinnedKey>),
    File(FileKeys),
    Url(UrlKeys),
}

impl JwtAuthenticator {
    /// Reads the key files. A JWKS address is first asked when the first token comes.
    ///
    /// # Errors
    /// [`AuthSetupError`] names the setting that is wrong.
    pub fn new(settings: AuthSettings, clock: Arc<dyn Clock>) -> Result<Self, AuthSetupError> {
        if settings.keys.is_empty() {
            return Err(AuthSetupError::NoKeys);
        }
        if settings.leeway > MAX_LEEWAY {
            return Err(AuthSetupError::LeewayTooLong);
        }
        let sources =
            settings.keys.iter().map(|source| open(source, &settings, &clock)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { settings, sources, clock })
    }

    /// The keys that may have signed a token with this header.
    async fn candidates(&self, header: &Header) -> Result<Vec<Arc<PinnedKey>>, AuthError> {
        let mut keys = Vec::with_capacity(1);
        let mut unavailable = None;
        for source in &self.sources {
            let found = match source {
                Source::Fixed(key) => Some(Arc::clone(key)),
                Source::File(file) => file.find(header.kid.as_deref()),
                Source::Url(url) => url.find(header.kid.as_deref()).await.unwrap_or_else(|error| {
                    unavailable = Some(error);
                    None
                }),
            };
            keys.extend(found.filter(|key| key.algorithm == header.alg));
        }
        match unavailable {
            Some(error) if keys.is_empty() => Err(error),
            _ => Ok(keys),
        }
    }
}

fn open(source: &KeySource, settings: &AuthSettings, clock: &Arc<dyn Clock>) -> Result<Source, AuthSetupError> {
    Ok(match source {
        KeySource::Hs256Secret(secret) => {
            let secret = secret.expose_secret().as_bytes();
            if secret.len() < MIN_SECRET_BYTES {
                return Err(AuthSetupError::ShortSecret { actual: secret.len() });
            }
            Source::Fixed(Arc::new(PinnedKey::from_secret(secret)))
        }
        KeySource::PublicKeyFile(path) => {
            let text = read_limited(path, MAX_JWKS_BYTES)?;
            let key = PinnedKey::from_pem(&text)
                .map_err(|reason| AuthSetupError::Key { path: path.clone(), reason: reason.to_owned() })?;
            Source::Fixed(Arc::new(key))
        }
        KeySource::JwksFile(path) => Source::File(FileKeys::open(path.clone(), Arc::clone(clock))?),
        KeySource::JwksUrl(url) => Source::Url(UrlKeys::new(url, settings.jwks, Arc::clone(clock))?),
    })
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Malformed);
        }
        let header = decode_header(token).map_err(|_| AuthError::Malformed)?;
        check_header(&header)?;
        for key in self.candidates(&header).await? {
            match decode::<RawClaims>(token, &key.key, &key.validation) {
                Ok(data) => return data.claims.check(&self.settings, self.clock.now()),
                Err(error) => match error.kind() {
                    // The signature is right, so no other key will do better.
                    ErrorKind::Json(_) | ErrorKind::Utf8(_) => return Err(AuthError::Malformed),
                    _ => {}
                },
            }
        }
        Err(AuthError::BadSignature)
    }
}

/// What can be refused before any key is looked for. `jku`, `jwk`, `x5u` and `x5c` are never followed.
fn check_header(header: &Header) -> Result<(), AuthError> {
    let is_access_token = |typ: &str| {
        let typ = typ.strip_prefix("application/").unwrap_or(typ);
        typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
    };
    let typ_is_fine = header.typ.as_deref().is_none_or(is_access_token);
    let kid_is_fine = header.kid.as_deref().is_none_or(is_key_id);
    // RFC 7515, 4.1.11: extensions that must be understood, and we understand none.
    if typ_is_fine && kid_is_fine && header.crit.is_none() && header.zip.is_none() && header.enc.is_none() {
        Ok(())
    } else {
        Err(AuthError::Malformed)
    }
}
