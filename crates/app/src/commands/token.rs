//! `lifecycle token`: a signed token for the HTTP and WebSocket interfaces.

use adapters_auth::{MintError, TokenClaims, mint};
use chrono::TimeDelta;
use ports::auth;

use crate::cli::{Role, Settings, Token};
use crate::config::{AuthMode, Config, Span};
use crate::failure::Failure;
use crate::{output, wiring};

/// The longest life of a token.
const LONGEST: Span = Span::seconds(366 * 86_400);

pub(crate) fn run(settings: &Settings, options: &Token) -> Result<(), Failure> {
    let config = settings.load()?.config;
    if options.ttl.0.is_zero() || options.ttl.0 > LONGEST.0 {
        return Err(Failure::Usage(format!("--ttl must be from 1ms to {LONGEST}, not {}", options.ttl)));
    }
    if options.sub.is_empty() || options.sub.len() > 255 {
        return Err(Failure::Usage("--sub must have 1 to 255 characters".to_owned()));
    }
    let token = mint_for(&config, options)?;
    if config.auth.mode == AuthMode::Off {
        output::note("note: auth.mode is off, no token is needed");
    }
    Ok(output::line(&token)?)
}

/// A token that the service with these settings accepts.
pub(crate) fn mint_for(config: &Config, options: &Token) -> Result<String, Failure> {
    let now = wiring::clock().now();
    let claims = TokenClaims {
        subject: options.sub.clone(),
        tenant: options.tenant.clone(),
        roles: options.roles.iter().map(|role| (*role).into()).collect(),
        owner: options.owner.clone(),
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        issued_at: now,
        expires_at: now + TimeDelta::from_std(options.ttl.0).unwrap_or(TimeDelta::zero()),
    };
    mint(&wiring::signing_key(config)?, &claims).map_err(|error| match error {
        MintError::ReservedTenant => Failure::Usage(error.to_string()),
        MintError::ShortSecret { .. } | MintError::Key | MintError::Sign(_) => Failure::internal(&error),
    })
}

impl From<Role> for auth::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Service => Self::Service,
            Role::Admin => Self::Admin,
        }
    }
}
