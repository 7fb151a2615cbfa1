//! Who is calling, proved by a token.
//!
//! Rules:
//! * **A1** A token is accepted only when its signature, algorithm, times and claims are all as configured; everything
//!   else is refused with a reason that tells nothing about the key.
//! * **A2** A principal is of exactly one tenant.

use async_trait::async_trait;
use domain::{OwnerId, TenantId, Timestamp};

/// What a caller may do. Roles do not include each other, but for `admin`, which includes all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Read.
    Viewer,
    /// Read and act.
    Operator,
    /// Read and act on campaigns, as another service.
    Service,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Service, Self::Admin];

    /// Its name in the `roles` claim.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Service => "service",
            Self::Admin => "admin",
        }
    }
}

/// Somebody whose token was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who: the claim `sub`.
    pub subject: String,
    /// Of which tenant: the claim `tenant`.
    pub tenant: TenantId,
    /// With which roles: the claim `roles`.
    pub roles: Vec<Role>,
    /// Whoever is bound to this owner's campaigns, whatever the roles: the claim `owner`.
    pub owner: Option<OwnerId>,
    /// Until when: the claim `exp`.
    pub expires_at: Timestamp,
}

impl Principal {
    /// Whether one of `roles`, or admin, is among its roles.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        self.roles.iter().any(|role| *role == Role::Admin || roles.contains(role))
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is none, or it is none.
    #[error("the token is malformed")]
    Malformed,
    /// Signed by somebody else, or not as configured.
    #[error("the token's signature is not valid")]
    BadSignature,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// Not yet valid.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing or wrong.
    #[error("the token's claim {claim:?} is missing or not acceptable")]
    Claim {
        /// Which.
        claim: &'static str,
    },
    /// The keys cannot be had at the moment.
    #[error("the keys that verify tokens are not available at the moment")]
    KeysUnavailable,
}

/// Checks tokens.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who holds `token`.
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthError>;
}
