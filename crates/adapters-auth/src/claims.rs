//! What a verified token says, checked claim by claim against our own clock.

use domain::{OwnerId, TenantId, Timestamp};
use ports::auth::{AuthError, Principal, Role};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::settings::AuthSettings;

/// The longest `sub`, in bytes.
const MAX_SUBJECT_BYTES: usize = 255;

/// The claims as they came, of whatever type; a claim given twice is refused by the reader.
#[derive(Deserialize)]
pub(crate) struct RawClaims {
    iss: Option<Value>,
    aud: Option<Value>,
    sub: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    tenant: Option<Value>,
    roles: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    owner: Option<Value>,
}

/// What is there, also `null`: who is bound to an owner that is none must not be bound to nobody.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl RawClaims {
    /// Who it is, if every claim is as it must be at `now`.
    pub(crate) fn check(&self, settings: &AuthSettings, now: Timestamp) -> Result<Principal, AuthError> {
        let expires_at = instant("exp", self.exp.as_ref())?.ok_or(AuthError::Claim { claim: "exp" })?;
        let not_before = instant("nbf", self.nbf.as_ref())?;
        if now >= expires_at + settings.leeway {
            return Err(AuthError::Expired);
        }
        if not_before.is_some_and(|from| now + settings.leeway < from) {
            return Err(AuthError::NotYetValid);
        }
        if let Some(issuer) = &settings.issuer
            && text(self.iss.as_ref()) != Some(issuer)
        {
            return Err(AuthError::Claim { claim: "iss" });
        }
        if let Some(audience) = &settings.audience
            && !is_for(audience, self.aud.as_ref())
        {
            return Err(AuthError::Claim { claim: "aud" });
        }
        Ok(Principal {
            subject: subject(self.sub.as_ref())?,
            tenant: tenant(self.tenant.as_ref())?,
            roles: roles(self.roles.as_ref())?,
            owner: self.owner.as_ref().map(owner).transpose()?,
            expires_at,
        })
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// Any tenant but the one that is kept for what the service notes about itself.
fn tenant(value: Option<&Value>) -> Result<TenantId, AuthError> {
    text(value)
        .and_then(|tenant| TenantId::parse(tenant).ok())
        .filter(|tenant| *tenant != TenantId::service())
        .ok_or(AuthError::Claim { claim: "tenant" })
}

/// Whole seconds since 1970; anything else is refused rather than rounded.
fn instant(claim: &'static str, value: Option<&Value>) -> Result<Option<Timestamp>, AuthError> {
    // The year 9999 as everywhere in the contract; it also keeps the sums with the leeway in range.
    const LAST: i64 = 253_402_300_799;
    let Some(value) = value else { return Ok(None) };
    let at = value.as_i64().filter(|seconds| (0..=LAST).contains(seconds));
    at.and_then(|seconds| Timestamp::from_timestamp(seconds, 0)).map(Some).ok_or(AuthError::Claim { claim })
}

fn is_for(audience: &str, value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) => {
            many.iter().all(Value::is_string) && many.iter().any(|one| one.as_str() == Some(audience))
        }
        _ => false,
    }
}

fn subject(value: Option<&Value>) -> Result<String, AuthError> {
    text(value)
        .filter(|sub| (1..=MAX_SUBJECT_BYTES).contains(&sub.len()) && !sub.chars().any(char::is_control))
        .map(str::to_owned)
        .ok_or(AuthError::Claim { claim: "sub" })
}

/// The roles that we know; the others are of other services. None left is no access.
fn roles(value: Option<&Value>) -> Result<Vec<Role>, AuthError> {
    let refused = AuthError::Claim { claim: "roles" };
    let Some(Value::Array(named)) = value else { return Err(refused) };
    if !named.iter().all(Value::is_string) {
        return Err(refused);
    }
    let known: Vec<Role> =
        Role::ALL.into_iter().filter(|role| named.iter().any(|n| n.as_str() == Some(role.as_str()))).collect();
    if known.is_empty() { Err(refused) } else { Ok(known) }
}

fn owner(value: &Value) -> Result<OwnerId, AuthError> {
    value.as_str().and_then(|owner| OwnerId::parse(owner).ok()).ok_or(AuthError::Claim { claim: "owner" })
}
