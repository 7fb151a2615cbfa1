//! Who may hear what: the names of channels, and the rules of tenants, owners and roles.

use domain::{CampaignId, OwnerId};
use ports::auth::{Principal, Role};
use ports::feed::Channel;

/// Why a channel is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no channel's name.
    Unknown(String),
    /// The caller may not hear it.
    Forbidden(&'static str),
}

/// The channel that `principal` means by `name`, if it may hear it. Whether a campaign exists, and is of the viewer's
/// owner, is checked when its snapshot is read.
pub(crate) fn channel(name: &str, principal: &Principal) -> Result<Channel, Refused> {
    let tenant = principal.tenant.clone();
    let unknown = |what: &dyn std::fmt::Display| Refused::Unknown(format!("no channel has this name: {what}"));
    match name.split_once(':') {
        Some(("campaign", id)) => {
            CampaignId::parse(id).map(|id| Channel::Campaign(tenant, id)).map_err(|e| unknown(&e))
        }
        Some(("owner", id)) => {
            let id = OwnerId::parse(id).map_err(|e| unknown(&e))?;
            match &principal.owner {
                Some(own) if *own != id => Err(Refused::Forbidden("you may follow only your own campaigns")),
                _ => Ok(Channel::Owner(tenant, id)),
            }
        }
        None if name == "tenant" => match &principal.owner {
            Some(_) => Err(Refused::Forbidden("you may follow only your own campaigns")),
            None => Ok(Channel::Tenant(tenant)),
        },
        None if name == "system" => {
            if principal.owner.is_none() && principal.has_any(&[Role::Operator]) {
                Ok(Channel::System)
            } else {
                Err(Refused::Forbidden("the system channel is for operators"))
            }
        }
        _ => Err(unknown(&"use campaign:<id>, owner:<id>, tenant or system")),
    }
}

/// The name of `channel` in frames.
pub(crate) fn name(channel: &Channel) -> String {
    match channel {
        Channel::Campaign(_, id) => format!("campaign:{id}"),
        Channel::Owner(_, id) => format!("owner:{id}"),
        Channel::Tenant(_) => "tenant".to_owned(),
        Channel::System => "system".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use domain::TenantId;

    use super::*;

    fn principal(roles: &[Role], owner: Option<&str>) -> Principal {
        Principal {
            subject: "anna".to_owned(),
            tenant: TenantId::parse("acme").expect("a tenant"),
            roles: roles.to_vec(),
            owner: owner.map(|o| OwnerId::parse(o).expect("an owner")),
            expires_at: domain::Timestamp::default(),
        }
    }

    #[test]
    fn a_channel_is_always_of_the_callers_tenant() {
        let viewer = principal(&[Role::Viewer], None);
        for name in ["campaign:c-1", "owner:o-1", "tenant"] {
            match channel(name, &viewer).expect("a viewer may") {
                Channel::Campaign(tenant, _) | Channel::Owner(tenant, _) | Channel::Tenant(tenant) => {
                    assert_eq!(tenant, viewer.tenant);
                }
                Channel::System => panic!("not asked for"),
            }
        }
    }

    #[test]
    fn a_viewer_of_an_owner_hears_only_that_owner() {
        let viewer = principal(&[Role::Viewer], Some("o-1"));
        assert!(channel("owner:o-1", &viewer).is_ok());
        for name in ["owner:o-2", "tenant", "system"] {
            assert!(matches!(channel(name, &viewer), Err(Refused::Forbidden(_))), "{name}");
        }
    }

    #[test]
    fn only_operators_and_admins_hear_the_system() {
        assert!(channel("system", &principal(&[Role::Operator], None)).is_ok());
        assert!(channel("system", &principal(&[Role::Admin], None)).is_ok());
        for role in [Role::Viewer, Role::Service] {
            assert!(matches!(channel("system", &principal(&[role], None)), Err(Refused::Forbidden(_))));
        }
    }

    #[test]
    fn other_names_are_no_channels() {
        let viewer = principal(&[Role::Admin], None);
        for name in ["", "campaign", "campaign:", "campaign:a/b", "tenant:acme", "timer:1", "owner:"] {
            assert!(matches!(channel(name, &viewer), Err(Refused::Unknown(_))), "{name}");
        }
    }

    #[test]
    fn channels_have_their_names_back() {
        let viewer = principal(&[Role::Admin], None);
        for text in ["campaign:a:b", "owner:o-1", "tenant", "system"] {
            assert_eq!(name(&channel(text, &viewer).expect("a channel")), text);
        }
    }
}
