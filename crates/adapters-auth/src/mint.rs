//! Tokens of our own making, for `lifecycle token`, `lifecycle demo` and tests.

use domain::{OwnerId, TenantId, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ports::auth::Role;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::settings::MIN_SECRET_BYTES;

/// What a token shall say.
#[derive(Debug, Clone)]
pub struct TokenClaims {
    /// `sub`.
    pub subject: String,
    /// `tenant`.
    pub tenant: TenantId,
    /// `roles`.
    pub roles: Vec<Role>,
    /// `owner`.
    pub owner: Option<OwnerId>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`.
    pub audience: Option<String>,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
}

/// A key that signs. Its `Debug` shows the algorithm only.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    key: EncodingKey,
    key_id: Option<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// A secret that our own authenticator would refuse.
    #[error("the HS256 secret must have at least {MIN_SECRET_BYTES} bytes, not {actual}")]
    ShortSecret {
        /// Its length in bytes.
        actual: usize,
    },
    /// A tenant that our own authenticator would refuse.
    #[error("no token is of the tenant {}: it is kept for what the service notes about itself", TenantId::service())]
    ReservedTenant,
    /// No private key.
    #[error("the signing key is no RSA, P-256 or Ed25519 private key in PEM form (PKCS#8)")]
    Key,
    /// The key cannot sign.
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

impl SigningKey {
    /// Signs with HS256.
    ///
    /// # Errors
    /// When the secret is too short.
    pub fn from_secret(secret: &SecretString) -> Result<Self, MintError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(MintError::ShortSecret { actual: secret.len() });
        }
        Ok(Self { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret), key_id: None })
    }

    /// Signs with RS256, ES256 or EdDSA, by the kind of the private key.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_private_pem(pem: &SecretString) -> Result<Self, MintError> {
        let pem = pem.expose_secret().as_bytes();
        let (algorithm, key) = EncodingKey::from_ed_pem(pem)
            .map(|key| (Algorithm::EdDSA, key))
            .or_else(|_| EncodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)))
            .or_else(|_| EncodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key)))
            .map_err(|_| MintError::Key)?;
        Ok(Self { algorithm, key, key_id: None })
    }

    /// Names itself in the header's `kid`.
    pub fn with_key_id(self, key_id: impl Into<String>) -> Self {
        Self { key_id: Some(key_id.into()), ..self }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A signed token that says `claims`.
///
/// # Errors
/// When no token may say that, or the key cannot sign.
pub fn mint(key: &SigningKey, claims: &TokenClaims) -> Result<String, MintError> {
    #[derive(Serialize)]
    struct Body<'a> {
        sub: &'a str,
        tenant: &'a str,
        roles: Vec<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        iss: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        aud: Option<&'a str>,
        iat: i64,
        exp: i64,
    }
    if claims.tenant == TenantId::service() {
        return Err(MintError::ReservedTenant);
    }
    let body = Body {
        sub: &claims.subject,
        tenant: claims.tenant.as_str(),
        roles: claims.roles.iter().map(|role| role.as_str()).collect(),
        owner: claims.owner.as_ref().map(OwnerId::as_str),
        iss: claims.issuer.as_deref(),
        aud: claims.audience.as_deref(),
        iat: claims.issued_at.timestamp(),
        exp: claims.expires_at.timestamp(),
    };
    let mut header = Header::new(key.algorithm);
    header.kid.clone_from(&key.key_id);
    encode(&header, &body, &key.key).map_err(MintError::Sign)
}
