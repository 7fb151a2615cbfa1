//! Tokens as the platform's identity service would issue them.

use adapters_auth::{SigningKey, TokenClaims, mint};
use domain::{OwnerId, TenantId, Timestamp};
use ports::auth::Role;
use secrecy::SecretString;

use crate::time::now_millis;

/// The secret that every service of this suite is started with.
pub const SECRET: &str = "scenario-suite-secret-0123456789abcdef";

/// A token to be.
#[derive(Debug, Clone)]
pub struct Token {
    subject: String,
    tenant: String,
    roles: Vec<Role>,
    owner: Option<String>,
    seconds: i64,
    secret: String,
    private_key: Option<(String, String)>,
}

impl Token {
    /// For an hour, for the tenant `default`.
    pub fn of(roles: &[Role]) -> Self {
        Self {
            subject: "scenario".to_owned(),
            tenant: "default".to_owned(),
            roles: roles.to_vec(),
            owner: None,
            seconds: 3600,
            secret: SECRET.to_owned(),
            private_key: None,
        }
    }

    /// Of somebody else.
    pub fn subject(self, subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..self }
    }

    /// For another tenant.
    pub fn tenant(self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self }
    }

    /// For the campaigns of one owner.
    pub fn owner(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }

    /// Valid for so many seconds; less than none: expired.
    pub fn seconds(self, seconds: i64) -> Self {
        Self { seconds, ..self }
    }

    /// Signed by somebody else.
    pub fn secret(self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self }
    }

    /// Signed with a private key in PEM form, which names itself `key_id`.
    pub fn private_key(self, pem: &str, key_id: &str) -> Self {
        Self { private_key: Some((pem.to_owned(), key_id.to_owned())), ..self }
    }

    /// The token's text.
    ///
    /// # Panics
    /// When the parts make no token.
    pub fn mint(&self) -> String {
        let now = now_millis() / 1000;
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).expect("in range");
        let claims = TokenClaims {
            subject: self.subject.clone(),
            tenant: TenantId::parse(&self.tenant).expect("a tenant"),
            roles: self.roles.clone(),
            owner: self.owner.as_deref().map(|owner| OwnerId::parse(owner).expect("an owner")),
            issuer: None,
            audience: None,
            issued_at: at(now),
            expires_at: at(now + self.seconds),
        };
        let key = match &self.private_key {
            Some((pem, id)) => {
                SigningKey::from_private_pem(&SecretString::from(pem.as_str())).expect("a key").with_key_id(id)
            }
            None => SigningKey::from_secret(&SecretString::from(self.secret.as_str())).expect("a secret"),
        };
        mint(&key, &claims).expect("a token")
    }
}
