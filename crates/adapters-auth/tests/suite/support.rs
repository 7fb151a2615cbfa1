//! Keys, a clock that stands still, and tokens put together by hand, for the tests of this crate.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use lifecycle_adapters_auth::{AuthSettings, JwtAuthenticator, KeySource};
use ports::clock::Clock;
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_795_420_800;
pub(crate) const SECRET: &str = "a secret for tests that is long enough";
pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const AUDIENCE: &str = "lifecycle";

/// A clock that is set by hand.
pub(crate) struct StillClock(Mutex<Timestamp>);

impl StillClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_timestamp(NOW, 0).expect("in range"))))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now += chrono::TimeDelta::seconds(seconds);
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep_until(&self, _until: Timestamp) {
        std::future::pending::<()>().await;
    }
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair as the issuer has it, with what we get of it.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    pub(crate) private_pem: String,
    pub(crate) public_pem: String,
    /// Without `kid`, `use` and `alg`.
    pub(crate) jwk: Value,
}

impl Issuer {
    pub(crate) fn rsa() -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let private: Pkcs8V1Der<'_> = pair.as_der().expect("as DER");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("as DER");
        let jwk = json!({
            "kty": "RSA",
            "n": base64url(pair.public_key().modulus().big_endian_without_leading_zero()),
            "e": base64url(pair.public_key().exponent().big_endian_without_leading_zero()),
        });
        Self::of(Algorithm::RS256, private.as_ref(), public.as_ref(), jwk)
    }

    pub(crate) fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let private = pair.to_pkcs8v1().expect("as DER");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("as DER");
        let point = pair.public_key().as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..])});
        Self::of(Algorithm::ES256, private.as_ref(), public.as_ref(), jwk)
    }

    pub(crate) fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let private = pair.to_pkcs8v1().expect("as DER");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("as DER");
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())});
        Self::of(Algorithm::EdDSA, private.as_ref(), public.as_ref(), jwk)
    }

    fn of(algorithm: Algorithm, private: &[u8], public: &[u8], jwk: Value) -> Self {
        Self {
            algorithm,
            private_pem: pem::encode(&pem::Pem::new("PRIVATE KEY", private)),
            public_pem: pem::encode(&pem::Pem::new("PUBLIC KEY", public)),
            jwk,
        }
    }

    fn key(&self) -> EncodingKey {
        let pem = self.private_pem.as_bytes();
        match self.algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
            _ => EncodingKey::from_rsa_pem(pem),
        }
        .expect("our own key")
    }

    /// A token with any header and claims, signed as `algorithm` says, whatever the header says.
    pub(crate) fn sign_as(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        sign(&self.key(), algorithm, header, &claims.to_string())
    }

    /// A token as it should be.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.algorithm, &json!({"typ": "JWT", "alg": self.algorithm}), claims)
    }

    /// The same, naming its key.
    pub(crate) fn sign_named(&self, id: &str, claims: &Value) -> String {
        self.sign_as(self.algorithm, &json!({"typ": "JWT", "alg": self.algorithm, "kid": id}), claims)
    }

    /// Its public key as a JWKS names it.
    pub(crate) fn named(&self, id: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm);
        jwk
    }
}

/// A token signed with HS256 and [`SECRET`].
pub(crate) fn sign_with_secret(header: &Value, claims: &str) -> String {
    sign(&EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256, header, claims)
}

pub(crate) fn sign(key: &EncodingKey, algorithm: Algorithm, header: &Value, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header.to_string()), base64url(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("signed");
    format!("{message}.{signature}")
}

/// Claims that are accepted.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "tenant": "acme", "roles": ["operator"],
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 3600,
    })
}

/// [`claims`] with one of them as `value`; `Null` takes it out.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let map = claims.as_object_mut().expect("an object");
    if value.is_null() {
        map.remove(name);
    } else {
        map.insert(name.to_owned(), value);
    }
    claims
}

/// Settings with issuer and audience.
pub(crate) fn settings(keys: Vec<KeySource>) -> AuthSettings {
    AuthSettings { issuer: Some(ISSUER.to_owned()), audience: Some(AUDIENCE.to_owned()), ..AuthSettings::new(keys) }
}

pub(crate) fn secret() -> KeySource {
    KeySource::Hs256Secret(SecretString::from(SECRET))
}

pub(crate) fn authenticator(keys: Vec<KeySource>, clock: &Arc<StillClock>) -> JwtAuthenticator {
    JwtAuthenticator::new(settings(keys), Arc::clone(clock) as Arc<dyn Clock>).expect("valid settings")
}
