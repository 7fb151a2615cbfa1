//! Campaigns in their new state: one statement for those that are new, one for the others.

use domain::Timestamp;
use ports::store::{CampaignWrite, View};

use crate::failure::{Failure, refused};
use crate::pipeline::Pipeline;
use crate::rows::int;
use crate::schema::statement;
use crate::unit::Numbers;

statement! {
    /// In the order of keys, so that two instances that create the same campaigns wait and do not deadlock.
    InsertCampaigns<'a> {
        tenant: Vec<&'a str> as Texts,
        id: Vec<&'a str> as Texts,
        version: Vec<i64> as BigInts,
        status: Vec<&'a str> as Texts,
        owner: Vec<Option<&'a str>> as MaybeTexts,
        start_at: Vec<Timestamp> as Timestamptzs,
        end_at: Vec<Timestamp> as Timestamptzs,
        body: Vec<String> as Texts,
    }
    "INSERT INTO campaigns (tenant, id, version, status, owner, start_at, end_at, body) \
     SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?) AS u (tenant, id) ORDER BY u.tenant, u.id"
}

statement! {
    UpdateCampaigns<'a> {
        tenant: Vec<&'a str> as Texts,
        number: Vec<Option<i64>> as MaybeBigInts,
        from_version: Vec<i64> as BigInts,
        version: Vec<i64> as BigInts,
        status: Vec<&'a str> as Texts,
        start_at: Vec<Timestamp> as Timestamptzs,
        end_at: Vec<Timestamp> as Timestamptzs,
        body: Vec<String> as Texts,
    }
    "UPDATE campaigns c \
     SET version = u.version, status = u.status, start_at = u.start_at, end_at = u.end_at, body = u.body \
     FROM unnest(?, ?, ?, ?, ?, ?, ?, ?) AS u (tenant, number, from_version, version, status, start_at, end_at, body) \
     WHERE c.tenant = u.tenant AND c.number = u.number AND c.version = u.from_version"
}

/// Writes campaigns on top of what `view` showed (S7).
pub(crate) async fn write(
    pipeline: &mut Pipeline<'_>,
    numbers: &Numbers,
    view: &View,
    writes: &[CampaignWrite],
) -> Result<(), Failure> {
    let (new, known): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.from_version == 0);
    if let Some(there) = new.iter().find(|write| {
        view.campaigns.contains_key(&write.campaign.key) || view.unreadable.contains_key(&write.campaign.key)
    }) {
        return Err(refused(format!("campaign {} exists already", there.campaign.key)));
    }
    if !new.is_empty() {
        pipeline.push(insert(&new), |_| Ok(())).await?;
    }
    let Some(first) = known.first() else { return Ok(()) };
    let (key, version, count) = (first.campaign.key.clone(), first.from_version, known.len());
    let all = move |changed| {
        if changed == count {
            return Ok(());
        }
        let detail =
            format!("campaign {key} is not at version {version}, or another of this batch of {count} is elsewhere");
        Err(refused(detail))
    };
    pipeline.push(update(numbers, &known), all).await
}

fn insert<'a>(writes: &[&'a CampaignWrite]) -> InsertCampaigns<'a> {
    let campaigns = || writes.iter().map(|write| &write.campaign);
    InsertCampaigns {
        tenant: campaigns().map(|c| c.key.tenant.as_str()).collect(),
        id: campaigns().map(|c| c.key.id.as_str()).collect(),
        version: campaigns().map(|c| int(c.version)).collect(),
        status: campaigns().map(|c| c.status().as_str()).collect(),
        owner: campaigns().map(|c| c.definition.owner.as_ref().map(domain::OwnerId::as_str)).collect(),
        start_at: campaigns().map(|c| c.definition.window.start()).collect(),
        end_at: campaigns().map(|c| c.definition.window.end()).collect(),
        body: campaigns().map(wire::stored::encode_campaign).collect(),
    }
}

/// Only what the unit of work holds has a number, and nothing else may be written.
fn update<'a>(numbers: &Numbers, writes: &[&'a CampaignWrite]) -> UpdateCampaigns<'a> {
    let campaigns = || writes.iter().map(|write| &write.campaign);
    UpdateCampaigns {
        tenant: campaigns().map(|c| c.key.tenant.as_str()).collect(),
        number: campaigns().map(|c| numbers.get(&c.key).copied()).collect(),
        from_version: writes.iter().map(|write| int(write.from_version)).collect(),
        version: campaigns().map(|c| int(c.version)).collect(),
        status: campaigns().map(|c| c.status().as_str()).collect(),
        start_at: campaigns().map(|c| c.definition.window.start()).collect(),
        end_at: campaigns().map(|c| c.definition.window.end()).collect(),
        body: campaigns().map(wire::stored::encode_campaign).collect(),
    }
}
