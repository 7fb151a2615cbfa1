//! Keys with the one algorithm that each may be used with. The token's header never chooses.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// The largest JWKS document, in bytes.
pub(crate) const MAX_JWKS_BYTES: usize = 64 * 1024;

/// The longest key id.
const MAX_KEY_ID_BYTES: usize = 64;

/// A key and what it verifies.
pub(crate) struct PinnedKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
    pub(crate) validation: Validation,
}

impl PinnedKey {
    fn new(algorithm: Algorithm, key: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        // Times and claims are checked by `claims`, against our own clock; here only the signature.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { algorithm, key, validation }
    }

    pub(crate) fn from_secret(secret: &[u8]) -> Self {
        Self::new(Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// Reads a public key; says what is wrong with the text otherwise.
    pub(crate) fn from_pem(text: &[u8]) -> Result<Self, &'static str> {
        let label = String::from_utf8_lossy(text);
        // The library reads a public key out of these, too; a private key has no business on a server that verifies.
        if label.contains("PRIVATE KEY") {
            return Err("it holds a private key; give the public key only");
        }
        if label.contains("BEGIN CERTIFICATE") {
            return Err("it holds a certificate; give its public key");
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(text) {
            return Ok(Self::new(Algorithm::RS256, key));
        }
        if let Ok(key) = DecodingKey::from_ed_pem(text) {
            return Ok(Self::new(Algorithm::EdDSA, key));
        }
        match DecodingKey::from_ec_pem(text) {
            // An uncompressed point of P-256: 4, x, y.
            Ok(key) if key.try_get_as_bytes().is_ok_and(|point| point.len() == 65) => {
                Ok(Self::new(Algorithm::ES256, key))
            }
            Ok(_) => Err("of elliptic curves only P-256 and Ed25519 are supported"),
            Err(_) => Err("it holds no RSA, P-256 or Ed25519 public key in PEM form"),
        }
    }

    /// A published key, unless it is not for us: another use, another algorithm, a symmetric one.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        let for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        let for_verifying = common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
        if !for_signatures || !for_verifying {
            return None;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            // A symmetric key in a published document would let every reader of it sign.
            _ => return None,
        };
        if common.key_algorithm.is_some_and(|named| named != KeyAlgorithm::from(algorithm)) {
            return None;
        }
        DecodingKey::from_jwk(jwk).ok().map(|key| Self::new(algorithm, key))
    }
}

/// Whether `text` may be a key id.
pub(crate) fn is_key_id(text: &str) -> bool {
    (1..=MAX_KEY_ID_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The usable keys of a JWKS document; never empty.
pub(crate) struct KeySet {
    named: BTreeMap<String, Arc<PinnedKey>>,
    only: Option<Arc<PinnedKey>>,
}

impl KeySet {
    /// Reads a document. Keys that are not for us are passed over; a document without any is an error.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        if document.len() > MAX_JWKS_BYTES {
            return Err("it is larger than 64 KiB");
        }
        let Document { keys } = serde_json::from_slice(document).map_err(|_| "it is not a JWKS document")?;
        let mut named = BTreeMap::new();
        let mut usable = Vec::new();
        for jwk in keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            let Some(key) = PinnedKey::from_jwk(&jwk).map(Arc::new) else { continue };
            if let Some(id) = jwk.common.key_id.filter(|id| is_key_id(id)) {
                named.insert(id, Arc::clone(&key));
            }
            usable.push(key);
        }
        if usable.is_empty() {
            return Err("it holds no key for RS256, ES256 or EdDSA");
        }
        let only = if usable.len() == 1 { usable.pop() } else { None };
        Ok(Self { named, only })
    }

    /// The key named `id`; for a token that names none, the only one.
    pub(crate) fn find(&self, id: Option<&str>) -> Option<Arc<PinnedKey>> {
        match id {
            Some(id) => self.named.get(id).cloned(),
            None => self.only.clone(),
        }
    }
}
