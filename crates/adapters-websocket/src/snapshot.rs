//! What a channel's present state looks like to a subscriber, read together with the position it is true at.

use domain::{Campaign, CampaignKey, OwnerId};
use ports::PortError;
use ports::feed::Channel;
use ports::journal::Position;
use ports::query::{Dossier, Queries, TimerState};
use wire::frames::{CampaignSnapshot, Snapshot, StatusCountsBody, SystemSnapshot, TenantSnapshot};
use wire::http::TimerBody;

/// How many timers a snapshot shows in full; so many fit into a frame beside the campaign.
const MANY_TIMERS: usize = 20;

/// The present state of `channel` for somebody who sees only campaigns of `owner`, if one is given, with the position of
/// which everything is in it; none when there is no such campaign for them.
pub(crate) async fn take(
    queries: &dyn Queries,
    channel: &Channel,
    owner: Option<&OwnerId>,
) -> Result<Option<(Snapshot, Position)>, PortError> {
    let (counts, head) = match channel {
        Channel::Campaign(tenant, id) => {
            let key = CampaignKey { tenant: tenant.clone(), id: id.clone() };
            let dossier = queries.dossier(&key).await?.filter(|dossier| is_of(&dossier.campaign, owner));
            return Ok(dossier.map(|dossier| (Snapshot::Campaign(Box::new(of_campaign(&dossier))), dossier.head)));
        }
        Channel::System => {
            let status = queries.status().await?;
            return Ok(Some((Snapshot::System(SystemSnapshot::from(&status)), status.head)));
        }
        // An owner's campaigns are counted, too: a list of them has no bound, is not read together with a position, and
        // is what `GET /campaigns?owner=` is for.
        Channel::Owner(tenant, owner) => queries.counts(tenant, Some(owner.clone())).await?,
        Channel::Tenant(tenant) => queries.counts(tenant, None).await?,
    };
    let counts = StatusCountsBody::from(counts.as_slice());
    Ok(Some((Snapshot::Tenant(TenantSnapshot { counts }), head)))
}

/// Whether somebody who sees only campaigns of `owner`, if one is given, sees this one.
pub(crate) fn is_of(campaign: &Campaign, owner: Option<&OwnerId>) -> bool {
    owner.is_none_or(|owner| campaign.definition.owner.as_ref() == Some(owner))
}

fn of_campaign(dossier: &Dossier) -> CampaignSnapshot {
    let mut snapshot = CampaignSnapshot::from(dossier);
    let payloads: usize =
        dossier.timers.iter().filter_map(|t| t.timer.payload.as_ref()).map(|p| p.as_str().len()).sum();
    if snapshot.timers.len() > MANY_TIMERS || payloads > domain::MAX_JSON_BYTES {
        // The rest is at `GET /campaigns/{id}/timers`: hundreds of timers, each with its payload, fit into no frame.
        let pending = dossier.timers.iter().filter(|row| row.state == TimerState::Pending);
        snapshot.timers = pending.map(|row| TimerBody { payload: None, ..TimerBody::from(row) }).collect();
    }
    snapshot
}
