//! The keys that tokens are checked and signed with.

use std::path::PathBuf;
use std::sync::Arc;

use adapters_auth::{AuthOff, AuthSettings, DevKey, JwtAuthenticator, KeySource, SigningKey};
use ports::auth::Authenticator;
use ports::clock::Clock;
use secrecy::SecretString;

use crate::config::{Auth, AuthMode, Config};
use crate::failure::{Failure, chain};

/// Who checks tokens.
pub(super) fn authenticator(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Authenticator>, Failure> {
    if config.auth.mode == AuthMode::Off {
        return Ok(Arc::new(AuthOff));
    }
    let mut keys = key_sources(&config.auth);
    if keys.is_empty() {
        keys.push(KeySource::Hs256Secret(data_key(config)?.secret().clone()));
    }
    let settings = AuthSettings {
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        ..AuthSettings::new(keys)
    };
    let authenticator =
        JwtAuthenticator::new(settings, Arc::clone(clock)).map_err(|error| Failure::Usage(chain(&error)))?;
    Ok(Arc::new(authenticator))
}

fn key_sources(auth: &Auth) -> Vec<KeySource> {
    let secret = auth.hs256_secret.as_ref().map(|s| KeySource::Hs256Secret(SecretString::from(s.expose())));
    let public = auth.public_key_file.clone().map(KeySource::PublicKeyFile);
    let jwks = auth.jwks.as_ref().map(|text| {
        if text.contains("://") { KeySource::JwksUrl(text.clone()) } else { KeySource::JwksFile(PathBuf::from(text)) }
    });
    [secret, public, jwks].into_iter().flatten().collect()
}

/// The data folder's own key, made now if there is none.
fn data_key(config: &Config) -> Result<DevKey, Failure> {
    let folder = config.folder();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&folder)
        .map_err(|error| Failure::Unavailable(format!("cannot make {}: {error}", folder.display())))?;
    DevKey::load_or_create(&config.folder()).map_err(|error| Failure::Unavailable(chain(&error)))
}

/// The key that `lifecycle token` signs with: one that the service with the same settings accepts.
pub(crate) fn signing_key(config: &Config) -> Result<SigningKey, Failure> {
    let secret = match &config.auth.hs256_secret {
        Some(secret) => SecretString::from(secret.expose()),
        None if key_sources(&config.auth).is_empty() => data_key(config)?.secret().clone(),
        None => {
            return Err(Failure::Usage(
                "tokens are verified with a public key (auth.public_key_file or auth.jwks): only whoever has the private \
                 key can make them"
                    .to_owned(),
            ));
        }
    };
    SigningKey::from_secret(&secret).map_err(|error| Failure::internal(&error))
}
