//! Who may pass: the token, the roles, the rate limits.

use std::net::IpAddr;
use std::time::Duration;

use domain::OwnerId;
use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use ports::auth::{AuthError, Principal, Role};
use ports::journal::{Actor, ActorKind};
use ports::limits::{LimitKey, Permit};

use crate::Api;
use crate::operation::{Access, Operation};
use crate::problem::ApiError;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Somebody who may call the operation.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) principal: Principal,
    /// Who, in the records.
    pub(crate) actor: Actor,
}

impl Caller {
    fn new(principal: Principal) -> Self {
        let is_person = principal.has_any(&[Role::Operator]) || !principal.roles.contains(&Role::Service);
        let kind = if is_person { ActorKind::Operator } else { ActorKind::Service };
        let actor = Actor { kind, subject: principal.subject.clone() };
        Self { principal, actor }
    }

    /// The one owner whose campaigns the caller sees and acts on; none: those of all.
    pub(crate) fn scope(&self) -> Option<&OwnerId> {
        self.principal.owner.as_ref()
    }
}

/// Lets callers of an operation in who may call it.
pub(crate) async fn admit(
    api: &Api,
    operation: Operation,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Option<Caller>, ApiError> {
    let Access::Roles(roles) = operation.spec().access else { return Ok(None) };
    let principal = match authenticate(api, headers).await {
        Ok(principal) => principal,
        Err(error) => {
            if error.status() == StatusCode::UNAUTHORIZED
                && let Some(address) = address
            {
                take(api, LimitKey::Address(address.to_canonical())).await?;
                // After the limit, so that nobody can flood the log.
                tracing::warn!(%address, reason = error.detail(), "refused a caller");
            }
            return Err(error);
        }
    };
    take(api, LimitKey::Token(format!("{}/{}", principal.tenant, principal.subject))).await?;
    if !principal.has_any(roles) {
        tracing::warn!(subject = ?principal.subject, tenant = %principal.tenant, "refused: the role is missing");
        return Err(forbidden("the token has none of the roles that this takes"));
    }
    if principal.owner.is_some() && !matches!(operation.spec().tag, "campaigns" | "timers") {
        return Err(forbidden("this is about the campaigns of all owners, and the token is bound to one"));
    }
    Ok(Some(Caller::new(principal)))
}

/// Not for this caller.
pub(crate) fn forbidden(detail: &'static str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<Principal, ApiError> {
    let token = bearer(headers);
    // No token is asked about as well: where authentication is off, everybody is somebody.
    api.auth.authenticate(token.unwrap_or_default()).await.map_err(|error| match error {
        AuthError::KeysUnavailable => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
            .retry_after(Duration::from_secs(1)),
        _ if token.is_none() => {
            let detail = "a token is needed, as the header Authorization: Bearer <token>";
            let challenge = HeaderValue::from_static("Bearer realm=\"lifecycle\"");
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail).with(WWW_AUTHENTICATE, challenge)
        }
        AuthError::Malformed
        | AuthError::BadSignature
        | AuthError::Expired
        | AuthError::NotYetValid
        | AuthError::Claim { .. } => {
            let challenge = HeaderValue::from_static("Bearer realm=\"lifecycle\", error=\"invalid_token\"");
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string())
                .with(WWW_AUTHENTICATE, challenge)
        }
    })
}

/// The token of the one `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn take(api: &Api, key: LimitKey) -> Result<(), ApiError> {
    let limit = match key {
        LimitKey::Token(_) => api.settings.token_burst,
        LimitKey::Address(_) => api.settings.address_burst,
    };
    match api.limiter.take(key).await {
        Permit::Granted => Ok(()),
        Permit::Denied { retry_after } => {
            metrics::counter!("lifecycle_http_rate_limited_total").increment(1);
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests; wait a little")
                .retry_after(retry_after)
                .with(RATE_LIMIT, HeaderValue::from(limit))
                .with(RATE_REMAINING, HeaderValue::from(0))
                .with(RATE_RESET, HeaderValue::from(seconds.max(1))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_token_comes_once_and_as_bearer() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["Basic abc"])), None);
        assert_eq!(bearer(&headers(&["abc"])), None);
        assert_eq!(bearer(&headers(&["Bearer abc", "Bearer def"])), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
